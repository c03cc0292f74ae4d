// The machines of one executor.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/executor.h"

namespace sluice {

/// The machines of one executor, and the order in which it advances them. Executor's thread only.
class MachineSet {
 public:
  void add(std::shared_ptr<Machine> machine) { machines_.push_back(std::move(machine)); }

  /// Removes and retires the machine; an unknown one is ignored.
  void remove(const Machine* machine) {
    const auto found = std::find_if(machines_.begin(), machines_.end(),
                                    [machine](const auto& m) { return m.get() == machine; });
    if (found == machines_.end()) return;
    const std::shared_ptr<Machine> keep_alive = *found;
    machines_.erase(found);
    keep_alive->retire();
  }

  /// Removes and retires all machines.
  void clear() {
    const std::vector<std::shared_ptr<Machine>> retired = std::exchange(machines_, {});
    for (const auto& machine : retired) machine->retire();
  }

  /// The earliest deadline of any machine, or kNever.
  [[nodiscard]] Nanos next_deadline() const {
    Nanos earliest = kNever;
    for (const auto& machine : machines_) earliest = std::min(earliest, machine->next_deadline());
    return earliest;
  }

  /// Advances every machine that is due at `now`. A machine may add or remove machines meanwhile.
  void advance(Nanos now) {
    for (std::size_t i = 0; i < machines_.size(); ++i) {
      if (machines_[i]->next_deadline() > now) continue;
      const std::shared_ptr<Machine> keep_alive = machines_[i];
      keep_alive->advance(now);
    }
  }

 private:
  std::vector<std::shared_ptr<Machine>> machines_;
};

}  // namespace sluice
