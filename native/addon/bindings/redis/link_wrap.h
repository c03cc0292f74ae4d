// The binding of the JavaScript class `RedisLink`.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/bindings/redis/link_bridge.h"
#include "addon/napi/method.h"
#include "core/redis/port.h"

namespace sluice {

/// A port and the reactor whose thread it belongs to; empty where there is none.
struct RedisPort {
  std::shared_ptr<ReactorHandle> reactor;
  std::shared_ptr<redis::Port> port;
};

/// The JavaScript class `RedisLink`: the connections to Redis on a reactor.
///
///   new RedisLink(reactor, machineId, {prefix, process, user, password, db, leaseMs,
///                                      scripts: [{name, sha1, source}, ...]})
///   setAddresses([{host, port}, ...])   IP addresses; the first call connects
///   rename(process)                     the name to beat under; empty: no beats
///   subscribe(channel), unsubscribe(channel)   with the whole name of the channel
///   figures() -> [connections, pipelines, commands, beats, channels, milliseconds of the last
///                 beat's round trip]
///   close()                             closes the connections
///
/// Used only by lib/streams/redis-link.js, which checks the arguments. JavaScript's thread only.
/// Ends with `close()`, garbage collection, or the reactor.
class RedisLinkWrap final : public Napi::ObjectWrap<RedisLinkWrap>,
                            private CommandMethods<RedisLinkWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit RedisLinkWrap(const Napi::CallbackInfo& info);
  ~RedisLinkWrap() override;

  /// The port of a `RedisLink` that JavaScript passed; empty for anything else.
  static RedisPort port_of(const Napi::CallbackInfo& info, std::size_t index);

  /// The machine of every method.
  template <typename... Arguments>
  [[nodiscard]] CommandTarget<RedisBridge> target(const Arguments&... /*arguments*/) const {
    return link_;
  }

 private:
  friend class CommandMethods<RedisLinkWrap>;

  Napi::Value figures(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  CommandTarget<RedisBridge> link_;
};

}  // namespace sluice
