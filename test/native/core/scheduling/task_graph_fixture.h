// A run of a task graph under injected time, and its reports.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/scheduling/task_graph.h"

namespace sluice {

class GraphRig : public TaskObserver {
 public:
  using Names = std::vector<std::string>;

  GraphRig& add(const std::string& name, const Names& after = {}, TaskOptions options = {}) {
    names_.push_back(name);
    plan_.add(name, after, options);
    return *this;
  }

  void start(std::size_t concurrency = 1'000'000) {
    ASSERT_EQ(plan_.check().kind, PlanFault::Kind::kNone);
    graph = std::make_unique<TaskGraph>(plan_, concurrency, *this);
    graph->start();
  }

  void started(TaskId task, std::uint64_t attempt) override {
    log.push_back("start " + names_[task] + (attempt > 1 ? " " + std::to_string(attempt) : ""));
    starts.emplace_back(task, now);
  }
  void retrying(TaskId task, std::uint64_t attempt, Nanos delay) override {
    log.push_back("retry " + names_[task] + " " + std::to_string(attempt) + " in " +
                  std::to_string(delay / kMillisecond));
  }
  void completed(TaskId task) override { log.push_back("done " + names_[task]); }
  void failed(TaskId task) override { log.push_back("fail " + names_[task]); }
  void skipped(TaskId task, TaskId culprit) override {
    log.push_back("skip " + names_[task] + " for " + names_[culprit]);
  }
  void ended() override { log.emplace_back("end"); }

  [[nodiscard]] TaskId id(const std::string& name) const {
    for (TaskId i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return i;
    }
    ADD_FAILURE() << "no task " << name;
    return 0;
  }

  void complete(const std::string& name) { graph->complete(id(name)); }
  void fail(const std::string& name, TaskGraph::Failure failure = {}) {
    graph->fail(id(name), failure, now);
  }
  [[nodiscard]] TaskState state(const std::string& name) const { return graph->state(id(name)); }

  // Moves time to `to`, stopping at every deadline on the way.
  void run_to(Nanos to) {
    for (Nanos due = graph->next_deadline(); due <= to; due = graph->next_deadline()) {
      now = due;
      graph->advance(now);
    }
    now = to;
    graph->advance(now);
  }

  // The reports since the last call.
  Names take_log() { return std::exchange(log, {}); }

  Nanos now = 0;
  Names log;
  std::vector<std::pair<TaskId, Nanos>> starts;
  std::unique_ptr<TaskGraph> graph;

 private:
  TaskPlan plan_;
  Names names_;
};

}  // namespace sluice
