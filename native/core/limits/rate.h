// Rates as fractions of integers, so that only returned waits are rounded. Plain values.
#pragma once

#include <cstdint>

#include "core/base/time.h"

namespace sluice {

/// `tokens` per `span` nanoseconds, in lowest terms; both at least 1.
struct Rate {
  std::uint64_t tokens;
  std::uint64_t span;

  bool operator==(const Rate&) const = default;
};

/// The bounds of `rate_per_second`.
inline constexpr double kRatePerSecondMin = 1e-9;
inline constexpr double kRatePerSecondMax = 1e12;

/// `tokens` per `span`, both at least 1.
Rate rate_of(std::int64_t tokens, Nanos span);

/// The simplest fraction that rounds to the given double: 0.1 is one in ten seconds, although no
/// double is a tenth, and 10/13 computed in doubles is ten in thirteen. Denominators are at most
/// 9.2e9 s; the relative error of a double that needs a larger one is below 1e-9.
/// `per_second` is within the bounds above.
Rate rate_per_second(double per_second);

}  // namespace sluice
