// Time as the core sees it: an argument, never a call.
//
// Every state machine in core/ takes `now` from its caller and states when it next wants to be
// called (`next_deadline`). The runtime passes the monotonic clock; tests and ManualClock pass
// what they like. Any thread; plain values.
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
