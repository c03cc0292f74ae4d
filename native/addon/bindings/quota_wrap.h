// The JavaScript class `Quota`, private to lib/primitives/limiters/quota.js: core/quota.h,
// synchronous.
//
//   new Quota(numbers, maxKeys, maxLeases)
//   addWindowed(amount, windowNs) -> dimension     addHeld(amount) -> dimension
//   setLimit(dimension, amount, windowNs, nowNs)
//   setLimitOf(dimension, key, amount, nowNs)      clearLimitOf(dimension, key, nowNs)
//   reserve(leaseNs, nowNs, ...keys) -> allowed
//   settle(lease, count, nowNs) -> done            release(lease, nowNs) -> done
//   renew(lease, leaseNs, nowNs) -> done
//   leases(nowNs), keys(dimension)
//
// `nowNs` NaN is the monotonic clock. `numbers` is a Float64Array for what goes in and out by the
// dozen. reserve takes from it `dimension, cost` for each key, and leaves there
//   retryAfter, lease, expiresAt, 1 if there are too many leases
// and then, for each key, `allowed, limit, remaining, retryAfter, resetAfter`; all times in
// nanoseconds, Infinity for never. settle takes from it what was used of each of `count` shares,
// negative for what was reserved.
//
// JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include "addon/napi/shared_memory.h"
#include "core/limits/quota.h"

namespace sluice {

class QuotaWrap final : public Napi::ObjectWrap<QuotaWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit QuotaWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value add_windowed(const Napi::CallbackInfo& info);
  Napi::Value add_held(const Napi::CallbackInfo& info);
  void set_limit(const Napi::CallbackInfo& info);
  void set_limit_of(const Napi::CallbackInfo& info);
  void clear_limit_of(const Napi::CallbackInfo& info);
  Napi::Value reserve(const Napi::CallbackInfo& info);
  Napi::Value settle(const Napi::CallbackInfo& info);
  Napi::Value release(const Napi::CallbackInfo& info);
  Napi::Value renew(const Napi::CallbackInfo& info);
  Napi::Value leases(const Napi::CallbackInfo& info);
  Napi::Value keys(const Napi::CallbackInfo& info);

  Quota quota_;
  SharedNumbers numbers_;
};

}  // namespace sluice
