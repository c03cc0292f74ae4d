// The binding of the JavaScript class `RollingWindow`.
#pragma once

#include <napi.h>

#include <array>

#include "addon/napi/method.h"
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
class RollingWindowWrap final : public Napi::ObjectWrap<RollingWindowWrap>,
                                private DirectMethods<RollingWindowWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit RollingWindowWrap(const Napi::CallbackInfo& info);

 private:
  bool add(Whole time_ms, double value) { return window_.add(time_ms.value, value); }
  [[nodiscard]] std::array<double, 4> totals(Whole now_ms);
  [[nodiscard]] double newest_ms() const;

  RollingWindow window_;
};

}  // namespace sluice
