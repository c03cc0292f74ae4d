// Conversions between JavaScript values and C++ types, by type. JavaScript's thread only.
#pragma once

#include <napi.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "addon/napi/arguments.h"
#include "addon/napi/reactor_wrap.h"
#include "core/base/time.h"

namespace sluice {

/// Reads a JavaScript value as a `T`: `static T read(napi_env, napi_value)`. A binding adds
/// specializations for its own types. As in arguments.h, a value of another type gives an empty or
/// zero `T`, never an error.
template <typename T>
struct FromJs;

template <>
struct FromJs<bool> {
  static bool read(napi_env env, napi_value value) { return flag_from(env, value); }
};

template <>
struct FromJs<double> {
  static double read(napi_env env, napi_value value) { return number_from(env, value); }
};

/// A signed whole number; a plain int64 is a Nanos.
struct Whole {
  std::int64_t value = 0;
};

template <>
struct FromJs<Whole> {
  static Whole read(napi_env env, napi_value value) {
    return {static_cast<std::int64_t>(number_from(env, value))};
  }
};

/// A BigInt within 64 bits.
struct BigInt {
  std::int64_t value = 0;
};

template <>
struct FromJs<BigInt> {
  static BigInt read(napi_env env, napi_value value) { return {bigint64_from(env, value)}; }
};

/// A handle, a count or a size.
template <std::unsigned_integral T>
struct FromJs<T> {
  static T read(napi_env env, napi_value value) { return static_cast<T>(count_from(env, value)); }
};

/// A span of time; JavaScript passes milliseconds.
template <>
struct FromJs<Nanos> {
  static Nanos read(napi_env env, napi_value value) {
    return nanos_from_ms(number_from(env, value));
  }
};

template <>
struct FromJs<std::string> {
  static std::string read(napi_env env, napi_value value) { return text_from(env, value); }
};

template <>
struct FromJs<std::u16string> {
  static std::u16string read(napi_env env, napi_value value) { return text16_from(env, value); }
};

/// The value itself, valid during the call.
template <>
struct FromJs<napi_value> {
  static napi_value read(napi_env /*env*/, napi_value value) { return value; }
};

/// The bytes of a Uint8Array, copied.
struct Bytes {
  std::string data;
};

template <>
struct FromJs<Bytes> {
  static Bytes read(napi_env env, napi_value value) {
    return {std::string(bytes_from(env, value))};
  }
};

template <typename T>
struct FromJs<std::vector<T>> {
  static std::vector<T> read(napi_env env, napi_value value) {
    const std::vector<napi_value> elements = elements_of(env, value);
    std::vector<T> out;
    out.reserve(elements.size());
    for (napi_value element : elements) out.push_back(FromJs<T>::read(env, element));
    return out;
  }
};

/// The members of a JavaScript object, by name.
class Members {
 public:
  Members(napi_env env, napi_value object) : env_(env), object_(object) {}

  [[nodiscard]] napi_value value(const char* name) const { return member_of(env_, object_, name); }

  template <typename T>
  [[nodiscard]] T get(const char* name) const {
    return FromJs<T>::read(env_, value(name));
  }

 private:
  napi_env env_;
  napi_value object_;
};

/// The elements of a JavaScript array, by place. One that is missing reads as undefined.
class Places {
 public:
  Places(napi_env env, napi_value array) : env_(env), array_(array) {}

  [[nodiscard]] napi_value value(std::uint32_t place) const {
    napi_value element = nullptr;
    return napi_get_element(env_, array_, place, &element) == napi_ok ? element : nullptr;
  }

  template <typename T>
  [[nodiscard]] T get(std::uint32_t place) const {
    return FromJs<T>::read(env_, value(place));
  }

