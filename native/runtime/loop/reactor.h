// The executor under the monotonic clock: one libuv loop on its own thread.
#pragma once

#include <uv.h>

#include <mutex>
#include <vector>

#include "core/base/executor.h"
#include "runtime/loop/task_set.h"
#include "runtime/loop/uv_handle.h"

namespace sluice {

/// Runs commands and machines on a libuv loop with a thread of its own.
///
/// Any thread may `post`; commands and machines run on the reactor's thread. `stop`, or the
/// destructor, drops the commands still queued, retires the machines on that thread, and joins it.
/// `post` returns false afterwards.
///
/// The mailbox is a mutex and two vectors that are swapped, so a poster never waits for running
/// commands. Its length is bounded by its users: JavaScript posts tokens only within the window
/// that a job granted, and everything else once per request.
class Reactor final : public Executor {
 public:
  /// Starts the thread. Commands posted from now on run on it.
  Reactor();
  ~Reactor() override;

  bool post(Command command) override;

  /// Like `post`, but does not wake the thread for this command: `wake` follows at the end
  /// of the poster's turn, and wakes it once for all of them. A long turn does not hold back many.
  bool gather(Command command);

  /// Wakes the thread for gathered commands. Any thread.
  void wake();
  void add(std::shared_ptr<Machine> machine) override;
  void remove(const Machine* machine) override;

  /// The loop, for the handles of this reactor's machines. Reactor's thread only.
  [[nodiscard]] uv_loop_t* loop() { return &loop_; }

  /// Advances the machines and re-arms the timer. A machine calls it from the libuv callback of its
  /// handle. Reactor's thread only.
  void turn();

  /// Stops and joins. Idempotent; must not be called from the reactor's own thread.
  void stop();

  /// Monotonic nanoseconds: the clock of commands and machines. Any thread.
  [[nodiscard]] static Nanos now();

  /// Milliseconds since 1970, which the clock of the machine may set back. Any thread.
  [[nodiscard]] static std::int64_t unix_ms();

 private:
  void run();
  void send_wake();
  void drain();
  void arm();

  uv_loop_t loop_{};
  uv_thread_t thread_{};
  UvHandle<uv_async_t> wake_;
  UvHandle<uv_timer_t> timer_;

  std::mutex mutex_;  // guards the three below
  std::vector<Command> incoming_;
  bool wake_pending_ = false;
  bool stopped_ = false;

  std::vector<Command> running_;  // reactor's thread only, as the two below
  MachineSet machines_;
  bool stop_requested_ = false;
  bool joined_ = false;  // owner's thread only
};

}  // namespace sluice
