// Interfaces of a time-injected state machine and of the executor that drives it.
#pragma once

#include <functional>
#include <memory>

#include "core/base/time.h"

namespace sluice {

/// A state machine with timers. It lives on one Executor, and only that executor's thread calls it,
/// so it needs no lock.
class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  /// The earliest time at which `advance` has something to do, or kNever. May be earlier than the
  /// true deadline (a spurious `advance` does nothing), never later.
  [[nodiscard]] virtual Nanos next_deadline() const = 0;

  /// Does all work due at or before `now`. `now` never goes back.
  virtual void advance(Nanos now) = 0;

  /// Releases all resources of the executor (sockets, timers of its loop). Called when the machine
  /// is removed or the executor is about to end; others may still reference the object. `advance`
  /// is not called again.
  virtual void retire() {}
};

/// Runs commands one after the other on one thread, and advances its machines when they are due.
/// The reactor (runtime/) uses the monotonic clock; ManualExecutor (runtime/) runs the same
/// machines inline under a manual clock.
class Executor {
 public:
  using Command = std::function<void(Nanos now)>;

  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// Queues `command`; commands run in the order posted, each before any timer that falls due
  /// later. Any thread. Returns false, and drops the command, once the executor has stopped.
  virtual bool post(Command command) = 0;

  /// Registers a machine. Executor's thread only, that is, inside a command.
  virtual void add(std::shared_ptr<Machine> machine) = 0;

  /// Removes a machine; an unknown one is ignored. Executor's thread only.
  virtual void remove(const Machine* machine) = 0;
};

}  // namespace sluice
