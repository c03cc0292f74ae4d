#include "addon/bindings/streams/hub_bridge.h"

#include <algorithm>
#include <utility>

namespace sluice {

HubBridge::HubBridge(HubOptions options, std::shared_ptr<EventQueue> events, double machine_id,
                     Reactor* reactor)
    : hub(options, *this),
      events_(std::move(events)),
      machine_id_(machine_id),
      reactor_(reactor),
      silence_max_(std::max(options.stall, SocketEgress::kSilenceMax)) {}

void HubBridge::attach(SubscriberHandle subscriber, Subscriber::Mode mode, bool fan_in,
                       const std::vector<JobHub::Cursor>& cursors, FaceOptions face, bool at_once,
                       Nanos now) {
  hub.attach(subscriber, mode, fan_in, cursors, now, make_face(std::move(face)), at_once);
}

void HubBridge::attach_socket(SubscriberHandle subscriber, UniqueFd fd, bool sole, std::string head,
                              Nanos now) {
  if (reactor_ == nullptr || !hub.has_subscriber(subscriber)) return;  // already ended
  auto socket = std::make_unique<SocketEgress>(reactor_->loop(), std::move(fd), subscriber, *this,
                                               silence_max_);
  if (sole) socket->take_over(std::move(head));
  sockets_.insert_or_assign(subscriber, std::move(socket));
  hub.acknowledge(subscriber, now);
}

void HubBridge::detach(SubscriberHandle subscriber, Nanos now) {
  sockets_.erase(subscriber);
  // It may have finished, with the event still on its way to JavaScript.
  (void)detach_socket(subscriber);
  hub.detach(subscriber, now);
}

UniqueFd HubBridge::detach_socket(SubscriberHandle subscriber) {
  const std::lock_guard lock(mutex_);
  const auto found = finished_.find(subscriber);
  if (found == finished_.end()) return {};
  UniqueFd fd = std::move(found->second);
  finished_.erase(found);
  return fd;
}

void HubBridge::relay(CallId call, UpstreamRequest request, Relay::Options options, Nanos now) {
  if (reactor_ == nullptr) return;
  relays().start(call, std::move(request), std::move(options), now);
}

RelayHub& HubBridge::relays() {
  if (!relays_) relays_ = std::make_unique<RelayHub>(reactor_, hub, *this);
  return *relays_;
}

void HubBridge::relay_fed(CallId call, Relay::Options options, Nanos now) {
  if (!retired_) relays().start_fed(call, std::move(options), now);
}

void HubBridge::feed_head(CallId call, const UpstreamHead& head, Nanos now) {
  if (relays_) relays_->feed_head(call, head, now);
}

void HubBridge::feed_bytes(CallId call, Bytes bytes, Nanos now) {
  if (relays_) relays_->feed_bytes(call, std::move(bytes.data), now);
}

void HubBridge::feed_end(CallId call, const UpstreamEnd& end, Nanos now) {
  if (relays_) relays_->feed_end(call, end, now);
}

void HubBridge::abort_relay(CallId call, Nanos now) {
  if (relays_) relays_->abort(call, now);
}

void HubBridge::record_to(std::unique_ptr<JobJournal> journal) {
  journal_ = std::move(journal);
  hub.record_to(journal_.get());
}

void HubBridge::record_to(std::unique_ptr<JobJournal> journal, HubJournal::Options pace) {
  journal_ = std::move(journal);
  hub.record_to(journal_.get(), pace);
}

void HubBridge::follow(JobHandle job, JobHandle source, std::uint64_t request, Nanos now) {
  reply(request, hub.follow(job, source, now) ? "true" : "false");
}

void HubBridge::state(JobHandle job, bool with_text, bool with_items, std::uint64_t request,
                      Nanos now) {
  ask({job, with_text, with_items, request}, now);
}

void HubBridge::whole_answer(JobHandle job, FaceOptions face, std::uint64_t request, Nanos now) {
  ask({job, true, false, request, make_face(std::move(face))}, now);
}

void HubBridge::readers(JobHandle job, std::uint64_t request) {
  reply(request, hub.readers(job));
}

void HubBridge::ask(StateRequest request, Nanos now) {
  if (replicas_ && hub.is_open_replica(request.job)) {
    const std::uint64_t number = request.request;
    const JobHandle job = request.job;
    refreshing_.emplace(number, std::move(request));
    replicas_->refresh(job, number);
  } else {
    answer_or_wait(std::move(request), now);
  }
}

void HubBridge::answer_or_wait(StateRequest request, Nanos now) {
  if (hub.holds(request.job)) {
    waiting_[request.job].push_back(std::move(request));
  } else {
    reply(request.request, describe(request, now));
  }
}

std::string HubBridge::describe(const StateRequest& request, Nanos now) const {
  if (request.face) return hub.answer(request.job, *request.face);
  return hub.state(request.job, request.with_text, now, request.with_items);
}

void HubBridge::flush(std::uint64_t request) {
  flushing_.push_back(request);
  hub.hasten_records();
}

void HubBridge::reply(std::uint64_t request, std::string json) {
  push(EventKind::kReply, request, std::move(json));
}

Nanos HubBridge::next_deadline() const {
  if (has_work()) return 0;
  Nanos deadline = hub.next_deadline();
  if (relays_) deadline = std::min(deadline, relays_->next_deadline());
  if (replicas_) deadline = std::min(deadline, replicas_->next_deadline());
  return deadline;
}

bool HubBridge::has_work() const {
  if (!flushing_.empty() && hub.records_rest()) return true;
  return !taken_.empty() || !gone_.empty() || !answerable_.empty() ||
         (relays_ && relays_->has_work());
}

void HubBridge::advance(Nanos now) {
  // A batch that its socket took at once makes room for the next one in the same turn: a client
  // that catches up is served until its socket is full.
  do {
    for (const SubscriberHandle subscriber : std::exchange(gone_, {})) {
      if (sockets_.erase(subscriber) == 0) continue;
      hub.detach(subscriber, now);
      push(EventKind::kSubscriberEnd, subscriber, std::string("gone"));
    }
    acknowledging_.swap(taken_);
    for (const SubscriberHandle subscriber : acknowledging_) hub.acknowledge(subscriber, now);
    acknowledging_.clear();
    if (relays_ && relays_->next_deadline() <= now) relays_->advance(now);
    if (replicas_ && replicas_->next_deadline() <= now) replicas_->advance(now);
    if (hub.next_deadline() <= now) hub.advance(now);
    if (hub.records_rest()) {
      for (const std::uint64_t request : std::exchange(flushing_, {})) reply(request, "true");
    }
    for (StateRequest& asked : std::exchange(answerable_, {}))
      answer_or_wait(std::move(asked), now);
  } while (has_work() || hub.has_turn());
}

void HubBridge::retire() {
  reactor_ = nullptr;  // no more sockets, no more calls
  retired_ = true;
  sockets_.clear();
  relays_.reset();
  replicas_.reset();
  port_.reset();
  record_to(nullptr);
}

// --- events of the hub

void HubBridge::on_window(JobHandle job, std::uint64_t tokens) {
  if (relays_ && relays_->window_moved(job)) return;
  push(EventKind::kJobWindow, job, static_cast<double>(tokens));
}

void HubBridge::on_begun(JobHandle job) {
  push(EventKind::kJobBegun, job, {});
}

void HubBridge::on_ended(JobHandle job, std::string state) {
  std::string frames = hub.unread_frames(job);
  if (frames.empty()) {
    push(EventKind::kJobEnded, job, std::move(state));
  } else {
    push(EventKind::kJobEnded, job, std::vector{std::move(state), std::move(frames)});
  }
  answer(job);
}

void HubBridge::on_sealed(JobHandle job) {
  if (relays_) relays_->job_ended(job);
}

void HubBridge::on_ending(JobHandle job, std::string state) {
  push(EventKind::kJobEnding, job, std::move(state));
}

void HubBridge::on_purged(JobHandle job) {
  if (replicas_) replicas_->close(job);
  push(EventKind::kJobPurged, job, {});
  answer(job);
}

void HubBridge::on_fenced(JobHandle job, bool end_published) {
  push(EventKind::kJobFenced, job, end_published ? 1.0 : 0.0);
  answer(job);
}

void HubBridge::answer(JobHandle job) {
  const auto found = waiting_.find(job);
  if (found == waiting_.end()) return;
  answerable_.insert(answerable_.end(), found->second.begin(), found->second.end());
  waiting_.erase(found);
}

void HubBridge::on_subscriber_open(SubscriberHandle subscriber, bool finished) {
  push(EventKind::kSubscriberOpen, subscriber, finished ? 1.0 : 0.0);
}

void HubBridge::on_subscriber_whole(SubscriberHandle subscriber, std::string& frames) {
  push(EventKind::kSubscriberWhole, subscriber, std::move(frames));
}

bool HubBridge::on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) {
  const auto socket = sockets_.find(subscriber);
  if (socket == sockets_.end()) {
    if (batch.events.empty()) {
      push(EventKind::kSubscriberFrames, subscriber, EventBytes{std::move(batch.frames)});
    } else {
      push(EventKind::kSubscriberEvents, subscriber, std::move(batch.events));
    }
    return false;
  }
  const SocketEgress::Sent sent = socket->second->send(batch.frames, batch.last);
  if (sent == SocketEgress::Sent::kGone) gone_.push_back(subscriber);
  return sent == SocketEgress::Sent::kAll;
}

