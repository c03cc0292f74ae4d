// An executor whose time is moved by hand: the same machines, run inline on the caller's thread.
//
// One thread only (JavaScript's, or a test's). `post` runs the command before it returns, unless
// it is called from inside a command or a machine: then the command runs right after, so that a
// machine is never entered twice.
#pragma once

#include <algorithm>
#include <deque>

#include "core/base/executor.h"
#include "runtime/loop/task_set.h"

namespace sluice {

class ManualExecutor final : public Executor {
 public:
  bool post(Command command) override {
    if (stopped_) return false;
    queue_.push_back(std::move(command));
    settle();
    return true;
  }

  void add(std::shared_ptr<Machine> machine) override { machines_.add(std::move(machine)); }
  void remove(const Machine* machine) override { machines_.remove(machine); }

  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] Nanos next_deadline() const { return machines_.next_deadline(); }

  /// Moves time to `time` (never back) and does everything due by then, in order of due time.
  void advance_to(Nanos time) {
    if (stopped_ || settling_) return;
    for (Nanos due = next_deadline(); due <= time; due = next_deadline()) {
      now_ = std::max(now_, due);
      settle();
    }
    now_ = std::max(now_, time);
  }

  /// Drops the machines; `post` answers false from here on. Idempotent.
  void stop() {
    stopped_ = true;
    queue_.clear();
    if (!settling_) machines_.clear();
  }

 private:
  void settle() {
    if (settling_) return;
    settling_ = true;
    do {
      while (!queue_.empty()) {
        const Command command = std::move(queue_.front());
        queue_.pop_front();
        command(now_);
      }
      machines_.advance(now_);
    } while (!queue_.empty());
    settling_ = false;
  }

  Nanos now_ = 0;
  bool settling_ = false;
  bool stopped_ = false;
  std::deque<Command> queue_;
  MachineSet machines_;
};

}  // namespace sluice
