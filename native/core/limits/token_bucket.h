// The token bucket: exact arithmetic of one bucket, and a limiter rule with a bucket per key.
#pragma once

#include <cstdint>

#include "core/base/time.h"
#include "core/limits/limit_decision.h"
#include "core/limits/rate.h"

namespace sluice {

/// The limit of a token bucket.
struct BucketLimit {
  std::int64_t capacity = 0;  ///< tokens at once, 0 to 2^53; 0: nothing is granted
  Rate rate{1, 1};            ///< tokens in the long run
};

/// A token bucket (https://en.wikipedia.org/wiki/Token_bucket). It starts full; a request takes its
/// cost or is refused; tokens come back continuously, up to the capacity. Nothing runs in between:
/// `refill` adds the tokens gained since the last refill, and all other members act on that
/// balance. A negative balance is a debt, which the refill pays off.
///
/// Exact: the balance is whole tokens and a part of one in units of `1 / rate.span` token, of which
/// each nanosecond adds `rate.tokens`. Only returned waits are rounded, up to the next nanosecond.
///
/// A bucket does not hold its limit, because many buckets share one: callers pass the same limit to
/// each call until they change it. Times lie less than 2^62 ns from 0. Not thread-safe;
/// KeyedLimiter and Quota lock.
class TokenBucket {
 public:
  /// An empty bucket, at time 0.
  TokenBucket() = default;
  /// A full bucket.
  static TokenBucket full(const BucketLimit& limit, Nanos now);
  /// A bucket that will be full `wait` after `now` (at most 1 ns' tokens less).
  static TokenBucket full_after(const BucketLimit& limit, Nanos wait, Nanos now);

  /// Adds the tokens gained since the last refill. A step back in time adds none
  /// (limit_decision.h).
  void refill(const BucketLimit& limit, Nanos now);

  /// Decides on taking `cost` (at least 0); takes nothing. A cost of 0 is always granted.
  [[nodiscard]] LimitDecision evaluate(const BucketLimit& limit, std::int64_t cost,
                                       Nanos now) const;

  /// Takes `cost` tokens, available or not; a negative cost gives some back, up to the capacity.
  void consume(const BucketLimit& limit, std::int64_t cost);

  /// Changes the limit. Usage is kept: 70 missing tokens are missing in a larger bucket too. A
  /// smaller bucket becomes empty rather than indebted, but an existing debt stays. A part of a
  /// token is rounded down.
  void change_limit(const BucketLimit& from, const BucketLimit& to);

  /// The wait until the bucket holds `tokens`; 0 when it does.
  [[nodiscard]] Nanos wait_for(const BucketLimit& limit, std::int64_t tokens, Nanos now) const;

  /// Whole tokens at the last refill, rounded down.
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

 private:
  TokenBucket(std::int64_t tokens, std::uint64_t part, Nanos at)
      : tokens_(tokens), part_(part), at_(at) {}

  std::int64_t tokens_ = 0;
  std::uint64_t part_ = 0;  // below rate.span
  Nanos at_ = 0;            // the time of the last refill
};

/// A bound on the buckets evicted before they were full: each would be full by `at + wait`,
/// whatever its limit.
struct BucketEvictionFloor {
  Nanos wait = 0;
  Nanos at = 0;

  /// The wait from `now` until then.
  [[nodiscard]] Nanos wait_at(Nanos now);
  /// Extends the bound to a bucket that is full in `its_wait`.
  void include(Nanos its_wait, Nanos now);
  /// Adapts the bound to another rate from `now` on: a lower one makes the wait longer.
  void change_rate(const Rate& from, const Rate& to, Nanos now);
};

/// The rule of KeyedLimiter for buckets of one limit.
class TokenBucketRule {
 public:
  using State = TokenBucket;
  using EvictionFloor = BucketEvictionFloor;

  explicit TokenBucketRule(const BucketLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now) const {
    const Nanos wait = floor.wait_at(now);
    return wait == 0 ? State::full(limit_, now) : State::full_after(limit_, wait, now);
  }
  LimitDecision decide(State& bucket, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(State bucket, Nanos now) const { return decide(bucket, 0, now); }
  [[nodiscard]] Nanos reset_after(State bucket, Nanos now) const {
    bucket.refill(limit_, now);
    return bucket.wait_for(limit_, limit_.capacity, now);
  }
  void forget(EvictionFloor& floor, const State& bucket, Nanos now) const {
    floor.include(reset_after(bucket, now), now);
  }

 private:
  BucketLimit limit_;
};

}  // namespace sluice
