// The delay before a retry. Time and randomness are arguments. Any thread.
#pragma once

#include <cstdint>

#include "core/base/time.h"

namespace sluice {

/// Full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): for the n-th retry from 0,
/// uniform in [0, min(cap, base * 2^n)). No n overflows.
/// @param base, cap not negative.
/// @param random uniform in [0, 1); anything else, NaN included, counts as the nearer end or 0.
constexpr Nanos full_jitter(Nanos base, Nanos cap, std::uint64_t retry, double random) {
  // base * 2^n <= cap is asked as base <= cap / 2^n: that way nothing grows.
  const bool below_cap = retry < 63 && base <= (cap >> retry);
  const Nanos ceiling = base == 0 ? 0 : below_cap ? base << retry : cap;
  if (!(random > 0.0)) return 0;
  // As a double the largest ceiling is one more than fits.
  const double delay = static_cast<double>(ceiling) * random;
  return delay < static_cast<double>(ceiling) ? static_cast<Nanos>(delay) : ceiling;
}

}  // namespace sluice
