// The binding of the JavaScript class `Quota`.
#pragma once

#include <napi.h>

#include "addon/napi/shared_memory.h"
#include "core/limits/quota.h"

namespace sluice {

/// The JavaScript class `Quota`, private to lib/primitives/limiters/quota.js: a Quota, called
/// synchronously.
///
///   new Quota(numbers, maxKeys, maxLeases)
///   addWindowed(amount, windowNs) -> dimension     addHeld(amount) -> dimension
///   setLimit(dimension, amount, windowNs)
///   setLimitOf(dimension, key, amount)             clearLimitOf(dimension, key)
///   reserve(leaseNs, ...keys) -> allowed
///   settle(lease, count) -> done                   release(lease) -> done
///   renew(lease, leaseNs) -> done
///   leases(), keys(dimension)
///
/// `numbers` is a Float64Array that passes arguments and results without an object. Places 0 and 1
/// are the time of the call: whole seconds (NaN: the monotonic clock) and nanoseconds. After them
/// `reserve` reads `dimension, cost` for each key, and `settle` the use of each of `count` shares,
/// negative for the reserved amount. `reserve` writes, from place 0 on,
///   retryAfter, lease, expiresAt (whole seconds, nanoseconds), 1 if there are too many leases
/// and then, for each key, `allowed, limit, remaining, retryAfter, resetAfter`; waits in
/// nanoseconds, Infinity for never.
///
/// JavaScript's thread only; ends with garbage collection.
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

  Nanos now();

  Quota quota_;
  SharedNumbers numbers_;
};

}  // namespace sluice
