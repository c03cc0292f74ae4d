// The JavaScript classes of the limiters with keys, private to
// lib/primitives/limiters/keyed-limiter.js:
//
//   new TokenBucket(answer, maxKeys, capacity, refillPerSecond)
//   new FixedWindow(answer, maxKeys, limit, windowNs)
//   new SlidingLog(answer, maxKeys, limit, windowNs)
//   new SlidingCounter(answer, maxKeys, limit, windowNs)
//   allow(key, cost, nowNs) -> allowed    nowNs NaN: the monotonic clock
//   size()                                keys held
//
// `answer` is a Float64Array of 3 that every `allow` fills in, which costs less than an object:
// remaining, retryAfter, resetAfter; the two waits in nanoseconds, Infinity for never. Keys are
// compared as UTF-8.
//
// JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include "addon/napi/shared_memory.h"
#include "core/limits/keyed_limiter.h"
#include "core/limits/window_limiter.h"

namespace sluice {

template <typename Limiter>
class LimiterWrap final : public Napi::ObjectWrap<LimiterWrap<Limiter>> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LimiterWrap(const Napi::CallbackInfo& info);

 private:
  static napi_value allow(napi_env env, napi_callback_info info);
  Napi::Value size(const Napi::CallbackInfo& info);

  Limiter limiter_;
  SharedNumbers answer_;
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
