// What every limiter answers.
//
// Plain values.
#pragma once

#include <cstdint>

#include "core/base/time.h"

namespace sluice {

/// A limiter's answer to one request. Spans count from the `now` of the request.
struct LimitDecision {
  bool allowed = false;
  std::int64_t limit = 0;      ///< the most that can be taken at once
  std::int64_t remaining = 0;  ///< what could be taken now, after this request; not below 0
  Nanos retry_after = 0;       ///< 0 when allowed; else, left alone, the same request is granted
                               ///< after exactly this wait and no earlier; kNever: at no time
  Nanos reset_after = 0;       ///< when nothing of what was taken counts any more; kNever: never
};

/// The least step back in time that is taken for a clock that was set back, from which time then
/// goes on. A smaller one is taken for threads that read a clock in one order and came here in
/// another: for these, time stands still until it has caught up. Were each of them believed, time
/// would run faster the more threads there are.
inline constexpr Nanos kSetBackMin = 10 * kMillisecond;

/// Moves the time `at` of a limiter's state to `now`, and returns by how much it went forward:
/// 0 for any step back.
constexpr Nanos advance_time(Nanos& at, Nanos now) {
  const Nanos elapsed = now - at;
  if (elapsed > 0 || elapsed <= -kSetBackMin) at = now;
  return elapsed > 0 ? elapsed : 0;
}

}  // namespace sluice
