#include "addon/bindings/limits/rolling_window_wrap.h"

#include <limits>

namespace sluice {

Napi::Function RollingWindowWrap::define(Napi::Env env) {
  return DefineClass(env, "RollingWindow",
                     {
                         method<&RollingWindowWrap::add>("add"),
                         method<&RollingWindowWrap::totals>("totals"),
                         method<&RollingWindowWrap::newest_ms>("newestMs"),
                     });
}

RollingWindowWrap::RollingWindowWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      window_(FromJs<Whole>::read(info.Env(), info[0]).value,
              FromJs<std::size_t>::read(info.Env(), info[1])) {}

std::array<double, 4> RollingWindowWrap::totals(Whole now_ms) {
  const auto totals = window_.totals(now_ms.value);
  return {static_cast<double>(totals.count), totals.sum, static_cast<double>(totals.first_ms),
          static_cast<double>(totals.last_ms)};
}

double RollingWindowWrap::newest_ms() const {
  return window_.empty() ? std::numeric_limits<double>::quiet_NaN()
                         : static_cast<double>(window_.newest_ms());
}

}  // namespace sluice
