#include "addon/bindings/redis/link_wrap.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

template <>
struct FromJs<redis::Address> {
  static redis::Address read(napi_env env, napi_value value) {
    const Members members(env, value);
    return {members.get<std::string>("host"), members.get<std::uint16_t>("port")};
  }
};

template <>
struct FromJs<redis::Script> {
  static redis::Script read(napi_env env, napi_value value) {
    const Members members(env, value);
    return {members.get<std::string>("name"), members.get<std::string>("sha1"),
            members.get<std::string>("source")};
  }
};

template <>
struct FromJs<redis::LinkOptions> {
  static redis::LinkOptions read(napi_env env, napi_value value) {
    const Members members(env, value);
    redis::LinkOptions options;
    options.prefix = members.get<std::string>("prefix");
    options.process = members.get<std::string>("process");
    options.user = members.get<std::string>("user");
    options.password = members.get<std::string>("password");
    options.db = members.get<std::uint32_t>("db");
    options.wait_replicas = members.get<std::uint32_t>("waitReplicas");
    options.lease = members.get<Nanos>("leaseMs");
    options.scripts = members.get<std::vector<redis::Script>>("scripts");
    return options;
  }
};

Napi::Function RedisLinkWrap::define(Napi::Env env) {
  return DefineClass(env, "RedisLink",
                     {
                         method<&RedisBridge::set_addresses>("setAddresses"),
                         method<&RedisBridge::rename>("rename"),
                         method<&RedisBridge::subscribe>("subscribe"),
                         method<&RedisBridge::unsubscribe>("unsubscribe"),
                         InstanceMethod<&RedisLinkWrap::figures>("figures"),
                         InstanceMethod<&RedisLinkWrap::close>("close"),
                     });
}

RedisLinkWrap::RedisLinkWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto reactor = ReactorWrap::handle_of(info, 0);
  // Sockets need a loop; under a manual clock there is none, and the link does nothing.
  if (!reactor->reactor) return;
  auto bridge = std::make_shared<RedisBridge>(FromJs<redis::LinkOptions>::read(info.Env(), info[2]),
                                              *reactor->reactor, reactor->events,
                                              number_from(info.Env(), info[1]));
  link_ = {std::move(reactor), std::move(bridge)};
  link_.add();
}

RedisLinkWrap::~RedisLinkWrap() {
  link_.remove();
}

RedisPort RedisLinkWrap::port_of(const Napi::CallbackInfo& info, std::size_t index) {
  void* wrap = nullptr;
  if (!is_object(info.Env(), info[index]) ||
      napi_unwrap(info.Env(), info[index], &wrap) != napi_ok) {
    return {};
  }
  const CommandTarget<RedisBridge>& link = static_cast<RedisLinkWrap*>(wrap)->link_;
  if (!link.machine) return {};
  return {link.reactor, std::shared_ptr<redis::Port>(link.machine, &link.machine->link())};
}

Napi::Value RedisLinkWrap::figures(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  if (!link_.machine) return {env, array_of(env, std::array<double, 6>{})};
  const redis::LinkFigures& figures = link_.machine->figures();
  const auto number = [](const std::atomic<std::uint64_t>& figure) {
    return static_cast<double>(figure.load());
  };
  return {env, array_of(env, std::array{number(figures.connections), number(figures.pipelines),
                                        number(figures.commands), number(figures.beats),
                                        number(figures.channels),
                                        ms_from_nanos(figures.roundtrip.load())})};
}

void RedisLinkWrap::close(const Napi::CallbackInfo& /*info*/) {
  link_.remove();
}

}  // namespace sluice
