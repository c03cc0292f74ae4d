// The token bucket: exact arithmetic of one bucket, and a limiter rule with a bucket per key.
#pragma once

#include <cstdint>

#include "core/base/time.h"
#include "core/limits/limit_decision.h"
#include "core/limits/rate.h"

namespace sluice {

/// A bucket holds at most `capacity` tokens and gains `rate` of them continuously.
struct BucketLimit {
  std::int64_t capacity = 0;  ///< 0 to 2^53; 0: nothing is granted
  Rate rate{1, 1};
};

/// The balance of a bucket: whole tokens, and a part of one in units of `1 / rate.span` token, of
/// which each nanosecond adds `rate.tokens`. That is exact; only returned waits are rounded, up to
/// the next nanosecond. A negative balance is a debt, which the refill pays off. Times lie less
/// than 2^62 ns from 0. Plain values; KeyedLimiter and Quota lock.
struct Bucket {
  std::int64_t tokens = 0;  ///< whole ones, rounded down
  std::uint64_t part = 0;   ///< below rate.span
  Nanos at = 0;             ///< the time of this balance
};

/// A full bucket.
Bucket full_bucket(const BucketLimit& limit, Nanos now);

/// A bucket that will be full `wait` after `now` (at most 1 ns' tokens less).
Bucket bucket_full_in(const BucketLimit& limit, Nanos wait, Nanos now);

/// Adds the tokens gained since the last refill. A step back in time adds none (limit_decision.h).
void refill(Bucket& bucket, const BucketLimit& limit, Nanos now);

/// The wait until the refilled bucket holds `tokens`; 0 when it does.
Nanos wait_for(const Bucket& bucket, const BucketLimit& limit, std::int64_t tokens, Nanos now);

/// Decides on taking `cost` (at least 0) from the refilled bucket; takes nothing. A cost of 0 is
/// always granted.
LimitDecision evaluate(const Bucket& bucket, const BucketLimit& limit, std::int64_t cost,
                       Nanos now);

/// Takes `cost` tokens, available or not; a negative cost gives some back, up to the capacity.
void consume(Bucket& bucket, const BucketLimit& limit, std::int64_t cost);

/// Changes the limit of a refilled bucket. Usage is kept: 70 missing tokens are missing in a larger
/// bucket too. A smaller bucket becomes empty rather than indebted, but an existing debt stays. A
/// part of a token is rounded down.
void change_limit(Bucket& bucket, const BucketLimit& from, const BucketLimit& to);

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
  using State = Bucket;
  using EvictionFloor = BucketEvictionFloor;

  explicit TokenBucketRule(const BucketLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now) const {
    const Nanos wait = floor.wait_at(now);
    return wait == 0 ? full_bucket(limit_, now) : bucket_full_in(limit_, wait, now);
  }
  LimitDecision decide(State& bucket, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(State bucket, Nanos now) const { return decide(bucket, 0, now); }
  [[nodiscard]] Nanos reset_after(State bucket, Nanos now) const {
    refill(bucket, limit_, now);
    return wait_for(bucket, limit_, limit_.capacity, now);
  }
  void forget(EvictionFloor& floor, const State& bucket, Nanos now) const {
    floor.include(reset_after(bucket, now), now);
  }

 private:
  BucketLimit limit_;
};

}  // namespace sluice
