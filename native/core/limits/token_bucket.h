// The token bucket: one bucket's arithmetic, and the rule by which a table of them is kept.
//
// Exact: a bucket holds whole tokens and a part of one in units of `1 / rate.span` token, of which
// each nanosecond brings `rate.tokens`. Nothing is rounded but the waits that are returned, up to
// the next nanosecond. Plain state, not thread-safe: KeyedLimiter and Quota lock.
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

/// Times lie less than 2^62 ns from 0. The balance may be negative: a debt, paid off by the refill.
struct Bucket {
  std::int64_t tokens = 0;  ///< whole ones, rounded down
  std::uint64_t part = 0;   ///< below rate.span
  Nanos at = 0;             ///< as of when
};

/// A bucket that nothing was taken from.
Bucket full_bucket(const BucketLimit& limit, Nanos now);

/// A bucket that will be full `wait` after `now` (at most 1 ns' tokens less).
Bucket bucket_full_in(const BucketLimit& limit, Nanos wait, Nanos now);

/// Adds what has come in since. A step back in time adds nothing (limit_decision.h).
void refill(Bucket& bucket, const BucketLimit& limit, Nanos now);

/// How long until the refilled bucket holds `tokens`; 0 when it does.
Nanos wait_for(const Bucket& bucket, const BucketLimit& limit, std::int64_t tokens, Nanos now);

/// What taking `cost` (at least 0) from the refilled bucket comes to; takes nothing. A cost of 0 is
/// always granted.
LimitDecision weigh(const Bucket& bucket, const BucketLimit& limit, std::int64_t cost, Nanos now);

/// Takes `cost` tokens, whether or not they are there; a negative cost gives some back, up to the
/// capacity.
void charge(Bucket& bucket, const BucketLimit& limit, std::int64_t cost);

/// Puts a refilled bucket under another limit. What was taken stays taken: of 70 missing tokens 70
/// are missing in a larger bucket. A smaller one is empty where it would have to be in debt, or
/// keeps the debt that there was. A part of a token is rounded down.
void change_limit(Bucket& bucket, const BucketLimit& from, const BucketLimit& to);

/// What is known of keys that were forgotten before they were full: all of them were full by
/// `at + wait`, whatever their limits.
struct BucketFloor {
  Nanos wait = 0;
  Nanos at = 0;

  /// How much later than `now` that is.
  [[nodiscard]] Nanos wait_at(Nanos now);
  /// Includes a bucket that is full in `its_wait`.
  void include(Nanos its_wait, Nanos now);
  /// Tokens come in at another rate from `now` on; if it is lower, the wait is longer.
  void change_rate(const Rate& from, const Rate& to, Nanos now);
};

/// The rule of KeyedLimiter for buckets of one limit.
class TokenBucketRule {
 public:
  using State = Bucket;
  using Floor = BucketFloor;

  explicit TokenBucketRule(const BucketLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(Floor& floor, Nanos now) const {
    const Nanos wait = floor.wait_at(now);
    return wait == 0 ? full_bucket(limit_, now) : bucket_full_in(limit_, wait, now);
  }
  LimitDecision decide(State& bucket, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(State bucket, Nanos now) const { return decide(bucket, 0, now); }
  [[nodiscard]] Nanos reset_after(State bucket, Nanos now) const {
    refill(bucket, limit_, now);
    return wait_for(bucket, limit_, limit_.capacity, now);
  }
  void forget(Floor& floor, const State& bucket, Nanos now) const {
    floor.include(reset_after(bucket, now), now);
  }

 private:
  BucketLimit limit_;
};

}  // namespace sluice
