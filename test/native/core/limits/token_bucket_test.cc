// The token bucket: published tables, exactness to the nanosecond, and bad clocks.
#include "core/limits/token_bucket.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/limits/keyed_limiter.h"
#include "milliseconds.h"

namespace sluice {
namespace {

constexpr std::size_t kManyBuckets = 1000;

TokenBucketLimiter limiter_of(std::int64_t capacity, double per_second) {
  return TokenBucketLimiter(TokenBucketRule({capacity, rate_per_second(per_second)}), kManyBuckets);
}

struct Step {
  Nanos now;
  std::int64_t cost;
  bool allowed;
};

void expect_steps(double per_second, std::int64_t capacity, const std::vector<Step>& steps) {
  TokenBucketLimiter limiter = limiter_of(capacity, per_second);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto [now, cost, allowed] = steps[i];
    EXPECT_EQ(limiter.allow("k", cost, now).allowed, allowed) << "step " << i;
  }
}

TEST(TokenBucket, ThreeAtOncePerSecondAndOneASecondLater) {
  TokenBucketLimiter limiter = limiter_of(3, 1);
  for (const bool allowed : {true, true, true, false}) {
    EXPECT_EQ(limiter.allow("k", 1, 0).allowed, allowed);
  }
  const LimitDecision denied = limiter.allow("k", 1, ms(500));
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after, ms(500));
  EXPECT_TRUE(limiter.allow("k", 1, ms(1000)).allowed);
}

// The table of throttled's rate_test.go (RateLimit): 5 at once, 1 a second. Where it has -1, "does
// not apply", the wait is 0 after a grant, and "never" for a cost above the limit.
TEST(TokenBucket, TableOfThrottled) {
  struct Row {
    Nanos now;
    std::int64_t cost, remaining;
    Nanos reset, retry;
    bool limited;
  };
  const std::vector<Row> rows = {
      {ms(0), 6, 5, ms(0), kNever, true},         {ms(0), 1, 4, ms(1000), 0, false},
      {ms(0), 1, 3, ms(2000), 0, false},          {ms(0), 1, 2, ms(3000), 0, false},
      {ms(0), 1, 1, ms(4000), 0, false},          {ms(0), 1, 0, ms(5000), 0, false},
      {ms(0), 1, 0, ms(5000), ms(1000), true},    {ms(3000), 1, 2, ms(3000), 0, false},
      {ms(3100), 1, 1, ms(3900), 0, false},       {ms(4000), 1, 1, ms(4000), 0, false},
      {ms(8000), 1, 4, ms(1000), 0, false},       {ms(9500), 1, 4, ms(1000), 0, false},
      {ms(9500), 0, 4, ms(1000), 0, false},       {ms(9500), 2, 2, ms(3000), 0, false},
      {ms(9500), 5, 2, ms(3000), ms(3000), true},
  };
  TokenBucketLimiter limiter = limiter_of(5, 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const LimitDecision decision = limiter.allow("foo", row.cost, row.now);
    EXPECT_EQ(decision.allowed, !row.limited) << i;
    EXPECT_EQ(decision.limit, 5) << i;
    EXPECT_EQ(decision.remaining, row.remaining) << i;
    EXPECT_EQ(decision.reset_after, row.reset) << i;
    EXPECT_EQ(decision.retry_after, row.retry) << i;
  }
}

// The tables of golang.org/x/time/rate (rate_test.go), in steps of 100 ms.
TEST(TokenBucket, TableOfGoBurst1) {
  const Nanos t0 = 0, t1 = ms(100), t2 = ms(200);
  expect_steps(10, 1,
               {{t0, 1, true},
                {t0, 1, false},
                {t0, 1, false},
                {t1, 1, true},
                {t1, 1, false},
                {t1, 1, false},
                {t2, 2, false},
                {t2, 1, true},
                {t2, 1, false}});
}

