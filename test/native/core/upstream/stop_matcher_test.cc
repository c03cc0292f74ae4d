// Stop strings: the first complete one, for any pieces.
#include "core/upstream/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

struct Found {
  std::size_t text = 0;  // bytes before the stop string
  bool met = false;

  friend bool operator==(const Found&, const Found&) = default;
};

Found by_definition(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 0; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (!stop.empty() && text.substr(0, end).ends_with(stop)) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return {end - longest, true};
  }
  return {text.size(), false};
}

TEST(StopMatcher, AnyDivisionOfATextGivesTheSame) {
  std::mt19937 random(11);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const auto word = [&](std::size_t bound) {
    std::string made(below(bound), 'a');
    for (char& c : made) c = below(5) < 3 ? 'a' : 'b';
    return made;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops(below(4));
    for (std::string& stop : stops) stop = word(6);
    const std::string text = word(20);
    StopMatcher matcher(stops);
    Found found{text.size(), false};
    for (std::size_t at = 0; at < text.size() && !found.met;) {
      const std::string piece = text.substr(at, below(4) + 1);
      const std::size_t end = matcher.push(piece);
      if (end != std::string_view::npos) found = {at + end - matcher.pending(), true};
      at += piece.size();
      if (found.met) break;
      const std::string held = text.substr(at - matcher.pending(), matcher.pending());
      EXPECT_TRUE(held.empty() || std::ranges::any_of(stops, [&](const std::string& stop) {
                    return stop.starts_with(held);
                  }));
    }
    ASSERT_EQ(found, by_definition(text, stops)) << text;
  }
}

TEST(StopMatcher, AnotherTextBeginsAnew) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("E"), std::string_view::npos);
  EXPECT_EQ(matcher.pending(), 1u);
  matcher.reset();
  EXPECT_EQ(matcher.push("ND"), std::string_view::npos);
  EXPECT_EQ(matcher.pending(), 0u);
  EXPECT_EQ(matcher.push("xENDx"), 4u);
  EXPECT_EQ(matcher.pending(), 3u);
}

TEST(StopMatcher, WithoutStringsItIsNotActive) {
  EXPECT_FALSE(StopMatcher().active());
  EXPECT_FALSE(StopMatcher({""}).active());
  EXPECT_TRUE(StopMatcher({"", "a"}).active());
}

}  // namespace
}  // namespace sluice
