// One run of a task graph: which task may start, which is tried again and when, which never will.
//
//   waiting -> ready -> running -> complete
//      |         ^         |-----> failed
//      |         +-- delayed (retry)
//      +-> skipped            any of them but the final ones -> cancelled
//
// - A task is ready when everything it waits for has an ending that permits it: complete, or failed
//   where that task says that its dependants go on without it.
// - At most `concurrency` tasks run; ready ones start in the order in which they became so, those
//   that are due for another attempt before those that have had none. A task that waits for its
//   next attempt holds no place.
// - When a task has failed for good, everything that depends on it, directly or not, is skipped at
//   once; the rest goes on.
// - Each task comes to exactly one ending, and the run ends with the last one.
//
// Every call is iterative, and a whole run takes steps in proportion to tasks, dependencies and
// attempts (`steps` counts them). Not thread-safe: its executor's thread alone calls it. It ends
// with `ended`.
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

/// Where a run reports. Called from within the run's own functions, so an observer notes what it
/// is told and calls nothing of the run before that function has returned.
class TaskObserver {
 public:
  virtual ~TaskObserver() = default;
  /// The task holds a place until `complete` or `fail` is called for it. `attempt` counts from 1.
  virtual void started(TaskId task, std::uint64_t attempt) = 0;
  /// The attempt failed; the one given here follows, after `delay` or when a place is free then.
  virtual void retrying(TaskId task, std::uint64_t attempt, Nanos delay) = 0;
  virtual void completed(TaskId task) = 0;
  virtual void failed(TaskId task) = 0;
  /// It will not run, because `culprit` failed.
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

class TaskGraph final : public Machine {
 public:
  /// What is known of a failed attempt.
  struct Failure {
    bool retryable = true;
    Nanos retry_after = 0;  ///< the next attempt comes no sooner than this
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

  /// Ends the run: what has no ending yet is cancelled, running tasks too.
  void cancel();

  [[nodiscard]] bool has_ended() const { return ended_; }
  [[nodiscard]] TaskState state(TaskId task) const { return tasks_[task].state; }
  [[nodiscard]] std::size_t running() const { return running_; }
  /// Tasks and dependencies looked at so far: what the run costs, whatever the machine's speed.
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
