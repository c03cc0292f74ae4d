// Methods of JavaScript classes that are commands to a machine on a reactor: the arguments are
// decoded by the parameter types of a C++ member function, which then runs on the reactor.
#pragma once

#include <napi.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
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

/// A machine and its reactor; empty after `remove`.
template <typename Machine>
struct CommandTarget {
  std::shared_ptr<ReactorHandle> reactor;
  std::shared_ptr<Machine> machine;

  /// Posts `command(machine, now)` to the reactor, to run after its next wake-up; an empty target
  /// drops it.
  template <typename Command>
  void post(Command command) const {
    if (!machine) return;
    reactor->post([machine = machine, command = std::move(command)](Nanos now) mutable {
      command(*machine, now);
    });
  }

  /// Has the reactor advance the machine from now on.
  void add() const {
    Executor* const executor = &reactor->executor();
    executor->post([executor, machine = machine](Nanos) { executor->add(machine); });
  }

  /// Has the reactor forget the machine; later commands are dropped. Idempotent.
  void remove() {
    if (!machine) return;
    Executor* const executor = &reactor->executor();
    executor->post(
        [executor, machine = std::move(machine)](Nanos) { executor->remove(machine.get()); });
    machine.reset();
  }
};

template <typename Method>
struct MethodTraits;

/// The parameters of a member function. One of the type `Nanos` at the end is no argument: it is
/// the time at which the command runs.
template <typename Owner, typename Return, typename... Params>
struct MethodTraits<Return (Owner::*)(Params...)> {
  template <typename Param>
  using Stored = std::conditional_t<std::is_same_v<std::remove_cvref_t<Param>, std::string_view>,
                                    std::string, std::remove_cvref_t<Param>>;
  using Stores = std::tuple<Stored<Params>...>;

  static constexpr bool takes_now() {
    if constexpr (sizeof...(Params) == 0) {
      return false;
    } else {
      return std::is_same_v<std::tuple_element_t<sizeof...(Params) - 1, Stores>, Nanos>;
    }
  }

  template <std::size_t... I>
  static std::tuple<std::tuple_element_t<I, Stores>...> first_of(std::index_sequence<I...>);

  using Class = Owner;
  static constexpr bool kTakesNow = takes_now();
  static constexpr std::size_t kArguments = sizeof...(Params) - (kTakesNow ? 1 : 0);
  using Arguments = decltype(first_of(std::make_index_sequence<kArguments>()));
};

/// The JavaScript method behind `CommandMethods::method`. Raw calls with status checks: while a
/// worker is being terminated, the command is lost and nothing is thrown.
template <typename Wrap, auto Method>
napi_value post_method(napi_env env, napi_callback_info info) {
  using Traits = MethodTraits<decltype(Method)>;
  using Arguments = typename Traits::Arguments;
  std::array<napi_value, Traits::kArguments + 1> given{};
  std::size_t count = given.size();
  napi_value self = nullptr;
  void* wrap = nullptr;
  if (napi_get_cb_info(env, info, &count, given.data(), &self, nullptr) != napi_ok ||
      napi_unwrap(env, self, &wrap) != napi_ok) {
    return nullptr;
  }
  Arguments arguments = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return Arguments{FromJs<std::tuple_element_t<I, Arguments>>::read(env, given[I])...};
  }
  (std::make_index_sequence<Traits::kArguments>());
  const auto target = std::apply(
      [wrap](const auto&... each) { return static_cast<Wrap*>(wrap)->target(each...); }, arguments);
  target.post([arguments = std::move(arguments)](auto& machine, Nanos now) mutable {
    const auto call = [&](typename Traits::Class& object) {
      std::apply(
          [&](auto&... each) {
            if constexpr (Traits::kTakesNow) {
              static_cast<void>((object.*Method)(std::move(each)..., now));
            } else {
              static_cast<void>((object.*Method)(std::move(each)...));
            }
          },
          arguments);
    };
    if constexpr (std::is_base_of_v<typename Traits::Class,
                                    std::remove_cvref_t<decltype(machine)>>) {
      call(machine);
    } else {
      machine.run(call);
    }
  });
  return nullptr;
}

/// Base of a wrap whose methods are commands.
///
/// The wrap has `CommandTarget<Machine> target(const Arguments&...)`, which gets the decoded
/// arguments. Methods of `Machine` are called directly, those of another class by
/// `machine.run(call)`, which passes its object to `call`. Results are ignored.
template <typename Wrap>
class CommandMethods {
 protected:
  /// `method<&JobHub::start>("start")`: a property of the JavaScript class.
  template <auto Method>
  static Napi::ClassPropertyDescriptor<Wrap> method(const char* name) {
    napi_property_descriptor descriptor{};
    descriptor.utf8name = name;
    descriptor.method = &post_method<Wrap, Method>;
    descriptor.attributes = napi_default;
    return descriptor;
  }
};

}  // namespace sluice
