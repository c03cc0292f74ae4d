// A JavaScript array of numbers and texts.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string_view>

namespace sluice {

/// A JavaScript array of numbers and texts, filled from the front, for frequent calls.
///
/// Raw Node-API calls. One that fails (the environment is being terminated) leaves a hole.
/// JavaScript's thread only; lives within one call.
class FlatArray {
 public:
  explicit FlatArray(napi_env env) : env_(env) { napi_create_array(env_, &array_); }

  [[nodiscard]] Napi::Value value() const { return {env_, array_}; }

  void append(double number) {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    append(value);
  }

  void append(std::string_view text) {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &value);
    append(value);
  }

 private:
  void append(napi_value value) {
    if (array_ != nullptr && value != nullptr) napi_set_element(env_, array_, length_, value);
    ++length_;
  }

  napi_env env_;
  napi_value array_ = nullptr;
  std::uint32_t length_ = 0;
};

}  // namespace sluice
