// The binding of the JavaScript class `RollingWindow`.
#pragma once

#include <napi.h>

#include "core/containers/rolling_window.h"

namespace sluice {

/// The JavaScript class `RollingWindow`, private to lib/primitives/limiters/rolling-window.js.
///
///   new RollingWindow(windowMs, maxEntries)
///   add(timeMs, value)   false: too old
///   totals(nowMs)        [count, sum, firstMs, lastMs]
///   newestMs()           NaN for none
///
/// JavaScript's thread only; ends with garbage collection.
class RollingWindowWrap final : public Napi::ObjectWrap<RollingWindowWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit RollingWindowWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value totals(const Napi::CallbackInfo& info);
  Napi::Value newest_ms(const Napi::CallbackInfo& info);

  RollingWindow window_;
};

}  // namespace sluice
