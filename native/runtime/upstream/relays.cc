#include "runtime/upstream/relays.h"

#include <algorithm>
#include <utility>

namespace sluice {

/// One call: its connection, and what its bytes mean.
struct RelayHub::Call final : public UpstreamReceiver {
  Call(RelayHub& relay_hub, CallId call_id, Relay::Options options, Nanos now)
      : hub(relay_hub), id(call_id), relay(std::move(options), relay_hub.hub_, now) {}

  void on_head(const UpstreamHead& head) override {
    relay.on_head({.status = head.status,
                   .content_type = head.content_type,
                   .retry_after = head.retry_after,
                   .retry_after_ms = head.retry_after_ms},
                  Reactor::now());
    touch_if_due();
  }

  bool on_bytes(std::string_view bytes) override {
    const bool taken = relay.on_bytes(bytes, Reactor::now());
    touch_if_due();
    return taken;
  }

  void on_end(const UpstreamEnd& end) override {
    const Nanos now = Reactor::now();
    transfer_ended = true;
    if (end.kind == UpstreamEnd::Kind::kWhole) {
      relay.on_end(now);
    } else {
      relay.on_broken(end.kind == UpstreamEnd::Kind::kProtocol, end.name, now);
    }
    hub.touch(*this);
  }

  // Most bytes change nothing but the logs.
  void touch_if_due() {
    if (relay.settled() || relay.next_deadline() < armed_for) hub.touch(*this);
  }

  RelayHub& hub;
  CallId id;
  Relay relay;
  std::unique_ptr<UpstreamClient::Transfer> transfer;
  Nanos armed_for = kNever;  // the earliest entry in the timer queue
  bool transfer_ended = false;
  bool touched = false;
  bool window_moved = false;
  bool told = false;
};

RelayHub::RelayHub(Reactor& reactor, JobHub& hub, Observer& observer)
    : reactor_(reactor),
      hub_(hub),
      observer_(observer),
      client_(UpstreamClient::create(reactor.loop(), *this)) {}

RelayHub::~RelayHub() {
  calls_.clear();  // transfers before their client
}

void RelayHub::start(CallId id, UpstreamRequest request, Relay::Options options, Nanos now) {
  auto made = std::make_unique<Call>(*this, id, std::move(options), now);
  Call& call = *made;
  calls_.emplace(id, std::move(made));
  if (!call.relay.settled()) {
    if (client_) call.transfer = client_->post(std::move(request), call);
    if (!call.transfer) call.relay.on_broken(false, "NO_CLIENT", now);
  }
  for (const JobHandle job : call.relay.jobs()) jobs_[job] = &call;
  touch(call);
}

void RelayHub::abort(CallId id, Nanos now) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  found->second->relay.on_broken(false, {}, now);
  touch(*found->second);
}

void RelayHub::job_ended(JobHandle job, Nanos now) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Call& call = *found->second;
  call.relay.forget(job, now);
  call.window_moved = true;
  touch(call);
}

bool RelayHub::window_moved(JobHandle job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return false;
  Call& call = *found->second;
  if (call.relay.blocked()) {
    call.window_moved = true;
    touch(call);
  }
  return true;
}

void RelayHub::advance(Nanos now) {
  CallId due = 0;
  while (timers_.pop_due(now, due)) {
    const auto found = calls_.find(due);
    if (found != calls_.end()) run_timer(*found->second, now);
  }
  for (const CallId id : std::exchange(touched_, {})) {
    const auto found = calls_.find(id);
    if (found == calls_.end()) continue;
    found->second->touched = false;
    look_at(*found->second, now);
  }
}

void RelayHub::run_timer(Call& call, Nanos now) {
  call.armed_for = kNever;
  // What the kernel holds already is no silence: this thread was late, not the upstream.
  if (call.relay.stalls_at(now) && call.transfer && call.transfer->has_input()) {
    arm(call, now + kMillisecond);
    return;
  }
  call.relay.advance(now);
  touch(call);
}

void RelayHub::look_at(Call& call, Nanos now) {
  if (std::exchange(call.window_moved, false)) {
    call.relay.resume(now);
    if (!call.relay.blocked() && call.transfer && !call.transfer_ended) call.transfer->resume();
  }
  if (call.relay.settled() && !std::exchange(call.told, true)) {
    for (const JobHandle job : call.relay.jobs()) {
      const auto found = jobs_.find(job);
      if (found != jobs_.end() && found->second == &call) jobs_.erase(found);
    }
    observer_.on_relay_end(call.id, call.relay.outcome());
    // What is left of the body is read without heeding anybody's window.
    if (!call.relay.over() && call.transfer && !call.transfer_ended) call.transfer->resume();
  }
  if (call.relay.over()) {
    calls_.erase(call.id);
    return;
  }
  const Nanos deadline = call.relay.next_deadline();
  if (deadline < call.armed_for) arm(call, deadline);
}

void RelayHub::arm(Call& call, Nanos due) {
  call.armed_for = due;
  timers_.arm(due, call.id);
}

void RelayHub::touch(Call& call) {
  if (std::exchange(call.touched, true)) return;
  touched_.push_back(call.id);
}

void RelayHub::on_activity() {
  reactor_.turn();
}

}  // namespace sluice