TEST(TokenBucket, TableOfGoBurst3) {
  const Nanos t0 = 0, t1 = ms(100), t2 = ms(200), t3 = ms(300), t4 = ms(400), t9 = ms(900);
  expect_steps(10, 3,
               {{t0, 2, true},
                {t0, 2, false},
                {t0, 1, true},
                {t0, 1, false},
                {t1, 4, false},
                {t2, 1, true},
                {t3, 1, true},
                {t4, 1, true},
                {t4, 1, true},
                {t4, 1, false},
                {t4, 1, false},
                {t9, 3, true},
                {t9, 0, true}});
}

TEST(TokenBucket, TableOfGoJumpBackwards) {
  const Nanos t0 = 0, t1 = ms(100), t2 = ms(200);
  expect_steps(10, 3,
               {{t1, 1, true},
                {t0, 1, true},
                {t0, 1, true},
                {t0, 1, false},
                {t0, 1, false},
                {t1, 1, true},
                {t1, 1, false},
                {t1, 1, false},
                {t2, 1, true},
                {t2, 1, false},
                {t2, 1, false}});
}

// The same file's case of a rate whose nanoseconds must not be cut off (golang.org/issue/34861).
TEST(TokenBucket, TableOfGoNoTruncationErrors) {
  EXPECT_TRUE(limiter_of(1, 0.7692307692307693).allow("k", 1, 0).allowed);
}

