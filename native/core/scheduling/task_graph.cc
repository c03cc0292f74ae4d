#include "core/scheduling/task_graph.h"

#include <algorithm>
#include <utility>

#include "core/base/backoff.h"

namespace sluice {

TaskGraph::TaskGraph(TaskPlan plan, std::size_t concurrency, TaskObserver& observer)
    : plan_(std::move(plan)),
      concurrency_(concurrency),
      observer_(observer),
      tasks_(plan_.size()),
      unsettled_(plan_.size()) {
  for (TaskId id = 0; id < tasks_.size(); ++id) {
    const std::vector<TaskId>& dependencies = plan_.dependencies(id);
    tasks_[id].waits_for = dependencies.size();
    for (const TaskId dependency : dependencies) tasks_[dependency].dependants.push_back(id);
  }
}

void TaskGraph::start() {
  if (started_ || ended_) return;
  started_ = true;
  for (TaskId id = 0; id < tasks_.size(); ++id) {
    ++steps_;
    if (tasks_[id].waits_for == 0) make_ready(id);
  }
  pump();
  end_if_done();
}

void TaskGraph::complete(TaskId task) {
  if (task >= tasks_.size() || tasks_[task].state != TaskState::kRunning) return;
  --running_;
  settle(task, TaskState::kComplete);
  observer_.completed(task);
  release_dependants(task);
  pump();
  end_if_done();
}

void TaskGraph::fail(TaskId task, const Failure& failure, Nanos now) {
  if (task >= tasks_.size() || tasks_[task].state != TaskState::kRunning) return;
  --running_;
  const TaskOptions& options = plan_.options(task);
  const std::uint64_t attempts = tasks_[task].attempts;
  const Nanos jitter =
      full_jitter(options.backoff_base, options.backoff_cap, attempts - 1, failure.random);
  const Nanos delay = std::max(jitter, failure.retry_after);
  const Nanos due = deadline_after(now, delay);
  // Waiting for ever for another attempt would keep the run from ending.
  if (failure.retryable && attempts < options.attempts_max && due != kNever) {
    tasks_[task].state = TaskState::kDelayed;
    retries_.arm(due, task);
    observer_.retrying(task, attempts + 1, delay);
    pump();
    return;
  }
  settle(task, TaskState::kFailed);
  observer_.failed(task);
  if (options.continue_on_failure) {
    release_dependants(task);
  } else {
    skip_dependants(task);
  }
  pump();
  end_if_done();
}

void TaskGraph::cancel() {
  if (ended_) return;
  for (Task& task : tasks_) {
    ++steps_;
    if (task.state < TaskState::kComplete) task.state = TaskState::kCancelled;
  }
  ready_.clear();
  again_.clear();
  retries_ = {};
  running_ = 0;
  unsettled_ = 0;
  started_ = true;
  end_if_done();
}

void TaskGraph::advance(Nanos now) {
  TaskId task = 0;
  while (retries_.pop_due(now, task)) make_ready(task);
  if (!ended_) pump();
}

void TaskGraph::make_ready(TaskId task) {
  tasks_[task].state = TaskState::kReady;
  (tasks_[task].attempts == 0 ? ready_ : again_).push_back(task);
}

void TaskGraph::release_dependants(TaskId task) {
  for (const TaskId dependant : tasks_[task].dependants) {
    ++steps_;
    Task& next = tasks_[dependant];
    --next.waits_for;
    if (next.waits_for == 0 && next.state == TaskState::kWaiting) make_ready(dependant);
  }
}

// Each task is skipped once and visits its dependants once, so a failure costs as many steps as
// there are dependants. All of them are still waiting.
void TaskGraph::skip_dependants(TaskId culprit) {
  std::vector<TaskId> barred{culprit};
  for (std::size_t i = 0; i < barred.size(); ++i) {
    for (const TaskId dependant : tasks_[barred[i]].dependants) {
      ++steps_;
      if (tasks_[dependant].state != TaskState::kWaiting) continue;
      settle(dependant, TaskState::kSkipped);
      observer_.skipped(dependant, culprit);
      barred.push_back(dependant);
    }
  }
}

void TaskGraph::pump() {
  while (running_ < concurrency_) {
    std::deque<TaskId>& line = again_.empty() ? ready_ : again_;
    if (line.empty()) return;
    const TaskId task = line.front();
    line.pop_front();
    ++steps_;
    ++running_;
    tasks_[task].state = TaskState::kRunning;
    ++tasks_[task].attempts;
    observer_.started(task, tasks_[task].attempts);
  }
}

void TaskGraph::settle(TaskId task, TaskState ending) {
  tasks_[task].state = ending;
  --unsettled_;
}

void TaskGraph::end_if_done() {
  if (ended_ || !started_ || unsettled_ > 0) return;
  ended_ = true;
  observer_.ended();
}

}  // namespace sluice
