#include "core/limits/rate.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace sluice {
namespace {

// One token is at most 2^63 units of a nanosecond's share (token_bucket.h).
constexpr double kSecondsMax =
    static_cast<double>(std::numeric_limits<std::int64_t>::max()) / kSecond;

Rate reduced(std::uint64_t tokens, std::uint64_t span) {
  const std::uint64_t common = std::gcd(tokens, span);
  return {tokens / common, span / common};
}

}  // namespace

Rate rate_of(std::int64_t tokens, Nanos span) {
  return reduced(static_cast<std::uint64_t>(tokens), static_cast<std::uint64_t>(span));
}

// Continued fractions: each convergent is the best approximation with a denominator of its size.
Rate rate_per_second(double per_second) {
  double numerator = std::floor(per_second);
  double denominator = 1;
  double last_numerator = 1;
  double last_denominator = 0;
  double rest = per_second - numerator;
  while (numerator / denominator != per_second && rest > 0) {
    const double reciprocal = 1 / rest;
    const double whole = std::floor(reciprocal);
    const double next_denominator = whole * denominator + last_denominator;
    if (!(next_denominator < kSecondsMax)) break;
    const double next_numerator = whole * numerator + last_numerator;
    last_numerator = numerator;
    last_denominator = denominator;
    numerator = next_numerator;
    denominator = next_denominator;
    rest = reciprocal - whole;
  }
  return reduced(static_cast<std::uint64_t>(numerator),
                 static_cast<std::uint64_t>(denominator) * static_cast<std::uint64_t>(kSecond));
}

}  // namespace sluice
