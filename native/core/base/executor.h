// The two contracts between a time-injected state machine and whatever drives it.
//
// A Machine lives on one Executor and is touched by that executor's thread alone, so it takes no
// lock. The reactor (runtime/) is the executor of real time; ManualExecutor (runtime/) runs the
// same machines inline under a clock that is moved by hand.
#pragma once

#include <functional>
#include <memory>

#include "core/base/time.h"

namespace sluice {

/// A state machine with timers. Not thread-safe: its executor's thread alone calls it.
class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  /// The earliest time at which `advance` has something to do, or kNever. May be earlier than the
  /// true deadline (a spurious `advance` does nothing), never later.
  [[nodiscard]] virtual Nanos next_deadline() const = 0;

  /// Does everything that is due at or before `now`. `now` never goes back.
  virtual void advance(Nanos now) = 0;

  /// Lets go of whatever belongs to the executor (sockets, timers of its loop): the machine has
  /// been removed, or the executor is about to end, while others may still hold the object. It is
  /// not advanced again.
  virtual void retire() {}
};

/// Runs commands one after the other on one thread, and advances its machines when they fall due.
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

  /// Registers a machine to be advanced. Executor's thread (that is: inside a command) only.
  virtual void add(std::shared_ptr<Machine> machine) = 0;

  /// Forgets a machine. Executor's thread only; unknown machines are ignored.
  virtual void remove(const Machine* machine) = 0;
};

}  // namespace sluice
