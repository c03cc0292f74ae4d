// The binding of the JavaScript class `JobHub`.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "addon/bindings/redis/link_wrap.h"
#include "addon/bindings/streams/hub_bridge.h"
#include "addon/napi/method.h"

namespace sluice {

class RedisLog;

/// The JavaScript class `JobHub`: one native hub on each of its reactors.
///
///   new JobHub([reactor...], [machineId...], options, store, link, flushMs)
///
/// `options` are those of hub_arguments.h. Jobs with a record are written to `store`, a started
/// Store, or over `link`, a RedisLink on one of the reactors, at most once in `flushMs` and
/// reactor; both may be undefined. Replicas live on the link's reactor. Commands go to a hub on its
/// reactor, events come back by that reactor's event queue, to the machine id at the reactor's
/// index.
///
/// JavaScript numbers jobs, subscribers, calls and requests. A number modulo the count of reactors
/// is the index of the reactor, for every command that begins with one: `start(job)` runs on the
/// reactor at `job % count`. Numbers below the count name no job; `state` of one answers for the
/// reactor alone.
///
/// Used only by lib/streams/hub.js, which checks every argument. JavaScript's thread only. Ends
/// with `close()` or garbage collection; the hubs themselves end on their executors.
class JobHubWrap final : public Napi::ObjectWrap<JobHubWrap>, private CommandMethods<JobHubWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit JobHubWrap(const Napi::CallbackInfo& info);
  ~JobHubWrap() override;

  /// The hub of the job, subscriber, call or request with this number.
  template <typename... Rest>
  [[nodiscard]] CommandTarget<HubBridge> target(std::uint64_t number,
                                                const Rest&... /*rest*/) const {
    return hubs_.empty() ? CommandTarget<HubBridge>{} : hubs_[number % hubs_.size()];
  }

 private:
  void append(const Napi::CallbackInfo& info);
  Napi::Value complete(const Napi::CallbackInfo& info);
  void purge(const Napi::CallbackInfo& info);
  void acknowledge(const Napi::CallbackInfo& info);
  Napi::Value attach_socket(const Napi::CallbackInfo& info);
  Napi::Value detach_socket(const Napi::CallbackInfo& info);
  Napi::Value log_bytes(const Napi::CallbackInfo& info);
  Napi::Value entries_appended(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  template <typename Each>
  void post_groups(const Napi::CallbackInfo& info, Each each);
  void use_link(Nanos pace);
  void shut();

  std::vector<CommandTarget<HubBridge>> hubs_;  // empty once closed
  RedisPort link_;
  std::vector<std::shared_ptr<RedisLog>> logs_;  // of each hub, where there is a link
};

}  // namespace sluice
