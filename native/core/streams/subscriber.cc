#include "core/streams/subscriber.h"

#include <algorithm>
#include <utility>

#include "core/sse/encoder.h"

namespace sluice {

namespace {

// The last id that a client at `position` has received.
EventId seen_before(EventLog::Position position) {
  return {position.attempt, position.next_seq == 0 ? 0 : position.next_seq - 1};
}

// A face may have no frame for an event. The events of one turn are limited, so that a long log
// without frames does not delay other subscribers.
constexpr std::size_t kFaceEventsMax = 4096;

}  // namespace

Subscriber::Subscriber(SubscriberHandle handle, Mode mode, bool fan_in, std::uint64_t retry_ms,
                       Limits limits, Nanos now, std::unique_ptr<Face> face)
    : handle_(handle),
      mode_(mode),
      fan_in_(fan_in),
      retry_ms_(retry_ms),
      limits_(limits),
      face_(std::move(face)),
      in_flight_(mode == Mode::kFrames),
      quiet_since_(now) {}

void Subscriber::add(Job& job, std::string_view cursor) {
  if (face_ == nullptr && job.replica != nullptr && !job.log.ended() && job.log.is_ahead(cursor)) {
    const EventId seen = *parse_event_id(cursor);
    const EventLog::Position next{seen.attempt, seen.seq + 1};
    members_.push_back({.job = &job,
                        .next = next,
                        .acknowledged = next,
                        .choice = static_cast<std::uint32_t>(members_.size()),
                        .requested = std::string(cursor),
                        .waiting = true,
                        .answered_at = job.replica->answered});
    return;
  }
  const std::string_view from = face_ == nullptr ? cursor : std::string_view();
  const EventLog::Resolved resolved = job.log.resolve(from);
  const bool gap_due = resolved.gap && face_ == nullptr;
  broken_ = broken_ || resolved.gap != gap_due;
  members_.push_back({.job = &job,
                      .next = resolved.position,
                      .acknowledged = resolved.position,
                      .choice = static_cast<std::uint32_t>(members_.size()),
                      .requested = gap_due ? std::string(cursor) : std::string(),
                      .gap_due = gap_due});
}

// Whether the member's cursor is still ahead of the log, and may stay so.
bool Subscriber::waits(const Member& member) {
  if (!member.waiting) return false;
  const Job& job = *member.job;
  const EventId seen = seen_before(member.next);
  const EventLog& log = job.log;
  const bool reached = log.attempt() > seen.attempt ||
                       (log.attempt() == seen.attempt && log.entry_count() >= seen.seq);
  if (reached || log.end_published() || job.replica == nullptr) return false;
  return job.replica->answered - member.answered_at < job.replica->wait_max;
}

// The end of a wait: the cursor counts as it does in a log that has all its events.
void Subscriber::settle(Member& member) {
  if (!member.waiting || waits(member)) return;
  const EventLog::Resolved resolved = member.job->log.resolve(member.requested);
  member.waiting = false;
  member.next = member.acknowledged = resolved.position;
  member.gap_due = resolved.gap;
  if (!resolved.gap) member.requested.clear();
}

void Subscriber::remove(const Job& job) {
  std::erase_if(members_, [&job](const Member& member) { return member.job == &job; });
  broken_ = broken_ || face_ != nullptr;
}

bool Subscriber::finished() const {
  return std::all_of(members_.begin(), members_.end(), [](const Member& member) {
    return !member.gap_due && !member.waiting && member.job->log.at_end(member.acknowledged);
  });
}

bool Subscriber::has_news() const {
  if (!opened_ && mode_ == Mode::kFrames) return true;
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) {
    if (member.waiting) return !waits(member);
    return member.gap_due || !member.job->log.is_latest(member.next);
  });
}

bool Subscriber::full(const Batch& batch) const {
  return batch.frames.size() >= limits_.batch_bytes_max ||
         batch.events.size() / 3 >= limits_.batch_events_max;
}

void Subscriber::open(Batch& batch) {
  if (std::exchange(opened_, true) || mode_ != Mode::kFrames) return;
  if (face_ == nullptr) {
    append_sse_retry(batch.frames, retry_ms_);
  } else {
    face_->open(batch.frames);
  }
}

