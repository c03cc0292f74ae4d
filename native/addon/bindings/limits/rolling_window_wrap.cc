#include "addon/bindings/limits/rolling_window_wrap.h"

#include <array>
#include <limits>

#include "addon/napi/arguments.h"

namespace sluice {

Napi::Function RollingWindowWrap::define(Napi::Env env) {
  return DefineClass(env, "RollingWindow",
                     {
                         InstanceMethod<&RollingWindowWrap::add>("add"),
                         InstanceMethod<&RollingWindowWrap::totals>("totals"),
                         InstanceMethod<&RollingWindowWrap::newest_ms>("newestMs"),
                     });
}

RollingWindowWrap::RollingWindowWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      window_(static_cast<std::int64_t>(number_from(info.Env(), info[0])),
              static_cast<std::size_t>(count_from(info.Env(), info[1]))) {}

Napi::Value RollingWindowWrap::add(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto time_ms = static_cast<std::int64_t>(number_from(env, info[0]));
  return Napi::Boolean::New(env, window_.add(time_ms, number_from(env, info[1])));
}

Napi::Value RollingWindowWrap::totals(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto totals = window_.totals(static_cast<std::int64_t>(number_from(env, info[0])));
  return array_of(
      env, std::array{static_cast<double>(totals.count), totals.sum,
                      static_cast<double>(totals.first_ms), static_cast<double>(totals.last_ms)});
}

Napi::Value RollingWindowWrap::newest_ms(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), window_.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                       : static_cast<double>(window_.newest_ms()));
}

}  // namespace sluice