 private:
  napi_env env_;
  napi_value array_;
};

/// Makes a JavaScript value of a `T`: `static napi_value make(napi_env, const T&)`. nullptr, which
/// JavaScript receives as undefined, while the environment is being terminated. A binding adds
/// specializations for its own types.
template <typename T>
struct ToJs;

template <typename T>
napi_value to_js(napi_env env, const T& value) {
  return ToJs<T>::make(env, value);
}

template <>
struct ToJs<bool> {
  static napi_value make(napi_env env, bool value) {
    napi_value out = nullptr;
    return napi_get_boolean(env, value, &out) == napi_ok ? out : nullptr;
  }
};

template <>
struct ToJs<double> {
  static napi_value make(napi_env env, double value) {
    napi_value out = nullptr;
    return napi_create_double(env, value, &out) == napi_ok ? out : nullptr;
  }
};

/// A handle, a count or a size, below 2^53.
template <std::unsigned_integral T>
struct ToJs<T> {
  static napi_value make(napi_env env, T value) { return to_js(env, static_cast<double>(value)); }
};

/// An enumerator, as its number.
template <typename T>
requires std::is_enum_v<T>
struct ToJs<T> {
  static napi_value make(napi_env env, T value) { return to_js(env, static_cast<double>(value)); }
};

/// A time or span of it, in milliseconds; Infinity for kNever.
template <>
struct ToJs<Nanos> {
  static napi_value make(napi_env env, Nanos value) { return to_js(env, ms_from_nanos(value)); }
};

template <>
struct ToJs<BigInt> {
  static napi_value make(napi_env env, BigInt number) {
    napi_value out = nullptr;
    return napi_create_bigint_int64(env, number.value, &out) == napi_ok ? out : nullptr;
  }
};

template <>
struct ToJs<std::string_view> {
  static napi_value make(napi_env env, std::string_view text) {
    napi_value out = nullptr;
    return napi_create_string_utf8(env, text.data(), text.size(), &out) == napi_ok ? out : nullptr;
  }
};

template <>
struct ToJs<std::string> {
  static napi_value make(napi_env env, const std::string& text) {
    return to_js(env, std::string_view(text));
  }
};

template <>
struct ToJs<std::u16string> {
  static napi_value make(napi_env env, const std::u16string& text) {
    napi_value out = nullptr;
    return napi_create_string_utf16(env, text.data(), text.size(), &out) == napi_ok ? out : nullptr;
  }
};

/// A value that is made already; nullptr is undefined.
template <>
struct ToJs<napi_value> {
  static napi_value make(napi_env /*env*/, napi_value value) { return value; }
};

/// undefined where there is none.
template <typename T>
struct ToJs<std::optional<T>> {
  static napi_value make(napi_env env, const std::optional<T>& value) {
    return value ? to_js(env, *value) : nullptr;
  }
};

/// An array of the elements of a container.
template <typename Elements>
napi_value array_of(napi_env env, const Elements& elements) {
  using Element = std::remove_cvref_t<decltype(*elements.begin())>;
  // Without scopes the handles of thousands of arrays in an array would last until the call ends.
  constexpr bool kScoped = !std::is_scalar_v<Element>;
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, elements.size(), &array) != napi_ok) return nullptr;
  std::uint32_t index = 0;
  for (const auto& element : elements) {
    napi_handle_scope scope = nullptr;
    if (kScoped && napi_open_handle_scope(env, &scope) != napi_ok) return nullptr;
    napi_value value = to_js(env, element);
    if (value == nullptr) napi_get_undefined(env, &value);
    const bool set = value != nullptr && napi_set_element(env, array, index++, value) == napi_ok;
    if (kScoped) napi_close_handle_scope(env, scope);
    if (!set) return nullptr;
  }
  return array;
}

template <typename T>
struct ToJs<std::vector<T>> {
  static napi_value make(napi_env env, const std::vector<T>& elements) {
    return array_of(env, elements);
  }
};

template <typename T, std::size_t kSize>
struct ToJs<std::array<T, kSize>> {
  static napi_value make(napi_env env, const std::array<T, kSize>& elements) {
    return array_of(env, elements);
  }
};

/// An array of values of any types.
template <typename... Values>
napi_value tuple_of(napi_env env, const Values&... values) {
  return array_of(env, std::array{to_js(env, values)...});
}

}  // namespace sluice
