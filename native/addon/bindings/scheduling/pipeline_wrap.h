// The binding of the JavaScript class `Pipeline`.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>

#include "addon/napi/event_queue.h"
#include "addon/napi/method.h"
#include "core/scheduling/pipeline.h"

namespace sluice {

/// A pipeline that reports to an event queue. Executor's thread, but for `counts`.
class PipelineBridge final : public Machine, private PipelineObserver {
 public:
  PipelineBridge(const PipelineOptions& options, std::shared_ptr<EventQueue> events, double target)
      : events_(std::move(events)), target_(target), core_(options, *this) {}

  [[nodiscard]] Nanos next_deadline() const override { return core_.next_deadline(); }
  void advance(Nanos now) override {
    const std::lock_guard lock(mutex_);
    core_.advance(now);
  }

  /// Calls `command(core)`.
  template <typename Command>
  void run(const Command& command) {
    const std::lock_guard lock(mutex_);
    command(core_);
  }

  /// The counts between two commands; they include every event that was delivered. Any thread.
  [[nodiscard]] PipelineCounts counts() const {
    const std::lock_guard lock(mutex_);
    return core_.counts();
  }

 private:
  void accepted(ItemId item) override;
  void dispatch(BatchId batch, const std::vector<ItemId>& items) override;
  void removed(ItemId item, bool was_accepted) override;
  void closed() override;

  std::shared_ptr<EventQueue> events_;
  const double target_;
  mutable std::mutex mutex_;  // guards core_ against `counts`; all else is on one thread
  PipelineCore core_;
};

/// The JavaScript class `Pipeline`, private to lib/primitives/scheduling/pipeline.js.
///
///   new Pipeline(reactor, target, {maxBatchSize, idleFlushMs, maxWaitMs, maxConcurrency,
///                                  incomingCapacity, processingCapacity})
///   submit(item), abort(item), hold([batch...]), batchDone(batch), retry([item...], delayMs),
///   close()
///   counts()     [waiting, incoming, batching, processing, processingBatches, retrying,
///                 activeBatches], every event delivered so far included
///   dispose()    removes the pipeline from the reactor
///
/// JavaScript's thread only: each call is a command for the reactor, whose thread alone runs the
/// pipeline and answers with PIPELINE_* events for `target`. Ends with dispose(): a pipeline that
/// is never closed stays with its reactor until the environment ends.
class PipelineWrap final : public Napi::ObjectWrap<PipelineWrap>,
                           private CommandMethods<PipelineWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit PipelineWrap(const Napi::CallbackInfo& info);
  ~PipelineWrap() override;

  template <typename... Arguments>
  [[nodiscard]] CommandTarget<PipelineBridge> target(const Arguments&... /*arguments*/) const {
    return commands_;
  }

 private:
  Napi::Value counts(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  CommandTarget<PipelineBridge> commands_;  // empty once disposed
  std::shared_ptr<PipelineBridge> bridge_;  // for `counts`, after that as well
};

}  // namespace sluice
