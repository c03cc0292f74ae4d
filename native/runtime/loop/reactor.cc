// The reactor's loop: drain the mailbox, advance due machines, sleep until the next deadline.
#include "runtime/loop/reactor.h"

#include <chrono>
#include <cstddef>
#include <cstdlib>

namespace sluice {

namespace {

// Gathered commands are sent at this number without waiting for the end of the turn.
constexpr std::size_t kGatheredMax = 32;

// Aborts: the loop cannot be set up only if the process is out of descriptors or memory at
// start-up, and the caller has no way to continue.
void check(int status) {
  if (status != 0) std::abort();
}

}  // namespace

Nanos Reactor::now() {
  return static_cast<Nanos>(uv_hrtime());
}

std::int64_t Reactor::unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Reactor::Reactor() {
  check(uv_loop_init(&loop_));
  wake_.reset(new uv_async_t{});
  check(uv_async_init(&loop_, wake_.get(),
                      [](uv_async_t* handle) { static_cast<Reactor*>(handle->data)->drain(); }));
  wake_->data = this;
  timer_.reset(new uv_timer_t{});
  check(uv_timer_init(&loop_, timer_.get()));
  timer_->data = this;
  check(uv_thread_create(
      &thread_, [](void* self) { static_cast<Reactor*>(self)->run(); }, this));
}

Reactor::~Reactor() {
  stop();
  check(uv_loop_close(&loop_));
}

bool Reactor::post(Command command) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  incoming_.push_back(std::move(command));
  send_wake();
  return true;
}

bool Reactor::gather(Command command) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  incoming_.push_back(std::move(command));
  if (incoming_.size() >= kGatheredMax) send_wake();
  return true;
}

void Reactor::wake() {
  const std::lock_guard lock(mutex_);
  if (!stopped_ && !incoming_.empty()) send_wake();
}

// Sent under the lock: the loop closes the handle under the same lock, so it is still open here.
void Reactor::send_wake() {
  if (!wake_pending_) uv_async_send(wake_.get());
  wake_pending_ = true;
}

void Reactor::add(std::shared_ptr<Machine> machine) {
  machines_.add(std::move(machine));
}

void Reactor::remove(const Machine* machine) {
  machines_.remove(machine);
}

void Reactor::stop() {
  if (joined_) return;
  post([this](Nanos) { stop_requested_ = true; });
  uv_thread_join(&thread_);
  joined_ = true;
}

void Reactor::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  std::vector<Command> dropped;  // commands posted too late to run
  const std::lock_guard lock(mutex_);
  dropped.swap(incoming_);
}

void Reactor::drain() {
  {
    const std::lock_guard lock(mutex_);
    running_.swap(incoming_);
    wake_pending_ = false;
  }
  const Nanos time = now();
  for (Command& command : running_) {
    command(time);
    if (stop_requested_) break;
  }
  running_.clear();
  if (stop_requested_) {
    // The machines close their handles on their own thread, while the loop still runs.
    machines_.clear();
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.reset();
    timer_.reset();
    return;
  }
  machines_.advance(time);
  arm();
}

void Reactor::turn() {
  machines_.advance(now());
  arm();
}

void Reactor::arm() {
  const Nanos deadline = machines_.next_deadline();
  if (deadline == kNever) {
    uv_timer_stop(timer_.get());
    return;
  }
  // libuv counts whole milliseconds from its cached time: refresh it and round up, so that the
  // timer never fires before the deadline and spins.
  uv_update_time(&loop_);
  const Nanos wait = deadline - now();
  const Nanos wait_ms = wait <= 0 ? 0 : (wait + kMillisecond - 1) / kMillisecond;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* handle) { static_cast<Reactor*>(handle->data)->turn(); },
      static_cast<std::uint64_t>(wait_ms), 0);
}

}  // namespace sluice
