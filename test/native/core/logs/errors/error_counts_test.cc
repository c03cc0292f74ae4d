#include "core/logs/errors/error_counts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/containers/rolling_window.h"

namespace sluice {
namespace {

TEST(RollingWindow, CountsWithinTheHalfOpenSpan) {
  RollingWindow window(100, 1000);
  for (const std::int64_t time_ms : {1000, 1050, 1100}) EXPECT_TRUE(window.add(time_ms, 2));
  // (1000, 1100]: the one of exactly a window ago is out.
  EXPECT_EQ(window.totals(1100).count, 2U);
  EXPECT_EQ(window.totals(1099).count, 2U);  // (999, 1099]: 1000 and 1050
  EXPECT_EQ(window.totals(1149).count, 2U);
  EXPECT_EQ(window.totals(1150).count, 1U);
  EXPECT_EQ(window.totals(1199).count, 1U);
  EXPECT_EQ(window.totals(1200).count, 0U);
  EXPECT_EQ(window.totals(1149).sum, 4);
  EXPECT_EQ(window.totals(1149).first_ms, 1050);
  EXPECT_EQ(window.totals(1149).last_ms, 1100);
  EXPECT_EQ(window.totals(1100, 50).count, 1U);
}

TEST(RollingWindow, AcceptsEventsInAnyOrder) {
  RollingWindow window(100, 1000);
  EXPECT_TRUE(window.add(500, 1));
  EXPECT_TRUE(window.add(401, 1));
  EXPECT_FALSE(window.add(400, 1)) << "a window older than the newest";
  EXPECT_TRUE(window.add(450, 1));
  EXPECT_TRUE(window.add(450, 1));
  EXPECT_TRUE(window.add(401, 1));
  EXPECT_EQ(window.totals(500).count, 5U);
  EXPECT_EQ(window.totals(501).count, 3U);
  EXPECT_EQ(window.entries(), 3U) << "one of each millisecond";
  EXPECT_TRUE(window.add(-5 + 500, 1));
  EXPECT_TRUE(window.add(601, 1));
  EXPECT_FALSE(window.add(501, 1));
}

TEST(RollingWindow, KnowsTimesBefore1970) {
  RollingWindow window(10, 64);
  for (std::int64_t time_ms = -20; time_ms < 0; ++time_ms) window.add(time_ms, 1);
  EXPECT_EQ(window.totals(-1).count, 10U);
  window.coarsen(8);  // -20 to -17, -16 to -9, -8 to -1
  EXPECT_EQ(window.entries(), 3U);
  EXPECT_EQ(window.totals(-1).count, 16U) << "-9 is inside, and stands for its neighbours";
}

TEST(RollingWindow, IsBoundedOnBothSidesOf1970) {
  RollingWindow window(1000, 2);
  for (const std::int64_t time_ms : {-1, 1, 2, -2, 3}) EXPECT_TRUE(window.add(time_ms, 1));
  EXPECT_LE(window.entries(), 2U);
  EXPECT_EQ(window.totals(3).count, 5U);
}

TEST(RollingWindow, IsBoundedAndBlursOnlyTheEdge) {
  RollingWindow window(1'000'000, 1000);
  for (std::int64_t time_ms = 0; time_ms < 3'000'000; ++time_ms) window.add(time_ms, 1);
  EXPECT_LE(window.entries(), 1000U);
  // At worst 1,000,000 / 500 = 2000 ms, rounded up to a power of two.
  const auto count = static_cast<double>(window.totals(2'999'999).count);
  EXPECT_NEAR(count, 1'000'000, 2 * 2048);
}

LogErrors::Limits limits(std::size_t templates = 1000) {
  LogErrors::Limits made;
  made.templates.templates = templates;
  return made;
}

std::vector<std::pair<std::string, std::uint64_t>> top(LogErrors& errors, std::size_t k = 10) {
  std::vector<std::pair<std::string, std::uint64_t>> found;
  for (const auto& each : errors.top(k, LogErrors::kEver, 0))
    found.emplace_back(each.text, each.count);
  return found;
}

using Top = std::vector<std::pair<std::string, std::uint64_t>>;

TEST(LogErrors, VaryingWordsBecomeAWildcard) {
  LogErrors errors(limits());
  errors.add("connect to 10.0.0.1:80 failed (111: Connection refused)", 0);
  errors.add("connect to 10.0.0.2:81 failed (111: Connection refused)", 0);
  errors.add("user alice not found in table", 0);
  errors.add("user bob not found in table", 0);
  errors.add("job id=77 took 5ms,", 0);
  // First words differ: another branch of the tree.
  errors.add("disk full on sda", 0);
  errors.add("queue full on sda", 0);
  EXPECT_EQ(top(errors), (Top{{"connect to <*> failed (<*>: Connection refused)", 2},
                              {"disk full on sda", 1},
                              {"job id=<*> took <*>,", 1},
                              {"queue full on sda", 1},
                              {"user alice not found in table", 1},
                              {"user bob not found in table", 1}}));
}

TEST(LogErrors, SimilarMessagesOfOneBranchShareATemplate) {
  LogErrors errors(limits());
  errors.add("cannot open file alpha for reading", 0);
  errors.add("cannot open file beta for reading", 0);     // 5 of 6 words
  errors.add("cannot open socket gamma after retry", 0);  // 2 of 6: under 0.4
  errors.add("cannot open file", 0);                      // another length
  EXPECT_EQ(top(errors), (Top{{"cannot open file <*> for reading", 2},
                              {"cannot open file", 1},
                              {"cannot open socket gamma after retry", 1}}));
  const auto found = errors.top(1, LogErrors::kEver, 0);
  EXPECT_EQ(found[0].sample, "cannot open file alpha for reading");
}

TEST(LogErrors, OfEquallySimilarTemplatesTheOneWithMoreWildcardsThenTheOldestTakesIt) {
  LogErrors errors(limits());
  errors.add("a b c d e f", 0);
  errors.add("a b x y z w", 0);  // 2 of 6: its own
  // 4 of 6 with both: the oldest.
  errors.add("a b c d z w", 0);
  EXPECT_EQ(top(errors), (Top{{"a b c d <*> <*>", 2}, {"a b x y z w", 1}}));
  // 3 of 6 with both now: the one with wildcards.
  errors.add("a b c y q q", 0);
  EXPECT_EQ(top(errors), (Top{{"a b c <*> <*> <*>", 3}, {"a b x y z w", 1}}));
}

TEST(LogErrors, ForgetsTheRarestTemplate) {
  LogErrors errors(limits(2));
  for (const char* message : {"alpha one", "alpha one", "beta two", "gamma three"}) {
    errors.add(message, 0);
  }
  EXPECT_EQ(top(errors), (Top{{"alpha one", 2}, {"gamma three", 1}}));
  EXPECT_EQ(errors.forgotten(), 1U);
  // A hundred thousand different ones neither push out the frequent one nor pile up.
  for (int i = 0; i < 100'000; ++i) {
    std::string word;
    for (int rest = i; rest > 0; rest /= 26) word += static_cast<char>('a' + rest % 26);
    errors.add(word + " x " + word, 0);
  }
  EXPECT_EQ(errors.templates(), 2U);
  EXPECT_EQ(top(errors, 1), (Top{{"alpha one", 2}}));
}

TEST(LogErrors, CountsWithinAWindow) {
  LogErrors errors(limits());
  for (const std::int64_t time_ms : {1000, 2000, 3000}) errors.add("often seen", time_ms);
  errors.add("only late", 3000);
  EXPECT_EQ(errors.top(10, 2000, 3000).size(), 2U);
  const auto found = errors.top(10, 2000, 3000);
  EXPECT_EQ(found[0].text, "often seen");
  EXPECT_EQ(found[0].count, 2U) << "(1000, 3000]";
  EXPECT_EQ(found[0].first_ms, 2000);
  EXPECT_EQ(found[0].last_ms, 3000);
  EXPECT_EQ(errors.top(10, 999, 3999).size(), 0U) << "(3000, 3999]";
  const auto ever = errors.top(1, LogErrors::kEver, 0);
  EXPECT_EQ(ever[0].count, 3U);
  EXPECT_EQ(ever[0].first_ms, 1000);
}

TEST(LogErrors, TimesOfAllTemplatesAreBoundedTogether) {
  LogErrors::Limits few = limits();
  few.times = 1000;
  few.window_ms_max = 1'000'000;
  LogErrors errors(few);
  for (std::int64_t i = 0; i < 400'000; ++i) {
    errors.add(i % 4 == 0 ? "quarter of all" : "most of the rest", i * 10);
  }
  // 1,000,000 ms at one every 10 ms.
  const auto found = errors.top(2, 1'000'000, 3'999'990);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(static_cast<double>(found[0].count), 75'000, 1000);
  EXPECT_NEAR(static_cast<double>(found[1].count), 25'000, 400);
}

}  // namespace
}  // namespace sluice
