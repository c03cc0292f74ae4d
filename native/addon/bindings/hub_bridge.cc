#include "addon/bindings/hub_bridge.h"

#include <algorithm>
#include <utility>

namespace sluice {

LaneHub::LaneHub(HubOptions options, std::shared_ptr<EventLane> lane, double machine_id,
                 Reactor* reactor)
    : hub(options, *this),
      lane_(std::move(lane)),
      machine_id_(machine_id),
      reactor_(reactor),
      silence_max_(std::max(options.stall, SocketEgress::kSilenceMax)) {}

void LaneHub::adopt(ChannelHandle channel, UniqueFd fd, bool sole, Nanos now) {
  if (reactor_ == nullptr || !hub.has_channel(channel)) return;  // it ended in the meantime
  auto socket =
      std::make_unique<SocketEgress>(reactor_->loop(), std::move(fd), channel, *this, silence_max_);
  if (sole) socket->take_over();
  sockets_.insert_or_assign(channel, std::move(socket));
  hub.acknowledge(channel, now);
}

void LaneHub::detach(ChannelHandle channel, Nanos now) {
  sockets_.erase(channel);
  // It may have come to its end, and nobody has heard of that yet.
  (void)reclaim(channel);
  hub.detach(channel, now);
}

UniqueFd LaneHub::reclaim(ChannelHandle channel) {
  const std::lock_guard lock(mutex_);
  const auto found = finished_.find(channel);
  if (found == finished_.end()) return {};
  UniqueFd fd = std::move(found->second);
  finished_.erase(found);
  return fd;
}

void LaneHub::relay(CallId call, UpstreamRequest request, Relay::Options options, Nanos now) {
  if (reactor_ == nullptr) return;
  if (!relays_) relays_ = std::make_unique<RelayHub>(*reactor_, hub, *this);
  relays_->start(call, std::move(request), std::move(options), now);
}

void LaneHub::abort_relay(CallId call, Nanos now) {
  if (relays_) relays_->abort(call, now);
}

void LaneHub::record_to(std::unique_ptr<JobJournal> journal) {
  journal_ = std::move(journal);
  hub.record_to(journal_.get());
}

void LaneHub::state(JobHandle job, bool with_text, double request, Nanos now) {
  if (hub.holds(job)) {
    waiting_[job].push_back({job, with_text, request});
  } else {
    reply(request, hub.state(job, with_text, now));
  }
}

void LaneHub::flush(double request) {
  flushing_.push_back(request);
  hub.hasten_records();
}

void LaneHub::reply(double request, std::string answer) {
  lane_->push(EventKind::kReply, machine_id_, request, std::move(answer));
}

Nanos LaneHub::next_deadline() const {
  if (has_work()) return 0;
  return relays_ ? std::min(hub.next_deadline(), relays_->next_deadline()) : hub.next_deadline();
}

bool LaneHub::has_work() const {
  if (!flushing_.empty() && hub.records_rest()) return true;
  return !taken_.empty() || !gone_.empty() || !answerable_.empty() ||
         (relays_ && relays_->has_work());
}

void LaneHub::advance(Nanos now) {
  // A batch that its socket took at once makes room for the next one in the same turn: a reader
  // that catches up is served until its socket is full, with no wait in between.
  do {
    for (const ChannelHandle channel : std::exchange(gone_, {})) {
      if (sockets_.erase(channel) == 0) continue;
      hub.detach(channel, now);
      push(EventKind::kChannelEnd, channel, std::string("gone"));
    }
    acknowledging_.swap(taken_);
    for (const ChannelHandle channel : acknowledging_) hub.acknowledge(channel, now);
    acknowledging_.clear();
    if (relays_ && relays_->next_deadline() <= now) relays_->advance(now);
    if (hub.next_deadline() <= now) hub.advance(now);
    if (hub.records_rest()) {
      for (const double request : std::exchange(flushing_, {})) reply(request, "true");
    }
    for (const Asked& asked : std::exchange(answerable_, {})) {
      reply(asked.request, hub.state(asked.job, asked.with_text, now));
    }
  } while (has_work());
}

void LaneHub::retire() {
  reactor_ = nullptr;  // no more sockets, no more calls
  sockets_.clear();
  relays_.reset();
  record_to(nullptr);
}

// --- what the hub says

void LaneHub::on_window(JobHandle job, std::uint64_t tokens) {
  if (relays_ && relays_->window_moved(job)) return;
  push(EventKind::kJobWindow, job, static_cast<double>(tokens));
}

void LaneHub::on_ended(JobHandle job, std::string state) {
  push(EventKind::kJobEnded, job, std::move(state));
  answer(job);
}

void LaneHub::on_sealed(JobHandle job) {
  if (relays_) relays_->job_ended(job, Reactor::now());
}

void LaneHub::on_purged(JobHandle job) {
  push(EventKind::kJobPurged, job, {});
  answer(job);
}

void LaneHub::answer(JobHandle job) {
  const auto found = waiting_.find(job);
  if (found == waiting_.end()) return;
  answerable_.insert(answerable_.end(), found->second.begin(), found->second.end());
  waiting_.erase(found);
}

void LaneHub::on_channel_open(ChannelHandle channel, bool finished) {
  push(EventKind::kChannelOpen, channel, finished ? 1.0 : 0.0);
}

void LaneHub::on_batch(ChannelHandle channel, Channel::Batch& batch) {
  const auto socket = sockets_.find(channel);
  if (socket == sockets_.end()) {
    if (batch.events.empty()) {
      push(EventKind::kChannelFrames, channel, LaneBytes{std::move(batch.frames)});
    } else {
      push(EventKind::kChannelEvents, channel, std::move(batch.events));
    }
    return;
  }
  switch (socket->second->send(batch.frames, batch.last)) {
    case SocketEgress::Sent::kAll:
      taken_.push_back(channel);
      break;
    case SocketEgress::Sent::kPending:
      break;
    case SocketEgress::Sent::kGone:
      gone_.push_back(channel);
      break;
  }
}

void LaneHub::on_channel_end(ChannelHandle channel, std::string_view reason) {
  const auto socket = sockets_.find(channel);
  if (socket != sockets_.end()) {
    if (reason == "finished" && socket->second->sole()) {
      UniqueFd fd = socket->second->release();
      const std::lock_guard lock(mutex_);
      if (fd.valid()) finished_.emplace(channel, std::move(fd));
    }
    sockets_.erase(socket);
  }
  push(EventKind::kChannelEnd, channel, std::string(reason));
}

// --- what the sockets say

void LaneHub::on_drained(SocketEgress& egress) {
  taken_.push_back(egress.id());
  reactor_->turn();
}

void LaneHub::on_progress(SocketEgress& egress) {
  hub.progress(egress.id(), Reactor::now());
}

void LaneHub::on_gone(SocketEgress& egress) {
  gone_.push_back(egress.id());
  reactor_->turn();
}

// --- what the calls say

void LaneHub::on_relay_end(CallId call, const RelayOutcome& outcome) {
  push(EventKind::kRelayEnd, call, outcome.to_json());
}

void LaneHub::push(EventKind kind, std::uint64_t handle, LaneValue value) {
  lane_->push(kind, machine_id_, static_cast<double>(handle), std::move(value));
}

}  // namespace sluice