void Subscriber::take(Batch& batch, Nanos now) {
  if (in_flight_) return;
  open(batch);
  std::size_t events_left = kFaceEventsMax;
  for (std::size_t i = 0; i < members_.size() && !full(batch); ++i) {
    Member& member = members_[(first_ + i) % members_.size()];
    if (face_ == nullptr) {
      take_from(member, batch);
    } else {
      take_for_face(member, batch, events_left);
    }
  }
  // Fairness among many jobs: after a full batch the next one begins with another job.
  if (full(batch)) first_ = (first_ + 1) % members_.size();
  const bool silent = deadline_after(quiet_since_, limits_.heartbeat) <= now;
  if (batch.empty() && mode_ == Mode::kFrames && silent) {
    if (face_ == nullptr) {
      batch.frames.append(kSseKeepAlive);
    } else {
      face_->keep_alive(batch.frames);
    }
  }
  if (batch.empty()) {
    for (Member& member : members_) member.acknowledged = member.next;
    return;
  }
  batch.last = std::all_of(members_.begin(), members_.end(), [](const Member& member) {
    return !member.gap_due && !member.waiting && member.job->log.at_end(member.next);
  });
  in_flight_ = true;
  quiet_since_ = now;
}

void Subscriber::take_for_face(Member& member, Batch& batch, std::size_t& events_left) {
  const EventLog::Resolved here = member.job->log.catch_up(member.next);
  broken_ = broken_ || here.gap;
  member.next = here.position;
  for (; !full(batch) && events_left > 0; --events_left) {
    const EventLog::Event event = member.job->log.read(member.next);
    if (event.kind == EventLog::EventKind::kNone) return;
    member.next.next_seq = event.id.seq + 1;
    if (event.kind == EventLog::EventKind::kTyped) continue;
    face_->write(batch.frames, member.choice, *member.job, event);
  }
}

void Subscriber::take_from(Member& member, Batch& batch) {
  settle(member);
  if (member.waiting) return;
  const EventLog& log = member.job->log;
  const EventLog::Resolved here = log.catch_up(member.next);
  if (here.gap && !member.gap_due) {
    member.gap_due = true;
    member.requested = to_string(seen_before(member.next));
  }
  member.next = here.position;
  if (member.gap_due) {
    data_.clear();
    member.job->append_gap_data(data_, member.requested);
    emit(batch, {}, "gap");
    member.gap_due = false;
    member.requested.clear();
  }
  while (!full(batch)) {
    const EventLog::Event event = log.read(member.next);
    if (event.kind == EventLog::EventKind::kNone) return;
    member.next.next_seq = event.id.seq + 1;
    if (event.kind == EventLog::EventKind::kTyped && event.type.empty()) continue;
    if (mode_ == Mode::kFrames && !fan_in_) {
      batch.frames.append(member.job->frame(event));
      continue;
    }
    data_.clear();
    member.job->append_event_data(data_, event);
    const std::string id = fan_in_ ? composite_id() : to_string(event.id);
    emit(batch, id, event_type(*member.job, event));
  }
}

void Subscriber::emit(Batch& batch, std::string_view id, std::string_view type) {
  if (mode_ != Mode::kFrames) {
    batch.events.emplace_back(id);
    batch.events.emplace_back(type);
    batch.events.emplace_back(data_);
    return;
  }
  // Ids and types are our own and are one line each.
  const bool appended = append_sse_event(batch.frames, id, type, data_);
  (void)appended;
}

std::string Subscriber::composite_id() const {
  std::string id;
  for (const Member& member : members_) {
    // An unread job is left out: no cursor means "from the start".
    const std::uint64_t first_seq = member.next.attempt == 1 ? 1 : 0;
    if (member.next.next_seq <= first_seq) continue;
    if (!id.empty()) id.push_back(',');
    id.append(member.job->options.job_id).push_back(':');
    append_event_id(id, seen_before(member.next));
  }
  return id;
}

void Subscriber::acknowledge(Nanos now) {
  if (!in_flight_) return;
  in_flight_ = false;
  quiet_since_ = now;
  for (Member& member : members_) member.acknowledged = member.next;
}

std::uint64_t Subscriber::acknowledged(const Job& job) const {
  for (const Member& member : members_) {
    if (member.job != &job) continue;
    // A subscriber in an older attempt has consumed nothing of this one.
    if (member.acknowledged.attempt != job.log.attempt()) return 0;
    return std::max(member.acknowledged.next_seq, std::uint64_t{1}) - 1;
  }
  return job.log.entry_count();
}

Nanos Subscriber::next_deadline() const {
  if (in_flight_) return deadline_after(quiet_since_, limits_.stall);
  return mode_ == Mode::kFrames ? deadline_after(quiet_since_, limits_.heartbeat) : kNever;
}

bool Subscriber::stalled(Nanos now) const {
  return in_flight_ && deadline_after(quiet_since_, limits_.stall) <= now;
}

}  // namespace sluice
