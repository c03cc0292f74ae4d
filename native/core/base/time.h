// Time in core/ is an argument: each state machine takes `now` and states its `next_deadline`.
#pragma once

#include <cstdint>
#include <limits>

namespace sluice {

/// Monotonic time or a span of it, in integer nanoseconds.
using Nanos = std::int64_t;

/// "No deadline": later than any time that occurs.
inline constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

/// `now + span`, with kNever (and anything that would overflow) staying kNever.
/// Both arguments are non-negative.
constexpr Nanos deadline_after(Nanos now, Nanos span) {
  return span >= kNever - now ? kNever : now + span;
}

}  // namespace sluice
