#include "runtime/upstream/relays.h"

#include <algorithm>
#include <utility>

namespace sluice {

/// One call: the source of its bytes, and the relay that interprets them.
struct RelayHub::Call final : public UpstreamReceiver {
  Call(RelayHub& relay_hub, CallId call_id, Relay::Options options, bool is_fed, Nanos at)
      : hub(relay_hub),
        id(call_id),
        relay(std::move(options), relay_hub.hub_, at),
        fed(is_fed ? std::make_unique<Fed>(Fed{.at = at}) : nullptr) {}

  void on_head(const UpstreamHead& head) override {
    relay.on_head({.status = head.status,
                   .content_type = head.content_type,
                   .retry_after = head.retry_after,
                   .retry_after_ms = head.retry_after_ms,
                   .location = head.location,
                   .content_encoding = head.content_encoding},
                  now());
    touch_if_due();
  }

  bool on_bytes(std::string_view bytes) override {
    const bool taken = relay.on_bytes(bytes, now());
    touch_if_due();
    return taken;
  }

  void on_end(const UpstreamEnd& end) override {
    transfer_ended = true;
    switch (end.kind) {
      case UpstreamEnd::Kind::kWhole:
        relay.on_end(now());
        break;
      case UpstreamEnd::Kind::kBroken:
        relay.on_broken(false, end.name, now());
        break;
      case UpstreamEnd::Kind::kProtocol:
        relay.on_broken(true, end.name, now());
        break;
      case UpstreamEnd::Kind::kSilent:
        relay.on_stalled(now());
        break;
    }
    hub.touch(*this);
  }

  // The feeder's clock may be a manual one.
  [[nodiscard]] Nanos now() const { return fed ? fed->at : Reactor::now(); }

  // Most bytes change only the logs.
  void touch_if_due() {
    if (relay.settled() || relay.next_deadline() < armed_for) hub.touch(*this);
  }

  /// Passes on the bytes that were refused earlier.
  void give_held() {
    std::string& held = fed->held;
    if (!held.empty() && on_bytes(held)) held = {};
    if (held.empty() && fed->end) on_end(*std::exchange(fed->end, std::nullopt));
  }

  /// The part of a fed call.
  struct Fed {
    Nanos at;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_reported = 0;     // consumed bytes that were reported
    std::string held = {};                // refused bytes, to be passed on again
    std::optional<UpstreamEnd> end = {};  // to be reported after `held`
  };

  RelayHub& hub;
  CallId id;
  Relay relay;
  std::unique_ptr<UpstreamTransfer> transfer;
  Nanos armed_for = kNever;  // the earliest entry in the timer queue
  std::unique_ptr<Fed> fed;  // nullptr: the call has a transfer
  bool transfer_ended = false;
  bool touched = false;
  bool window_moved = false;
  bool reported = false;
};

RelayHub::RelayHub(Reactor* reactor, JobHub& hub, Observer& observer, UpstreamClient::Plain plain)
    : reactor_(reactor), hub_(hub), observer_(observer) {
  if (reactor_ != nullptr) {
    UpstreamClient::Owner& owner = *this;
    client_ = std::make_unique<UpstreamClient>(reactor_->loop(), owner, plain);
  }
}

RelayHub::~RelayHub() {
  calls_.clear();  // transfers before their client
}

RelayHub::Call& RelayHub::add(CallId id, Relay::Options options, bool fed, Nanos now) {
  auto made = std::make_unique<Call>(*this, id, std::move(options), fed, now);
  Call& call = *made;
  calls_.emplace(id, std::move(made));
  for (const JobHandle job : call.relay.jobs()) jobs_[job] = &call;
  touch(call);
  return call;
}

void RelayHub::start(CallId id, UpstreamRequest request, Relay::Options options, Nanos now) {
  Call& call = add(id, std::move(options), false, now);
  if (call.relay.settled()) return;
  if (client_) call.transfer = client_->post(std::move(request), call);
  if (!call.transfer) call.relay.on_broken(false, "NO_CLIENT", now);
}

void RelayHub::start_fed(CallId id, Relay::Options options, Nanos now) {
  options.times_silence = false;
  add(id, std::move(options), true, now);
}

RelayHub::Call* RelayHub::find_fed(CallId id, Nanos now) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return nullptr;
  if (found->second->fed == nullptr) return nullptr;
  found->second->fed->at = now;
  return found->second.get();
}

void RelayHub::feed_head(CallId id, const UpstreamHead& head, Nanos now) {
  if (Call* const call = find_fed(id, now)) call->on_head(head);
}

void RelayHub::feed_bytes(CallId id, std::string bytes, Nanos now) {
  Call* const call = find_fed(id, now);
  if (call == nullptr) return;
  std::string& held = call->fed->held;
  call->fed->bytes += bytes.size();
  if (!held.empty()) {
    held.append(bytes);
  } else if (!call->on_bytes(bytes)) {
    held = std::move(bytes);
  }
  touch(*call);
}

void RelayHub::feed_end(CallId id, const UpstreamEnd& end, Nanos now) {
  Call* const call = find_fed(id, now);
  if (call == nullptr) return;
  if (call->fed->held.empty()) {
    call->on_end(end);
  } else {
    call->fed->end = end;
  }
}

void RelayHub::abort(CallId id, Nanos now) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  found->second->relay.on_broken(false, {}, now);
  touch(*found->second);
}

void RelayHub::job_ended(JobHandle job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Call& call = *found->second;
  call.relay.forget(job);
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
  // Bytes in the kernel are no silence of the upstream: this thread was late.
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
    if (!call.relay.blocked()) resume(call);
  }
  if (call.relay.settled() && !std::exchange(call.reported, true)) {
    for (const JobHandle job : call.relay.jobs()) {
      const auto found = jobs_.find(job);
      if (found != jobs_.end() && found->second == &call) jobs_.erase(found);
    }
    observer_.on_relay_end(call.id, call.relay.outcome());
    // The rest of the body is read regardless of windows.
    if (!call.relay.over()) resume(call);
  }
  if (call.relay.over()) {
    if (call.fed) observer_.on_relay_over(call.id);
    calls_.erase(call.id);
    return;
  }
  const bool has_room = call.fed && call.fed->held.empty() && !call.relay.blocked();
  if (has_room && call.fed->bytes_reported < call.fed->bytes) {
    call.fed->bytes_reported = call.fed->bytes;
    observer_.on_relay_taken(call.id, call.fed->bytes_reported);
  }
  const Nanos deadline = call.relay.next_deadline();
  if (deadline < call.armed_for) arm(call, deadline);
}

void RelayHub::resume(Call& call) {
  if (call.fed) {
    call.give_held();
  } else if (call.transfer && !call.transfer_ended) {
    call.transfer->resume();
  }
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
  reactor_->turn();
}

}  // namespace sluice
