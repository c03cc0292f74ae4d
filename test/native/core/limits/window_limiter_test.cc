// Fixed and sliding windows, against plain counting.
#include "core/limits/window_limiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "milliseconds.h"

namespace sluice {
namespace {

constexpr std::size_t kManyWindows = 1000;

// Ten of ten a minute are taken at 59.9 s.
template <typename Limiter, typename Rule>
LimitDecision at_60_1_seconds() {
  Limiter limiter(Rule({10, 60 * kSecond}), kManyWindows);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limiter.allow("k", 1, ms(59'900)).allowed);
  EXPECT_FALSE(limiter.allow("k", 1, ms(59'900)).allowed);
  return limiter.allow("k", 1, ms(60'100));
}

TEST(Windows, AroundABoundaryTheFixedOneAllowsAndTheSlidingOnesDeny) {
  EXPECT_TRUE((at_60_1_seconds<FixedWindowLimiter, FixedWindowRule>().allowed));
  const LimitDecision log = at_60_1_seconds<SlidingLogLimiter, SlidingLogRule>();
  EXPECT_FALSE(log.allowed);
  EXPECT_EQ(log.retry_after, ms(59'800));
  // Of the ten, 10 * 59.9 / 60 count at 60.1; nine do at 66.
  const LimitDecision counter = at_60_1_seconds<SlidingCounterLimiter, SlidingCounterRule>();
  EXPECT_FALSE(counter.allowed);
  EXPECT_EQ(counter.retry_after, ms(5'900));
}

TEST(Windows, TheFixedOneCountsWithinItsWindow) {
  FixedWindowLimiter limiter(FixedWindowRule({3, kSecond}), kManyWindows);
  EXPECT_EQ(limiter.allow("k", 2, ms(300)).remaining, 1);
  const LimitDecision denied = limiter.allow("k", 2, ms(400));
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.remaining, 1);
  EXPECT_EQ(denied.retry_after, ms(600));
  EXPECT_EQ(denied.reset_after, ms(600));
  EXPECT_EQ(limiter.allow("k", 4, ms(400)).retry_after, kNever);
  EXPECT_FALSE(limiter.allow("k", 2, kSecond - 1).allowed);
  EXPECT_EQ(limiter.allow("k", 0, kSecond).reset_after, 0);
  EXPECT_TRUE(limiter.allow("k", 2, kSecond).allowed);
}

TEST(Windows, TheLogKeepsOnlyEntriesThatCount) {
  SlidingLogLimiter limiter(SlidingLogRule({5, kSecond}), kManyWindows);
  EXPECT_TRUE(limiter.allow("k", 2, ms(0)).allowed);
  EXPECT_TRUE(limiter.allow("k", 1, ms(100)).allowed);
  EXPECT_TRUE(limiter.allow("k", 2, ms(200)).allowed);
  EXPECT_EQ(limiter.allow("k", 1, ms(300)).retry_after, ms(700));
  EXPECT_EQ(limiter.allow("k", 3, ms(300)).retry_after, ms(800));
  EXPECT_EQ(limiter.allow("k", 5, ms(300)).retry_after, ms(900));
  EXPECT_EQ(limiter.allow("k", 5, ms(300)).reset_after, ms(900));
  EXPECT_EQ(limiter.allow("k", 6, ms(300)).retry_after, kNever);
  EXPECT_FALSE(limiter.allow("k", 1, kSecond - 1).allowed);
  EXPECT_EQ(limiter.allow("k", 1, kSecond).remaining, 1);

  HitLog log;
  const SlidingLogRule rule({4, 100});
  for (Nanos now = 0; now < 10'000; ++now) {
    rule.decide(log, 1, now);
    ASSERT_LE(log.size(), 4u);
  }
  for (int i = 0; i < 4; ++i) rule.decide(log, 1, 20'000);
  EXPECT_EQ(log.size(), 1u) << "hits of one moment are one entry";
  EXPECT_EQ(log.total(), 4);
}

// Plain counting: every grant is kept forever.
struct PlainKey {
  std::vector<std::pair<Nanos, std::int64_t>> hits;

  [[nodiscard]] std::int64_t between(Nanos from, Nanos before) const {
    std::int64_t sum = 0;
    for (const auto& [at, cost] : hits) sum += at >= from && at < before ? cost : 0;
    return sum;
  }
};

constexpr Nanos kWindow = 97;
constexpr std::int64_t kLimit = 7;

bool would_fit(const FixedWindowRule&, const PlainKey& key, std::int64_t cost, Nanos now) {
  const Nanos start = now / kWindow * kWindow;
  return key.between(start, start + kWindow) + cost <= kLimit;
}
bool would_fit(const SlidingLogRule&, const PlainKey& key, std::int64_t cost, Nanos now) {
  return key.between(now - kWindow + 1, now + 1) + cost <= kLimit;
}
bool would_fit(const SlidingCounterRule&, const PlainKey& key, std::int64_t cost, Nanos now) {
  const Nanos start = now / kWindow * kWindow;
  const std::int64_t before = key.between(start - kWindow, start);
  const std::int64_t used = key.between(start, start + kWindow);
  return before * (kWindow - (now - start)) + (used + cost) * kWindow <= kLimit * kWindow;
}

template <typename Rule>
class WindowRules : public ::testing::Test {};
using Rules = ::testing::Types<FixedWindowRule, SlidingLogRule, SlidingCounterRule>;
TYPED_TEST_SUITE(WindowRules, Rules);

// Decides as plain counting does, and every wait is the shortest sufficient one.
TYPED_TEST(WindowRules, CountAndWaitAsPlainCountingSays) {
  const TypeParam rule({kLimit, kWindow});
  std::mt19937 random(5);
  for (int history = 0; history < 60; ++history) {
    typename TypeParam::State state{};
    PlainKey plain;
    Nanos now = 0;
    for (int step = 0; step < 150; ++step) {
      now += static_cast<Nanos>(random() % (random() % 8 == 0 ? 150 : 12));
      const auto cost = static_cast<std::int64_t>(random() % 9);
      const bool fits = cost == 0 || would_fit(rule, plain, cost, now);
      const LimitDecision decision = rule.decide(state, cost, now);
      ASSERT_EQ(decision.allowed, fits) << "step " << step;
      if (fits && cost > 0) plain.hits.emplace_back(now, cost);
      ASSERT_TRUE(decision.remaining == 0 || would_fit(rule, plain, decision.remaining, now));
      ASSERT_FALSE(would_fit(rule, plain, decision.remaining + 1, now));
      Nanos enough = kNever;
      for (Nanos wait = 0; !fits && cost <= kLimit && enough == kNever; ++wait) {
        if (would_fit(rule, plain, cost, now + wait)) enough = wait;
      }
      ASSERT_EQ(decision.retry_after, fits ? 0 : enough);
      ASSERT_TRUE(would_fit(rule, plain, kLimit, now + decision.reset_after));
      if (decision.reset_after > 0) {
        ASSERT_FALSE(would_fit(rule, plain, kLimit, now + decision.reset_after - 1));
      }
      ASSERT_EQ(rule.reset_after(state, now), decision.reset_after);
    }
  }
}

TYPED_TEST(WindowRules, WithRoomForAFewNoKeyIsGrantedMoreThanItsLimit) {
  int denied_for_room = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::size_t max_keys = 1 + seed % 8;
    const TypeParam rule({kLimit, kWindow});
    KeyedLimiter<TypeParam> limiter(rule, max_keys);
    std::map<std::string, PlainKey> plain;
    std::mt19937 random(seed);
    Nanos now = 0;
    for (int step = 0; step < 1500; ++step) {
      if (random() % 2 == 0) now += static_cast<Nanos>(random() % (random() % 20 == 0 ? 300 : 20));
      const std::string key = "key" + std::to_string(random() % 20);
      const auto cost = static_cast<std::int64_t>(1 + random() % 4);
      const bool fits = would_fit(rule, plain[key], cost, now);
      if (limiter.allow(key, cost, now).allowed) {
        ASSERT_TRUE(fits) << "seed " << seed << " step " << step;
        plain[key].hits.emplace_back(now, cost);
      } else {
        denied_for_room += fits;
      }
      ASSERT_LE(limiter.size(), max_keys);
    }
  }
  EXPECT_GT(denied_for_room, 0) << "the histories never filled a table";
}

TYPED_TEST(WindowRules, ADenialCostsNothingAndAPeekChangesNothing) {
  KeyedLimiter<TypeParam> limiter(TypeParam({4, kSecond}), kManyWindows);
  EXPECT_TRUE(limiter.allow("k", 3, 0).allowed);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(limiter.allow("k", 2, 0).allowed);
  // A peek at a later time is no step forward.
  EXPECT_EQ(limiter.allow("k", 0, 10 * kSecond).remaining, 4);
  const LimitDecision peek = limiter.allow("k", 0, 0);
  EXPECT_TRUE(peek.allowed);
  EXPECT_EQ(peek.remaining, 1);
  EXPECT_EQ(limiter.allow("other", 5, 0).retry_after, kNever);
  EXPECT_EQ(limiter.size(), 1u);
}

TYPED_TEST(WindowRules, AClockThatIsSetBackGivesNothingBackAndBarsNobodyForLong) {
  KeyedLimiter<TypeParam> limiter(TypeParam({4, kSecond}), kManyWindows);
  EXPECT_TRUE(limiter.allow("k", 4, 3600 * kSecond).allowed);
  const LimitDecision peek = limiter.allow("k", 0, 0);
  EXPECT_EQ(peek.remaining, 0);
  EXPECT_LE(peek.reset_after, 2 * kSecond);
  const LimitDecision denied = limiter.allow("k", 1, 0);
  EXPECT_FALSE(denied.allowed);
  EXPECT_LE(denied.retry_after, 2 * kSecond);
  EXPECT_FALSE(limiter.allow("k", 1, denied.retry_after - 1).allowed);
  EXPECT_TRUE(limiter.allow("k", 1, denied.retry_after).allowed);
}

TYPED_TEST(WindowRules, DisorderOfThreadsLosesNothing) {
  KeyedLimiter<TypeParam> limiter(TypeParam({4, kSecond}), kManyWindows);
  EXPECT_TRUE(limiter.allow("k", 2, 5 * kSecond + 1000).allowed);
  EXPECT_TRUE(limiter.allow("k", 1, 5 * kSecond - 1000).allowed);
  EXPECT_EQ(limiter.allow("k", 0, 5 * kSecond + 500).remaining, 1);
  EXPECT_TRUE(limiter.allow("k", 1, 5 * kSecond + 500).allowed);
  const LimitDecision denied = limiter.allow("k", 1, 5 * kSecond - 500);
  EXPECT_FALSE(denied.allowed);
  const Nanos until = 5 * kSecond - 500 + denied.retry_after;
  EXPECT_FALSE(limiter.allow("k", 1, until - 1).allowed);
  EXPECT_TRUE(limiter.allow("k", 1, until).allowed);
}

TYPED_TEST(WindowRules, TheLargestNumbersDoNotOverflow) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  constexpr Nanos kYear = std::int64_t{1} << 55;
  KeyedLimiter<TypeParam> limiter(TypeParam({kMost, kYear}), kManyWindows);
  constexpr Nanos kLatest = (std::int64_t{1} << 62) - 1;
  for (const Nanos now : {-kLatest, Nanos{0}, kLatest}) {
    EXPECT_TRUE(limiter.allow("k", kMost, now).allowed);
    const LimitDecision denied = limiter.allow("k", kMost, now);
    EXPECT_FALSE(denied.allowed);
    EXPECT_GT(denied.retry_after, 0);
    EXPECT_LE(denied.retry_after, 2 * kYear);
  }
}

TYPED_TEST(WindowRules, KeysOfWhichNothingCountsAreForgotten) {
  KeyedLimiter<TypeParam> limiter(TypeParam({4, kSecond}), 100'000);
  for (int i = 0; i < 1000; ++i) limiter.allow("key" + std::to_string(i), 1, 0);
  EXPECT_EQ(limiter.size(), 1000u);
  for (int i = 0; i < 10'000; ++i) limiter.allow("asked", 1, 3 * kSecond);
  EXPECT_EQ(limiter.size(), 1u);
}

}  // namespace
}  // namespace sluice
