// An executor under a manual clock, for tests and for manual time in JavaScript.
#pragma once

#include <algorithm>
#include <deque>

#include "core/base/executor.h"
#include "runtime/loop/task_set.h"

namespace sluice {

/// Runs commands and machines inline on the caller's thread, under a clock that the caller moves.
///
/// Single-threaded: JavaScript's thread, or a test's. `post` runs the command before it returns. A
/// command posted from inside a command or a machine runs right after that one, so that a machine
/// is never re-entered.
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

  /// Moves time to `time` (never back) and advances the machines due by then, in order of due time.
  void advance_to(Nanos time) {
    if (stopped_ || settling_) return;
    for (Nanos due = next_deadline(); due <= time; due = next_deadline()) {
      now_ = std::max(now_, due);
      settle();
    }
    now_ = std::max(now_, time);
  }

  /// Drops the machines. `post` returns false afterwards. Idempotent.
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
