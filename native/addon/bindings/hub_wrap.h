// The JavaScript class `JobHub`: commands go to the hub on its reactor, events come by the lane.
//
//   new JobHub(reactor, machineId, options, store)   store: a Store that was started, or undefined
//
// Used by lib/streams/hub.js alone, which checks every argument. JavaScript's thread only. Ends
// with `close()` or garbage collection; the hub itself dies on its executor.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/napi/reactor_wrap.h"
#include "core/streams/hub.h"

namespace sluice {

class LaneHub;

class JobHubWrap final : public Napi::ObjectWrap<JobHubWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit JobHubWrap(const Napi::CallbackInfo& info);
  ~JobHubWrap() override;

 private:
  void create(const Napi::CallbackInfo& info);
  void start(const Napi::CallbackInfo& info);
  void retry(const Napi::CallbackInfo& info);
  void append(const Napi::CallbackInfo& info);
  void append_typed(const Napi::CallbackInfo& info);
  void reopen(const Napi::CallbackInfo& info);
  void finish(const Napi::CallbackInfo& info);
  void restore(const Napi::CallbackInfo& info);
  void unrecord(const Napi::CallbackInfo& info);
  void flush(const Napi::CallbackInfo& info);
  void follow(const Napi::CallbackInfo& info);
  void purge(const Napi::CallbackInfo& info);
  void state(const Napi::CallbackInfo& info);
  void attach(const Napi::CallbackInfo& info);
  Napi::Value adopt(const Napi::CallbackInfo& info);
  Napi::Value reclaim(const Napi::CallbackInfo& info);
  void acknowledge(const Napi::CallbackInfo& info);
  void detach(const Napi::CallbackInfo& info);
  void relay(const Napi::CallbackInfo& info);
  void abort_relay(const Napi::CallbackInfo& info);
  Napi::Value log_bytes(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  void shut();

  std::shared_ptr<ReactorHandle> reactor_;
  std::shared_ptr<LaneHub> hub_;
};

}  // namespace sluice
