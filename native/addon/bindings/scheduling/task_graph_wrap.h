// The binding of the JavaScript class `TaskGraph`.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/napi/event_queue.h"
#include "addon/napi/method.h"
#include "core/scheduling/task_graph.h"

namespace sluice {

/// A run that reports to an event queue. Executor's thread.
class TaskGraphBridge final : public Machine, private TaskObserver {
 public:
  TaskGraphBridge(TaskPlan plan, std::size_t concurrency, std::shared_ptr<EventQueue> events,
                  double target)
      : events_(std::move(events)), target_(target), graph(std::move(plan), concurrency, *this) {}

  [[nodiscard]] Nanos next_deadline() const override { return graph.next_deadline(); }
  void advance(Nanos now) override { graph.advance(now); }

  /// Calls `command(graph)`.
  template <typename Command>
  void run(const Command& command) {
    command(graph);
  }

  void fail(TaskId task, bool retryable, Nanos retry_after, double random, Nanos now) {
    graph.fail(task, {.retryable = retryable, .retry_after = retry_after, .random = random}, now);
  }

 private:
  void started(TaskId task, std::uint64_t attempt) override;
  void retrying(TaskId task, std::uint64_t attempt, Nanos delay) override;
  void completed(TaskId task) override;
  void failed(TaskId task) override;
  void skipped(TaskId task, TaskId culprit) override;
  void ended() override;

  std::shared_ptr<EventQueue> events_;
  const double target_;

 public:
  TaskGraph graph;
};

/// The JavaScript class `TaskGraph`, private to lib/primitives/scheduling/task-graph.js: one run.
///
///   new TaskGraph(reactor, target)
///   add(name, [name...], attemptsMax, baseMs, capMs, continueOnFailure)
///   check()                undefined, or a number of enums.PlanFault and its details:
///                          [DUPLICATE, task], [UNKNOWN, task, place of the dependency],
///                          [CYCLE, task...]
///   start(concurrency)     once, after a check() that found nothing
///   complete(task), fail(task, retryable, retryAfterMs, random), cancel()
///   dispose()              removes the run from the reactor
///
/// Tasks are numbered from 0 in the order of adding. JavaScript's thread only: from start() on each
/// call is a command for the reactor, whose thread alone runs the graph and answers with GRAPH_*
/// events for `target`. Ends with dispose() or garbage collection.
class TaskGraphWrap final : public Napi::ObjectWrap<TaskGraphWrap>,
                            private CommandMethods<TaskGraphWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TaskGraphWrap(const Napi::CallbackInfo& info);
  ~TaskGraphWrap() override;

  template <typename... Arguments>
  [[nodiscard]] CommandTarget<TaskGraphBridge> target(const Arguments&... /*arguments*/) const {
    return run_;
  }

 private:
  void add(const Napi::CallbackInfo& info);
  Napi::Value check(const Napi::CallbackInfo& info);
  void start(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  const double event_target_;
  TaskPlan plan_;
  CommandTarget<TaskGraphBridge> run_;  // has its machine from start() to dispose()
};

}  // namespace sluice