void HubBridge::on_subscriber_end(SubscriberHandle subscriber, std::string_view reason) {
  const auto socket = sockets_.find(subscriber);
  if (socket != sockets_.end()) {
    if (reason == "finished" && socket->second->sole()) {
      UniqueFd fd = socket->second->release();
      const std::lock_guard lock(mutex_);
      if (fd.valid()) finished_.emplace(subscriber, std::move(fd));
    }
    sockets_.erase(socket);
  }
  push(EventKind::kSubscriberEnd, subscriber, std::string(reason));
}

// --- events of sockets

void HubBridge::on_drained(SocketEgress& egress) {
  taken_.push_back(egress.id());
  reactor_->turn();
}

void HubBridge::on_progress(SocketEgress& egress) {
  hub.progress(egress.id(), Reactor::now());
}

void HubBridge::on_gone(SocketEgress& egress) {
  gone_.push_back(egress.id());
  reactor_->turn();
}

// --- events of calls

void HubBridge::on_relay_end(CallId call, const RelayOutcome& outcome) {
  push(EventKind::kRelayEnd, call, outcome.to_json());
}

void HubBridge::on_relay_taken(CallId call, std::uint64_t bytes) {
  push(EventKind::kRelayTaken, call, static_cast<double>(bytes));
}

void HubBridge::on_relay_over(CallId call) {
  push(EventKind::kRelayOver, call, {});
}

void HubBridge::push(EventKind kind, std::uint64_t handle, EventValue value) {
  events_->push(kind, machine_id_, static_cast<double>(handle), std::move(value));
}

}  // namespace sluice
