#include "core/limits/token_bucket.h"

#include <algorithm>
#include <limits>

namespace sluice {
namespace {

// Products of a span and a rate need up to 116 bits.
__extension__ using UnsignedWide = unsigned __int128;

// The largest debt, far beyond any that could be paid off.
constexpr std::int64_t kDebtMax = std::int64_t{1} << 62;

struct Units {
  std::uint64_t whole;  // tokens, at most 2^63 - 1
  std::uint64_t part;
};

std::uint64_t saturated(UnsignedWide value) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return value > kMax ? kMax : static_cast<std::uint64_t>(value);
}

// The tokens gained in `elapsed`, plus `part`. Usually it fits 64 bits, whose division is cheaper.
Units gain(const Rate& rate, Nanos elapsed, std::uint64_t part) {
  std::uint64_t units = 0;
  if (!__builtin_mul_overflow(static_cast<std::uint64_t>(elapsed), rate.tokens, &units) &&
      !__builtin_add_overflow(units, part, &units)) {
    return {units / rate.span, units % rate.span};
  }
  const UnsignedWide wide = static_cast<UnsignedWide>(elapsed) * rate.tokens + part;
  return {saturated(wide / rate.span), static_cast<std::uint64_t>(wide % rate.span)};
}

// ceil((missing * span - part) / tokens), for a positive number of missing tokens.
Nanos time_for(const Rate& rate, std::uint64_t missing, std::uint64_t part) {
  std::uint64_t units = 0;
  if (!__builtin_mul_overflow(missing, rate.span, &units)) {
    units -= part;
    const std::uint64_t nanos = units / rate.tokens + (units % rate.tokens != 0);
    return static_cast<Nanos>(saturated(nanos));
  }
  const UnsignedWide wide = static_cast<UnsignedWide>(missing) * rate.span - part;
  return static_cast<Nanos>(saturated((wide + rate.tokens - 1) / rate.tokens));
}

}  // namespace

TokenBucket TokenBucket::full(const BucketLimit& limit, Nanos now) {
  return {limit.capacity, 0, now};
}

TokenBucket TokenBucket::full_after(const BucketLimit& limit, Nanos wait, Nanos now) {
  // At most one nanosecond's share too much is missing, since wait_for rounds up.
  const Units missing = gain(limit.rate, wait, 0);
  const auto whole = static_cast<std::int64_t>(
      std::min(missing.whole, static_cast<std::uint64_t>(kDebtMax - limit.capacity)));
  const std::int64_t tokens = limit.capacity - whole;
  if (missing.part == 0) return {tokens, 0, now};
  return {tokens - 1, limit.rate.span - missing.part, now};
}

void TokenBucket::refill(const BucketLimit& limit, Nanos now) {
  const Nanos elapsed = advance_time(at_, now);
  if (elapsed == 0 || tokens_ >= limit.capacity) return;
  const Units gained = gain(limit.rate, elapsed, part_);
  if (gained.whole >= static_cast<std::uint64_t>(limit.capacity - tokens_)) {
    tokens_ = limit.capacity;
    part_ = 0;
    return;
  }
  tokens_ += static_cast<std::int64_t>(gained.whole);
  part_ = gained.part;
}

Nanos TokenBucket::wait_for(const BucketLimit& limit, std::int64_t tokens, Nanos now) const {
  if (tokens <= tokens_) return 0;
  const auto missing = static_cast<std::uint64_t>(tokens - tokens_);
  // The bucket is ahead of `now` after a small step back.
  return deadline_after(at_ - now, time_for(limit.rate, missing, part_));
}

LimitDecision TokenBucket::evaluate(const BucketLimit& limit, std::int64_t cost, Nanos now) const {
  LimitDecision decision;
  decision.limit = limit.capacity;
  decision.allowed = cost == 0 || cost <= tokens_;
  if (!decision.allowed) {
    decision.retry_after = cost > limit.capacity ? kNever : wait_for(limit, cost, now);
  }
  decision.remaining = std::max<std::int64_t>(tokens_, 0);
  decision.reset_after = wait_for(limit, limit.capacity, now);
  return decision;
}

void TokenBucket::consume(const BucketLimit& limit, std::int64_t cost) {
  if (cost >= 0) {
    tokens_ = std::max(tokens_, cost - kDebtMax) - cost;
  } else if (limit.capacity - tokens_ <= -cost) {
    tokens_ = limit.capacity;
    part_ = 0;
  } else {
    tokens_ -= cost;
  }
}

void TokenBucket::change_limit(const BucketLimit& from, const BucketLimit& to) {
  const std::int64_t tokens = tokens_ - from.capacity + to.capacity;
  const bool in_debt_by_this = tokens < 0 && tokens < tokens_;
  tokens_ = in_debt_by_this ? std::min<std::int64_t>(tokens_, 0) : tokens;
  const UnsignedWide scaled = static_cast<UnsignedWide>(part_) * to.rate.span / from.rate.span;
  part_ = in_debt_by_this ? 0 : static_cast<std::uint64_t>(scaled);
}

Nanos BucketEvictionFloor::wait_at(Nanos now) {
  wait = std::max<Nanos>(wait - advance_time(at, now), 0);
  return wait == 0 ? 0 : deadline_after(at - now, wait);
}

void BucketEvictionFloor::include(Nanos its_wait, Nanos now) {
  const Nanos mine = wait_at(now);
  if (its_wait <= mine) return;
  wait = its_wait;
  at = now;
}

void BucketEvictionFloor::change_rate(const Rate& from, const Rate& to, Nanos now) {
  wait = wait_at(now);
  at = now;
  if (wait == 0 || from == to) return;
  // wait * (from.tokens / from.span) / (to.tokens / to.span), in steps that fit.
  const std::uint64_t tokens = static_cast<std::uint64_t>(
      saturated(static_cast<UnsignedWide>(wait) * from.tokens / from.span + 1));
  wait = std::max(wait, time_for(to, tokens, 0));
}

LimitDecision TokenBucketRule::decide(State& bucket, std::int64_t cost, Nanos now) const {
  bucket.refill(limit_, now);
  if (cost == 0 || cost > bucket.tokens()) return bucket.evaluate(limit_, cost, now);
  bucket.consume(limit_, cost);
  return bucket.evaluate(limit_, 0, now);
}

}  // namespace sluice
