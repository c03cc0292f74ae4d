// The binding of the JavaScript class `Quota`.
#pragma once

#include <napi.h>

#include <string>

#include "addon/napi/method.h"
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
class QuotaWrap final : public Napi::ObjectWrap<QuotaWrap>, private DirectMethods<QuotaWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit QuotaWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] Quota& target() { return quota_; }

 private:
  DimensionId add_windowed(Whole amount, Whole window_ns);
  DimensionId add_held(Whole amount) { return quota_.add_held(amount.value); }
  void set_limit(DimensionId dimension, Whole amount, Whole window_ns);
  void set_limit_of(DimensionId dimension, const std::string& key, Whole amount);
  void clear_limit_of(DimensionId dimension, const std::string& key);
  Napi::Value reserve(const Napi::CallbackInfo& info);
  bool settle(LeaseId lease, std::size_t count);
  bool release(LeaseId lease) { return quota_.release(lease, now()); }
  bool renew(LeaseId lease, Whole lease_ns) { return quota_.renew(lease, lease_ns.value, now()); }
  std::size_t leases() { return quota_.leases(now()); }

  Nanos now();

  Quota quota_;
  SharedNumbers numbers_;
};

}  // namespace sluice
