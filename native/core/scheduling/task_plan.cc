#include "core/scheduling/task_plan.h"

#include <algorithm>

namespace sluice {

namespace {

enum class Mark : std::uint8_t { kNew, kOpen, kDone };

// `path` leads from each task to a dependency and closes at `from`. It is reversed into the order
// of execution, and rotated to begin with the task that was added first.
std::vector<TaskId> as_cycle(const std::vector<TaskId>& path, TaskId from) {
  const auto begin = std::find(path.begin(), path.end(), from);
  std::vector<TaskId> cycle(begin, path.end());
  std::reverse(cycle.begin(), cycle.end());
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

}  // namespace

void TaskPlan::add(std::string name, std::vector<std::string> after, TaskOptions options) {
  tasks_.push_back({std::move(name), std::move(after), options, {}});
}

PlanFault TaskPlan::check() {
  PlanFault fault = resolve();
  return fault.kind == PlanFault::Kind::kNone ? find_cycle() : fault;
}

PlanFault TaskPlan::resolve() {
  std::unordered_map<std::string_view, TaskId> ids;
  ids.reserve(tasks_.size());
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const auto id = static_cast<TaskId>(i);
    if (ids.emplace(tasks_[i].name, id).second) continue;
    return {.kind = PlanFault::Kind::kDuplicate, .task = id, .cycle = {}};
  }
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    Task& task = tasks_[i];
    task.dependencies.clear();
    for (const std::string& name : task.after) {
      const auto found = ids.find(name);
      if (found == ids.end()) {
        return {.kind = PlanFault::Kind::kUnknown,
                .task = static_cast<TaskId>(i),
                .dependency = task.dependencies.size(),
                .cycle = {}};
      }
      task.dependencies.push_back(found->second);
    }
  }
  return {};
}

// Depth first with a stack of our own: a chain may be as long as there are tasks.
PlanFault TaskPlan::find_cycle() const {
  std::vector<Mark> marks(tasks_.size(), Mark::kNew);
  std::vector<TaskId> path;          // each waits for the next
  std::vector<std::size_t> visited;  // of each on the path: dependencies looked at
  for (std::size_t root = 0; root < tasks_.size(); ++root) {
    if (marks[root] != Mark::kNew) continue;
    path.push_back(static_cast<TaskId>(root));
    visited.push_back(0);
    marks[root] = Mark::kOpen;
    while (!path.empty()) {
      const std::vector<TaskId>& dependencies = tasks_[path.back()].dependencies;
      if (visited.back() == dependencies.size()) {
        marks[path.back()] = Mark::kDone;
        path.pop_back();
        visited.pop_back();
        continue;
      }
      const TaskId next = dependencies[visited.back()++];
      if (marks[next] == Mark::kOpen) {
        return {.kind = PlanFault::Kind::kCycle, .cycle = as_cycle(path, next)};
      }
      if (marks[next] == Mark::kDone) continue;
      marks[next] = Mark::kOpen;
      path.push_back(next);
      visited.push_back(0);
    }
  }
  return {};
}

}  // namespace sluice