TEST(TokenBucket, RatesAreTheFractionsThatTheyStandFor) {
  struct Row {
    double per_second;
    Rate rate;
  };
  const auto s = static_cast<std::uint64_t>(kSecond);
  const std::vector<Row> rows = {
      {1, {1, s}},
      {3, {3, s}},
      {0.1, {1, 10 * s}},
      {1.0 / 3, {1, 3 * s}},
      {10.0 / 13, {1, 1'300'000'000}},
      {0.7692307692307693, {1, 1'300'000'000}},
      {2.5, {1, 400'000'000}},
      {1e6, {1, 1000}},
      {100000.0 / 60, {1, 600'000}},
      {kRatePerSecondMin, {1, s * s}},
      {kRatePerSecondMax, {1000, 1}},
  };
  for (const Row& row : rows) {
    const Rate rate = rate_per_second(row.per_second);
    EXPECT_EQ(rate, row.rate) << row.per_second << ": " << rate.tokens << "/" << rate.span;
  }
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-9, 12);
  for (int i = 0; i < 10'000; ++i) {
    const double per_second = std::pow(10, exponent(random));
    const Rate rate = rate_per_second(per_second);
    const double is = static_cast<double>(rate.tokens) / static_cast<double>(rate.span) * 1e9;
    EXPECT_NEAR(is / per_second, 1, 1e-9) << per_second;
  }
}

// For any rate: granted after exactly retry_after, and not one nanosecond earlier.
TEST(TokenBucket, TheWaitIsExactToTheNanosecond) {
  for (const double per_second :
       {3.0, 7.0, 0.1, 1.0 / 3, 10.0 / 13, 1e6, 1e9, 1e-6, 333.333, 3.14159265358979, 1e12}) {
    for (const std::int64_t cost : {1, 2, 5}) {
      TokenBucketLimiter limiter = limiter_of(5, per_second);
      Nanos now = 12'345;
      EXPECT_TRUE(limiter.allow("k", 5, now).allowed);
      for (int round = 0; round < 20; ++round) {
        const LimitDecision denied = limiter.allow("k", cost, now);
        if (denied.allowed) continue;
        ASSERT_GT(denied.retry_after, 0);
        EXPECT_FALSE(limiter.allow("k", cost, now + denied.retry_after - 1).allowed);
        now += denied.retry_after;
        EXPECT_TRUE(limiter.allow("k", cost, now).allowed) << per_second << " round " << round;
      }
    }
  }
}

TEST(TokenBucket, ThreeASecondAreThreeAfterAnySecond) {
  TokenBucketLimiter limiter = limiter_of(1, 3);
  std::vector<Nanos> granted;
  for (Nanos now = 0; granted.size() < 4;) {
    const LimitDecision decision = limiter.allow("k", 1, now);
    if (decision.allowed) granted.push_back(now);
    now += decision.retry_after;
  }
  EXPECT_EQ(granted, (std::vector<Nanos>{0, 333'333'334, 666'666'668, 1'000'000'002}))
      << "a bucket of one cannot keep the part of a token that came in while it was full";
}

TEST(TokenBucket, NothingDriftsOverAMillionRefills) {
  TokenBucketLimiter limiter = limiter_of(1'000'000, 3);
  ASSERT_TRUE(limiter.allow("k", 1'000'000, 0).allowed);
  // Peeking at odd times must not lose parts of tokens.
  for (Nanos now = 0; now < 100'000 * kSecond; now += 99'999'989) limiter.allow("k", 0, now);
  EXPECT_EQ(limiter.allow("k", 0, 100'000 * kSecond).remaining, 300'000);
  EXPECT_TRUE(limiter.allow("k", 300'000, 100'000 * kSecond).allowed);
  EXPECT_EQ(limiter.allow("k", 1, 100'000 * kSecond).retry_after, 333'333'334);
}

TEST(TokenBucket, ADenialCostsNothingAndAPeekChangesNothing) {
  TokenBucketLimiter limiter = limiter_of(4, 1);
  EXPECT_TRUE(limiter.allow("k", 2, 0).allowed);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(limiter.allow("k", 3, 0).allowed);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.allow("k", 0, 0).remaining, 2);
  EXPECT_TRUE(limiter.allow("k", 2, 0).allowed);
  const LimitDecision peek = limiter.allow("k", 0, 0);
  EXPECT_TRUE(peek.allowed);
  EXPECT_EQ(peek.remaining, 0);
  EXPECT_EQ(peek.retry_after, 0);
  EXPECT_EQ(limiter.allow("k", 5, 0).retry_after, kNever);
  EXPECT_EQ(limiter.allow("unknown", 0, 0).remaining, 4);
  EXPECT_EQ(limiter.size(), 1u) << "neither a peek nor a denial makes an entry";
}

// A peek far in the future must not refill.
TEST(TokenBucket, APeekDoesNotMoveTime) {
  TokenBucketLimiter limiter = limiter_of(2, 1);
  EXPECT_TRUE(limiter.allow("k", 2, 0).allowed);
  EXPECT_EQ(limiter.allow("k", 0, ms(2000)).remaining, 2);
  EXPECT_FALSE(limiter.allow("k", 1, ms(999)).allowed);
}

TEST(TokenBucket, AClockSetBackRefillsNothingAndContinuesFromThere) {
  TokenBucketLimiter limiter = limiter_of(2, 1);
  EXPECT_TRUE(limiter.allow("k", 2, 3600 * kSecond).allowed);
  const LimitDecision denied = limiter.allow("k", 1, 0);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after, kSecond);
  EXPECT_FALSE(limiter.allow("k", 1, kSecond - 1).allowed);
  EXPECT_TRUE(limiter.allow("k", 1, kSecond).allowed);
}

// Threads arrive in another order than they read the clock.
TEST(TokenBucket, DisorderOfThreadsDoesNotMakeTimeRunFaster) {
  TokenBucketLimiter limiter = limiter_of(1, 1e9);
  std::int64_t granted = 0;
  Nanos now = 0;
  for (; now < 9 * kMillisecond; now += 1000) {
    granted += limiter.allow("k", 1, now + 1000).allowed ? 1 : 0;
    granted += limiter.allow("k", 1, now).allowed ? 1 : 0;
  }
  EXPECT_EQ(granted, 9000) << "one with each forward step";
  EXPECT_EQ(limiter.allow("k", 1, now - 500).retry_after, 501) << "until the latest time, and 1 ns";
}

TEST(TokenBucket, TheLargestNumbersDoNotOverflow) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  for (const double per_second : {kRatePerSecondMin, 1.2345678901234e-9, 1.0, kRatePerSecondMax}) {
    TokenBucketLimiter limiter = limiter_of(kMost, per_second);
    constexpr Nanos kLatest = (std::int64_t{1} << 62) - 1;
    const Nanos start = -kLatest;
    EXPECT_TRUE(limiter.allow("k", kMost, start).allowed);
    EXPECT_FALSE(limiter.allow("k", kMost, start).allowed);
    EXPECT_FALSE(limiter.allow("k", 1, start).allowed);
    const LimitDecision later = limiter.allow("k", 0, kLatest);
    EXPECT_GE(later.remaining, 0);
    EXPECT_LE(later.remaining, kMost);
    EXPECT_GE(later.reset_after, 0);
  }
}

TEST(Bucket, ADebtIsPaidOffAndAReturnIsCapped) {
  const BucketLimit limit{100, rate_of(100, 60 * kSecond)};
  TokenBucket bucket = TokenBucket::full(limit, 0);
  bucket.consume(limit, 130);
  EXPECT_EQ(bucket.evaluate(limit, 1, 0).remaining, 0);
  EXPECT_EQ(bucket.evaluate(limit, 10, 0).retry_after, 24 * kSecond) << "(30 + 10) of 100 a minute";
  bucket.consume(limit, -50);
  EXPECT_EQ(bucket.evaluate(limit, 0, 0).remaining, 20);
  bucket.consume(limit, -500);
  EXPECT_EQ(bucket.evaluate(limit, 0, 0).remaining, 100);
  EXPECT_EQ(bucket.evaluate(limit, 0, 0).reset_after, 0);
}

TEST(Bucket, AnotherLimitKeepsTheUse) {
  const BucketLimit small{100, rate_of(100, kSecond)};
  const BucketLimit large{250, rate_of(250, kSecond)};
  TokenBucket bucket = TokenBucket::full(small, 0);
  bucket.consume(small, 70);
  bucket.change_limit(small, large);
  EXPECT_EQ(bucket.tokens(), 180);
  bucket.change_limit(large, {50, rate_of(50, kSecond)});
  EXPECT_EQ(bucket.tokens(), 0) << "70 of 50 are taken: no debt";
  bucket.consume({50, rate_of(50, kSecond)}, 5);
  bucket.change_limit({50, rate_of(50, kSecond)}, {10, rate_of(10, kSecond)});
  EXPECT_EQ(bucket.tokens(), -5) << "a debt that there was";
  TokenBucket full = TokenBucket::full(small, 0);
  full.change_limit(small, large);
  EXPECT_EQ(full.tokens(), 250);
}

TEST(Bucket, FullInIsTheTimeOfTheMissingUnits) {
  const BucketLimit limit{10, rate_per_second(3)};
  const TokenBucket bucket = TokenBucket::full_after(limit, 2 * kSecond, 0);
  EXPECT_EQ(bucket.tokens(), 4);
  EXPECT_EQ(bucket.wait_for(limit, 10, 0), 2 * kSecond);
  const TokenBucket debtor = TokenBucket::full_after(limit, 5 * kSecond, 0);
  EXPECT_EQ(debtor.tokens(), -5);
}

TEST(TokenBucket, ResetMakesAKeyAsGoodAsNew) {
  TokenBucketLimiter limiter = limiter_of(3, 1);
  EXPECT_FALSE(limiter.reset("k", 0));
  limiter.allow("k", 3, 0);
  limiter.allow("other", 2, 0);
  EXPECT_TRUE(limiter.reset("k", ms(500)));
  EXPECT_EQ(limiter.size(), 1u);
  EXPECT_TRUE(limiter.allow("k", 3, ms(500)).allowed);
  EXPECT_EQ(limiter.allow("other", 0, ms(500)).remaining, 1);
  EXPECT_FALSE(limiter.reset("other", ms(2000)));
}

TEST(TokenBucket, ResetOutdoesTheFloorOfEvictedKeys) {
  TokenBucketLimiter limiter(TokenBucketRule({4, rate_per_second(1)}), 4);
  for (int i = 0; i < 40; ++i) limiter.allow("k" + std::to_string(i), 4, 0);
  EXPECT_FALSE(limiter.allow("late", 1, 0).allowed);
  EXPECT_FALSE(limiter.reset("late", 0));
  EXPECT_TRUE(limiter.allow("late", 4, 0).allowed);
  EXPECT_LE(limiter.size(), 4u);
}

}  // namespace
}  // namespace sluice
