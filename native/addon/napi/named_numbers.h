// Enumerations exported by name, so that JavaScript has no copy of the numbers. JavaScript's thread
// only, while a class is defined.
#pragma once

#include <napi.h>

#include <initializer_list>
#include <utility>

namespace sluice {

/// An object of numbers by name.
inline Napi::Object named_numbers(Napi::Env env,
                                  std::initializer_list<std::pair<const char*, double>> numbers) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, number] : numbers) object.Set(name, number);
  return object;
}

/// The number of an enumerator.
template <typename Enum>
constexpr double number_of(Enum value) {
  return static_cast<double>(value);
}

}  // namespace sluice
