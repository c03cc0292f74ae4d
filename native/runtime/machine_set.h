// The machines of one executor and the rule by which they are advanced.
//
// Executor's thread only.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/machine.h"

namespace sluice {

class MachineSet {
 public:
  void add(std::shared_ptr<Machine> machine) { machines_.push_back(std::move(machine)); }

  void remove(const Machine* machine) {
    std::erase_if(machines_, [machine](const auto& m) { return m.get() == machine; });
  }

  /// The earliest deadline of all, or kNever.
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
