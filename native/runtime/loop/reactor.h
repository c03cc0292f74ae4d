// The executor of real time: one libuv loop on one thread.
//
// Any thread may `post`; everything posted, and every machine, runs on the reactor's own thread.
// `stop` (or the destructor) drops what is still queued, retires the machines on their own
// thread, and joins. After that `post` answers false.
//
// The mailbox is a mutex and two vectors that are swapped, so the posting side never waits for
// the work itself. Its length is bounded by its users: JavaScript posts tokens only within the
// window a job log has granted, and everything else once per request.
#pragma once

#include <uv.h>

#include <mutex>
#include <vector>

#include "core/base/executor.h"
#include "runtime/loop/task_set.h"
#include "runtime/loop/uv_handle.h"

namespace sluice {

class Reactor final : public Executor {
 public:
  /// Starts the thread. Commands posted from now on run on it.
  Reactor();
  ~Reactor() override;

  bool post(Command command) override;
  void add(std::shared_ptr<Machine> machine) override;
  void remove(const Machine* machine) override;

  /// The loop, for handles of machines that live here. Reactor's thread only.
  [[nodiscard]] uv_loop_t* loop() { return &loop_; }

  /// Advances the machines and sets the timer anew: for a machine whose handle has fired. Reactor's
  /// thread only, from a libuv callback.
  void turn();

  /// Stops and joins. Idempotent; must not be called from the reactor's own thread.
  void stop();

  /// Monotonic nanoseconds, the clock that commands and machines are given. Any thread.
  [[nodiscard]] static Nanos now();

 private:
  void run();
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
