// Times and keys of the limiters, as they cross from and to JavaScript. JavaScript's thread only.
#pragma once

#include <napi.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "addon/napi/arguments.h"
#include "core/base/time.h"

namespace sluice {

/// A time as whole seconds (within 4e9 of 0) and nanoseconds (0 to 1e9): a double of nanoseconds
/// would be exact only up to 2^53 of them, 104 days. NaN seconds mean the monotonic clock.
inline Nanos time_from(double seconds, double nanos) {
  if (std::isnan(seconds)) {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  return static_cast<Nanos>(seconds) * kSecond + static_cast<Nanos>(nanos);
}

/// A wait in nanoseconds for JavaScript, never less than it is; Infinity for never.
inline double wait_for_js(Nanos wait) {
  if (wait == kNever) return std::numeric_limits<double>::infinity();
  const auto nanos = static_cast<double>(wait);
  // Beyond 2^53 the nearest double may be the one below.
  return static_cast<Nanos>(nanos) < wait ? std::nextafter(nanos, HUGE_VAL) : nanos;
}

/// A Float64Array of JavaScript's that both sides read and write, which costs less than objects.
class SharedNumbers {
 public:
  SharedNumbers(napi_env env, napi_value array)
      : holder_(Napi::Persistent(Napi::Object(env, array))) {
    void* data = nullptr;
    std::size_t length = 0;
    napi_get_typedarray_info(env, array, nullptr, &length, &data, nullptr, nullptr);
    numbers_ = {static_cast<double*>(data), length};
  }

  double& operator[](std::size_t index) { return numbers_[index]; }
  [[nodiscard]] std::size_t size() const { return numbers_.size(); }

 private:
  Napi::ObjectReference holder_;
  std::span<double> numbers_;
};

/// A string as UTF-8 that is copied to the stack if it is short.
class KeyText {
 public:
  KeyText(napi_env env, napi_value value) {
    std::size_t length = 0;
    if (value == nullptr ||
        napi_get_value_string_utf8(env, value, short_.data(), short_.size(), &length) != napi_ok) {
      return;
    }
    // A full buffer may be all of the key or not.
    if (length + 4 >= short_.size()) {
      long_ = text_from(env, value);
      view_ = long_;
    } else {
      view_ = {short_.data(), length};
    }
  }
  KeyText(const KeyText&) = delete;
  KeyText& operator=(const KeyText&) = delete;

  [[nodiscard]] std::string_view view() const { return view_; }

 private:
  std::array<char, 256> short_;
  std::string long_;
  std::string_view view_;
};

}  // namespace sluice
