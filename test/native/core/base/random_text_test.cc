#include "core/base/random_text.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

namespace sluice {
namespace {

TEST(RandomText, UsesSixBitsACharacterAndSkipsUnmappedValues) {
  // 10 characters of the bits 0, 1, ... 9; then 62 and 63, which map to no character, and 61.
  std::uint64_t call = 0;
  const auto random = [&call]() -> std::uint64_t {
    std::uint64_t bits = 0;
    if (call++ == 0) {
      for (std::uint64_t i = 0; i < 10; ++i) bits |= i << (6 * i);
    } else {
      bits = 62 | 63 << 6 | 61 << 12;
    }
    return bits;
  };
  EXPECT_EQ(random_text(11, random), "0123456789z");
  EXPECT_EQ(random_text(0, random), "");
}

TEST(RandomText, UsesEveryCharacterEquallyOften) {
  std::mt19937_64 random(42);  // A fixed seed, so that a failure repeats.
  std::map<char, int> counts;
  for (const char c : random_text(62'000, [&random] { return random(); })) ++counts[c];
  EXPECT_EQ(counts.size(), 62U);
  for (const auto& [c, count] : counts) {
    EXPECT_GT(count, 850) << c;
    EXPECT_LT(count, 1150) << c;
  }
}

TEST(RandomText, OfTheSystemDiffersFromCallToCall) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_text(24, system_random_bits));
  EXPECT_EQ(seen.size(), 100U);
}

}  // namespace
}  // namespace sluice
