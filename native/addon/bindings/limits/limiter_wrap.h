// The bindings of the JavaScript classes of the limiters with keys.
#pragma once

#include <napi.h>

#include <string>

#include "addon/napi/method.h"
#include "addon/napi/shared_memory.h"
#include "core/limits/keyed_limiter.h"
#include "core/limits/window_limiter.h"

namespace sluice {

/// The JavaScript classes of the limiters with keys, private to
/// lib/primitives/limiters/keyed-limiter.js:
///
///   new TokenBucket(numbers, maxKeys, capacity, refillPerSecond)
///   new FixedWindow(numbers, maxKeys, limit, windowNs)
///   new SlidingLog(numbers, maxKeys, limit, windowNs)
///   new SlidingCounter(numbers, maxKeys, limit, windowNs)
///   allow(key, cost) -> allowed
///   reset(key)       -> whether any usage of the key was unexpired
///   size()           -> keys held
///
/// `numbers` is a Float64Array of 5, cheaper than arguments and a result object. `allow` and
/// `reset` read the time from places 0 (whole seconds; NaN: the monotonic clock) and 1
/// (nanoseconds); `allow` writes remaining, retryAfter and resetAfter to places 2 to 4, the waits
/// in nanoseconds, Infinity for never. Keys are compared as UTF-8.
///
/// JavaScript's thread only; ends with garbage collection.
template <typename Limiter>
class LimiterWrap final : public Napi::ObjectWrap<LimiterWrap<Limiter>>,
                          private DirectMethods<LimiterWrap<Limiter>> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LimiterWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] Limiter& target() { return limiter_; }

 private:
  static napi_value allow(napi_env env, napi_callback_info info);
  bool reset(const std::string& key) { return limiter_.reset(key, now()); }

  Nanos now();

  Limiter limiter_;
  SharedNumbers numbers_;
};

using TokenBucketWrap = LimiterWrap<TokenBucketLimiter>;
using FixedWindowWrap = LimiterWrap<FixedWindowLimiter>;
using SlidingLogWrap = LimiterWrap<SlidingLogLimiter>;
using SlidingCounterWrap = LimiterWrap<SlidingCounterLimiter>;

extern template class LimiterWrap<TokenBucketLimiter>;
extern template class LimiterWrap<FixedWindowLimiter>;
extern template class LimiterWrap<SlidingLogLimiter>;
extern template class LimiterWrap<SlidingCounterLimiter>;

}  // namespace sluice
