// The decision of a limiter on one request. Plain values.
#pragma once

#include <cstdint>

#include "core/base/time.h"

namespace sluice {

/// A limiter's decision on one request. Waits count from the `now` of the request.
struct LimitDecision {
  bool allowed = false;
  std::int64_t limit = 0;      ///< the most that can be taken at once
  std::int64_t remaining = 0;  ///< what could be taken now, after this request; not below 0
  Nanos retry_after = 0;       ///< 0 when allowed; else the same request, with no other one before
                               ///< it, is granted after exactly this wait; kNever: never granted
  Nanos reset_after = 0;       ///< the wait until all usage has expired; kNever: never
};

/// The smallest step back in time that counts as a clock set back; time then continues from there.
/// Smaller steps come from threads that read the clock in one order and call in another: time
/// stands still until the clock has caught up. Following such steps would make time run faster with
/// every thread.
inline constexpr Nanos kSetBackMin = 10 * kMillisecond;

/// Moves the time `at` of a limiter's state to `now`. Returns the step forward, 0 for a step back.
constexpr Nanos advance_time(Nanos& at, Nanos now) {
  const Nanos elapsed = now - at;
  if (elapsed > 0 || elapsed <= -kSetBackMin) at = now;
  return elapsed > 0 ? elapsed : 0;
}

}  // namespace sluice
