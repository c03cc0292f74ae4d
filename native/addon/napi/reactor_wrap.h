// The binding of the JavaScript class `Reactor`.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "addon/napi/event_queue.h"
#include "runtime/loop/manual_executor.h"
#include "runtime/loop/reactor.h"

namespace sluice {

/// A reactor as wraps hold it. Machines share ownership of `events` alone.
struct ReactorHandle {
  std::shared_ptr<EventQueue> events = std::make_shared<EventQueue>();
  std::unique_ptr<Reactor> reactor;  // one of these two
  std::unique_ptr<ManualExecutor> manual;

  [[nodiscard]] Executor& executor() const {
    return reactor ? static_cast<Executor&>(*reactor) : *manual;
  }

  /// Posts a command of JavaScript's thread; in real time it may wait for `Reactor.wake()`.
  bool post(Executor::Command command) const {
    return reactor ? reactor->gather(std::move(command)) : manual->post(std::move(command));
  }

  /// Stops the executor, then closes the queue; its machines are destroyed. Idempotent.
  void close();
};

/// The JavaScript class `Reactor`: an executor and its event queue.
///
///   new Reactor(onEvents)     real time: a libuv loop on a thread of its own; `onEvents(array)` is
///                             called with all events since the last call. Commands run after
///                             `wake()`, which follows them at the end of JavaScript's turn
///   new Reactor(undefined)    manual time: commands run inline, JavaScript moves the clock with
///                             `advanceTo(ns)` and collects events with `drain()`; `nextDeadline()`
///                             is in nanoseconds too; both are BigInts; undefined: never
///
/// JavaScript's thread only. Ends with `close()`, with garbage collection, or with the environment:
/// a clean-up hook joins the thread, so that a worker can be terminated at any moment.
class ReactorWrap final : public Napi::ObjectWrap<ReactorWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit ReactorWrap(const Napi::CallbackInfo& info);
  ~ReactorWrap() override;

  /// The handle of the `Reactor` that JavaScript passed to another class's constructor. While the
  /// environment is being terminated: one that has stopped.
  static std::shared_ptr<ReactorHandle> handle_of(napi_env env, napi_value reactor);
  static std::shared_ptr<ReactorHandle> handle_of(const Napi::CallbackInfo& info,
                                                  std::size_t index) {
    return handle_of(info.Env(), info[index]);
  }

 private:
  void wake(const Napi::CallbackInfo& info);
  Napi::Value advance_to(const Napi::CallbackInfo& info);
  Napi::Value next_deadline(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  static void on_environment_exit(void* self);

  std::shared_ptr<ReactorHandle> handle_ = std::make_shared<ReactorHandle>();
};

/// Milliseconds as JavaScript gives them, in nanoseconds. Infinity and what does not fit: kNever.
Nanos nanos_from_ms(double ms);

/// Nanoseconds as JavaScript takes them. kNever: Infinity.
double ms_from_nanos(Nanos nanos);

}  // namespace sluice
