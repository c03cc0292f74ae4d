// The plan of a task graph: tasks and their dependencies, checked for faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/time.h"

namespace sluice {

/// The number of a task, in the order of adding from 0.
using TaskId = std::uint32_t;

struct TaskOptions {
  std::uint64_t attempts_max = 1;  ///< the first included
  Nanos backoff_base = 0;
  Nanos backoff_cap = 0;
  bool continue_on_failure = false;  ///< dependants run although this task failed
};

/// The reason why a plan cannot run.
struct PlanFault {
  enum class Kind : std::uint8_t { kNone, kDuplicate, kUnknown, kCycle };
  Kind kind = Kind::kNone;
  TaskId task = 0;             ///< kDuplicate: the later one; kUnknown: the dependant
  std::size_t dependency = 0;  ///< kUnknown: its place among the task's dependencies, from 0
  /// kCycle: the tasks of one cycle, each before one of its dependants, and the last before the
  /// first. Begins with the earliest one added.
  std::vector<TaskId> cycle;
};

/// Tasks and their dependencies, by name.
///
/// Tasks may be added in any order, and dependencies may be named before they are added. `check`
/// finds faults; without faults it resolves names to numbers. Every call is iterative and takes
/// steps in proportion to tasks plus dependencies. Not thread-safe.
class TaskPlan {
 public:
  /// Adds a task; `after` names its dependencies.
  void add(std::string name, std::vector<std::string> after, TaskOptions options);

  /// The first fault: duplicates before unknown names before cycles, each in the order of adding. A
  /// task that depends on itself is a cycle of one.
  [[nodiscard]] PlanFault check();

  [[nodiscard]] std::size_t size() const { return tasks_.size(); }
  [[nodiscard]] const TaskOptions& options(TaskId task) const { return tasks_[task].options; }

  /// The task's dependencies; valid after a `check` without fault.
  [[nodiscard]] const std::vector<TaskId>& dependencies(TaskId task) const {
    return tasks_[task].dependencies;
  }

 private:
  struct Task {
    std::string name;
    std::vector<std::string> after;
    TaskOptions options;
    std::vector<TaskId> dependencies;
  };

  PlanFault resolve();
  [[nodiscard]] PlanFault find_cycle() const;

  std::vector<Task> tasks_;
};

}  // namespace sluice
