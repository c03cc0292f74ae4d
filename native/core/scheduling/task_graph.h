// One run of a task graph: starts, retries, skips and endings of its tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "core/base/executor.h"
#include "core/base/time.h"
#include "core/containers/timer_queue.h"
#include "core/scheduling/task_plan.h"

namespace sluice {

/// Receives the events of a run. It is called from within the run's own functions, so it only
/// records the event and calls no function of the run before that one has returned.
class TaskObserver {
 public:
  virtual ~TaskObserver() = default;
  /// The task holds a slot until `complete` or `fail` is called for it. `attempt` counts from 1.
  virtual void started(TaskId task, std::uint64_t attempt) = 0;
  /// The attempt failed; `attempt` is the next one, after `delay`, once a slot is free.
  virtual void retrying(TaskId task, std::uint64_t attempt, Nanos delay) = 0;
  virtual void completed(TaskId task) = 0;
  virtual void failed(TaskId task) = 0;
  /// The task will not run, because `culprit` failed.
  virtual void skipped(TaskId task, TaskId culprit) = 0;
  /// Every task has its ending. Nothing is reported after this.
  virtual void ended() = 0;
};

enum class TaskState : std::uint8_t {
  kWaiting,
  kReady,
  kRunning,
  kDelayed,
  kComplete,
  kFailed,
  kSkipped,
  kCancelled,
};

/// One run of a task graph.
///
///   waiting -> ready -> running -> complete
///      |         ^         |-----> failed
///      |         +-- delayed (retry)
///      +-> skipped            any state that is not final -> cancelled
///
/// - A task is ready when each of its dependencies is complete, or has failed and lets its
///   dependants continue.
/// - At most `concurrency` tasks run. Ready tasks start in the order in which they became ready,
///   due retries before first attempts. A task that waits for its next attempt holds no slot.
/// - When a task fails without further attempts, every task that depends on it, directly or not, is
///   skipped at once; the others continue.
/// - Each task has exactly one ending, and the run ends with the last one.
///
/// Every call is iterative, and a whole run takes steps in proportion to tasks, dependencies and
/// attempts (`steps` counts them). Not thread-safe: only its executor's thread calls it. It ends
/// with `ended`.
class TaskGraph final : public Machine {
 public:
  /// A failed attempt.
  struct Failure {
    bool retryable = true;
    Nanos retry_after = 0;  ///< the least delay of the next attempt; kNever: there is none
    double random = 0;      ///< uniform in [0, 1), for the delay
  };

  /// @param plan checked, without fault; @param concurrency at least 1.
  /// `observer` outlives the run.
  TaskGraph(TaskPlan plan, std::size_t concurrency, TaskObserver& observer);

  /// Begins; once.
  void start();

  /// A running task has done its work. Ignored for one that is not running.
  void complete(TaskId task);

  /// A running task's attempt has failed. Ignored for one that is not running.
  void fail(TaskId task, const Failure& failure, Nanos now);

  /// Ends the run: tasks without an ending are cancelled, running ones too.
  void cancel();

  [[nodiscard]] bool has_ended() const { return ended_; }
  [[nodiscard]] TaskState state(TaskId task) const { return tasks_[task].state; }
  [[nodiscard]] std::size_t running() const { return running_; }
  /// Tasks and dependencies visited so far: the cost of the run, independent of the machine.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

  [[nodiscard]] Nanos next_deadline() const override { return retries_.next_deadline(); }
  void advance(Nanos now) override;

 private:
  struct Task {
    TaskState state = TaskState::kWaiting;
    std::uint64_t attempts = 0;
    std::size_t waits_for = 0;  // dependencies without an ending that permits it
    std::vector<TaskId> dependants;
  };

  void make_ready(TaskId task);
  void release_dependants(TaskId task);
  void skip_dependants(TaskId culprit);
  void pump();
  void settle(TaskId task, TaskState ending);
  void end_if_done();

  const TaskPlan plan_;
  const std::size_t concurrency_;
  TaskObserver& observer_;
  std::vector<Task> tasks_;
  std::deque<TaskId> ready_;    // first attempts
  std::deque<TaskId> again_;    // further ones that are due
  TimerQueue<TaskId> retries_;  // further ones that are not
  std::size_t running_ = 0;
  std::size_t unsettled_;
  std::uint64_t steps_ = 0;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace sluice
