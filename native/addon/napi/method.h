// Methods of JavaScript classes made of C++ member functions: the parameter types decode the
// arguments. A function runs at once, or as a command on a reactor.
#pragma once

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "addon/napi/conversions.h"
#include "addon/napi/reactor_wrap.h"
#include "core/base/time.h"

namespace sluice {

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

  /// Adds the machine to the reactor, which then advances it.
  void add() const {
    Executor* const executor = &reactor->executor();
    executor->post([executor, machine = machine](Nanos) { executor->add(machine); });
  }

  /// Removes the machine from the reactor; later commands are dropped. Idempotent.
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

/// The parameters of a member function. For a command, one of the type `Nanos` at the end is no
/// argument: it is the time at which the command runs.
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
  using Result = Return;
  static constexpr bool kTakesNow = takes_now();
  static constexpr std::size_t kArguments = sizeof...(Params) - (kTakesNow ? 1 : 0);
  using Arguments = decltype(first_of(std::make_index_sequence<kArguments>()));
};

template <typename Owner, typename Return, typename... Params>
struct MethodTraits<Return (Owner::*)(Params...) const>
    : MethodTraits<Return (Owner::*)(Params...)> {};

template <typename Wrap, typename Arguments>
struct DecodedCall {
  Wrap* wrap;
  Arguments arguments;
};

/// The wrap and the arguments of a call from JavaScript; nothing while the environment is being
/// terminated. Raw calls with status checks: nothing is thrown.
template <typename Wrap, typename Arguments>
std::optional<DecodedCall<Wrap, Arguments>> decode_call(napi_env env, napi_callback_info info) {
  constexpr std::size_t kArguments = std::tuple_size_v<Arguments>;
  std::array<napi_value, kArguments + 1> given{};
  std::size_t count = given.size();
  napi_value self = nullptr;
  void* wrap = nullptr;
  if (napi_get_cb_info(env, info, &count, given.data(), &self, nullptr) != napi_ok ||
      napi_unwrap(env, self, &wrap) != napi_ok) {
    return std::nullopt;
  }
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return DecodedCall<Wrap, Arguments>{
        static_cast<Wrap*>(wrap),
        {FromJs<std::tuple_element_t<I, Arguments>>::read(env, given[I])...}};
  }
  (std::make_index_sequence<kArguments>());
}

/// The JavaScript method behind `DirectMethods::method`.
template <typename Wrap, auto Method>
napi_value call_method(napi_env env, napi_callback_info info) {
  using Traits = MethodTraits<decltype(Method)>;
  auto call = decode_call<Wrap, typename Traits::Stores>(env, info);
  if (!call) return nullptr;
  typename Traits::Class& object = [&]() -> typename Traits::Class& {
    if constexpr (std::is_base_of_v<typename Traits::Class, Wrap>) {
      return *call->wrap;
    } else {
      return call->wrap->target();
    }
  }();
  return std::apply(
      [&](auto&... each) -> napi_value {
        if constexpr (std::is_void_v<typename Traits::Result>) {
          (object.*Method)(std::move(each)...);
          return nullptr;
        } else {
          return to_js(env, (object.*Method)(std::move(each)...));
        }
      },
      call->arguments);
}

/// The JavaScript method behind `CommandMethods::method`. While a worker is being terminated, the
/// command is lost.
template <typename Wrap, auto Method>
napi_value post_method(napi_env env, napi_callback_info info) {
  using Traits = MethodTraits<decltype(Method)>;
  auto given = decode_call<Wrap, typename Traits::Arguments>(env, info);
  if (!given) return nullptr;
  const auto target = std::apply([&](const auto&... each) { return given->wrap->target(each...); },
                                 given->arguments);
  target.post([arguments = std::move(given->arguments)](auto& machine, Nanos now) mutable {
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

/// A property of a JavaScript class: a method with this callback.
template <typename Wrap>
Napi::ClassPropertyDescriptor<Wrap> method_property(const char* name, napi_callback callback) {
  napi_property_descriptor descriptor{};
  descriptor.utf8name = name;
  descriptor.method = callback;
  descriptor.attributes = napi_default;
  return descriptor;
}

/// Base of a wrap whose methods run at once, on JavaScript's thread, and return their result.
///
/// `method<&KvStoreWrap::get>("get")` is a method of the wrap, which need not be public.
/// `method<&KvStore::size>("size")` is one of the wrapped object, which `KvStore& target()` gives.
template <typename Wrap>
class DirectMethods {
 protected:
  template <auto Method>
  static Napi::ClassPropertyDescriptor<Wrap> method(const char* name) {
    return method_property<Wrap>(name, &call_method<Wrap, Method>);
  }
};

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
    return method_property<Wrap>(name, &post_method<Wrap, Method>);
  }
};

}  // namespace sluice
