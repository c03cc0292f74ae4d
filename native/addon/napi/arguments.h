// Reads the arguments of a call from JavaScript, and makes its result, without C++ exceptions.
#pragma once

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// While a worker is being terminated, any Node-API call that may run JavaScript fails (coercions,
// reading and setting properties among them). The node-addon-api wrappers then return values
// without an environment, and the next use of one aborts the process. These functions check each
// status and return an empty value: the call has no effect. They do not validate: lib/ does.
// JavaScript's thread only.
namespace sluice {

/// A number; 0 for anything else.
inline double number_from(napi_env env, napi_value value) {
  double number = 0;
  if (value != nullptr) napi_get_value_double(env, value, &number);
  return number;
}

/// A handle or count, which JavaScript keeps below 2^53.
inline std::uint64_t count_from(napi_env env, napi_value value) {
  return static_cast<std::uint64_t>(number_from(env, value));
}

/// A BigInt, which JavaScript keeps within 64 bits; 0 for anything else.
inline std::int64_t bigint64_from(napi_env env, napi_value value) {
  std::int64_t number = 0;
  bool lossless = false;
  if (value != nullptr) napi_get_value_bigint_int64(env, value, &number, &lossless);
  return number;
}

/// A boolean; false for anything else.
inline bool flag_from(napi_env env, napi_value value) {
  bool flag = false;
  if (value != nullptr) napi_get_value_bool(env, value, &flag);
  return flag;
}

/// A string as UTF-8, lone surrogates as U+FFFD; empty for anything else.
inline std::string text_from(napi_env env, napi_value value) {
  // Most are short: one call in place of one for the length and one for the bytes.
  constexpr std::size_t kCharacterMax = 4;
  std::array<char, 256> start;
  std::size_t length = 0;
  if (value == nullptr ||
      napi_get_value_string_utf8(env, value, start.data(), start.size(), &length) != napi_ok) {
    return {};
  }
  // No character is cut, and a NUL follows: with room for one more, this is the whole.
  if (length + kCharacterMax < start.size()) return {start.data(), length};
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return {};
  std::string text(length, '\0');
  // The call also writes a NUL, for which std::string has room behind its end.
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

/// A string as UTF-16, as it is; empty for anything else.
inline std::u16string text16_from(napi_env env, napi_value value) {
  std::size_t length = 0;
  if (value == nullptr || napi_get_value_string_utf16(env, value, nullptr, 0, &length) != napi_ok) {
    return {};
  }
  std::u16string text(length, u'\0');
  napi_get_value_string_utf16(env, value, text.data(), length + 1, &length);
  return text;
}

/// The elements of a typed array of exactly that type, valid while it lives; none for anything
/// else.
template <typename Element>
std::span<Element> span_from(napi_env env, napi_value value, napi_typedarray_type wanted) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (value == nullptr ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    return {};
  }
  if (type != wanted || data == nullptr) return {};
  return {static_cast<Element*>(data), length};
}

/// The bytes of a Uint8Array, valid while it lives; none for anything else.
inline std::string_view bytes_from(napi_env env, napi_value value) {
  const auto bytes = span_from<const char>(env, value, napi_uint8_array);
  return {bytes.data(), bytes.size()};
}

/// A string of characters up to U+00FF, one byte each, as HTTP headers carry them; empty for
/// anything else.
inline std::string latin1_from(napi_env env, napi_value value) {
  std::size_t length = 0;
  if (value == nullptr ||
      napi_get_value_string_latin1(env, value, nullptr, 0, &length) != napi_ok) {
    return {};
  }
  std::string text(length, '\0');
  napi_get_value_string_latin1(env, value, text.data(), length + 1, &length);
  return text;
}

/// A property, or nullptr.
inline napi_value member_of(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  if (object == nullptr || napi_get_named_property(env, object, name, &value) != napi_ok) {
    return nullptr;
  }
  return value;
}

/// Whether a value is an object (and not null or missing).
inline bool is_object(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  return value != nullptr && napi_typeof(env, value, &type) == napi_ok && type == napi_object;
}

/// The elements of an array; none for anything else.
inline std::vector<napi_value> elements_of(napi_env env, napi_value array) {
  std::uint32_t length = 0;
  if (array == nullptr || napi_get_array_length(env, array, &length) != napi_ok) return {};
  std::vector<napi_value> elements(length);
  for (std::uint32_t i = 0; i < length; ++i) {
    if (napi_get_element(env, array, i, &elements[i]) != napi_ok) return {};
  }
  return elements;
}

}  // namespace sluice
