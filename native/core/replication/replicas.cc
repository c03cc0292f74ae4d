#include "core/replication/replicas.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice {

namespace {

using redis::Reply;

/// The most events of an unknown kind that are kept one by one.
constexpr std::uint64_t kUnknownMax = 1024;

/// A decimal number of a field; kNever for another text.
std::int64_t number_of(const Reply& reply) {
  std::int64_t value = 0;
  const char* const end = reply.text.data() + reply.text.size();
  const auto [after, error] = std::from_chars(reply.text.data(), end, value);
  return error == std::errc() && after == end && !reply.text.empty() && value >= 0 ? value : kNever;
}

bool has_ended(std::string_view status) {
  return status == "completed" || status == "failed" || status == "cancelled";
}

}  // namespace

Replicas::Replicas(redis::Port& port, JobHub& hub, ReplicasObserver& observer, Options options)
    : port_(port), hub_(hub), observer_(observer), options_(std::move(options)) {
  port_.attach(*this);
}

Replicas::~Replicas() {
  port_.forget(*this);
  port_.detach(*this);
}

Replicas::Replica* Replicas::find(JobHandle handle) {
  const auto found = replicas_.find(handle);
  return found == replicas_.end() ? nullptr : &found->second;
}

void Replicas::open(JobHandle handle, JobOptions options, Nanos lease, Nanos age) {
  const Nanos now = options_.now();
  const std::string prefix(port_.prefix());
  Replica replica;
  replica.handle = handle;
  replica.channel = prefix + "j:" + options.job_id;
  replica.log = prefix + "log:" + options.job_id;
  replica.job = prefix + "job:" + std::string(job_of(options.job_id));
  replica.is_main = job_of(options.job_id).size() == options.job_id.size();
  replica.lease = lease;
  replica.last_progress_at = now;
  hub_.replicate(handle, std::move(options), lease, age, now);
  if (!port_.connected()) {
    hub_.drop_replica(handle, "unreachable", now);
    return;
  }
  // A job that is followed twice: messages go to the newer replica, the older one polls.
  channels_.insert_or_assign(replica.channel, handle);
  port_.subscribe(replica.channel, *this);
  timers_.arm(now + options_.silence, handle);
  replicas_.emplace(handle, std::move(replica));
}

void Replicas::close(JobHandle handle) {
  const auto found = replicas_.find(handle);
  if (found == replicas_.end()) return;
  Replica replica = std::move(found->second);
  replicas_.erase(found);
  requests_.erase(replica.request);
  const auto channel = channels_.find(replica.channel);
  if (channel != channels_.end() && channel->second == handle) {
    port_.unsubscribe(replica.channel);
    channels_.erase(channel);
  }
  for (const Refresh& each : replica.refreshes) observer_.on_refreshed(each.request);
  if (replica.adoption) observer_.on_adopted(replica.adoption->request, handle, false);
}

void Replicas::refresh(JobHandle handle, std::uint64_t request) {
  Replica* const replica = find(handle);
  if (replica == nullptr || !port_.connected()) {
    observer_.on_refreshed(request);
    return;
  }
  replica->refreshes.push_back({request, request_ + 1});
  read_log(*replica, CatchUp::kAsked);
}

void Replicas::adopt(JobHandle handle, JobOptions options, std::uint64_t attempt,
                     std::uint64_t skip_ids, std::uint64_t request) {
  Replica* const replica = find(handle);
  if (replica == nullptr || replica->adoption || !hub_.begin_adoption(handle)) {
    observer_.on_adopted(request, handle, false);
    return;
  }
  replica->adoption = Adoption{std::move(options), attempt, skip_ids, request, request_ + 1};
  read_log(*replica, CatchUp::kAsked);
}

void Replicas::advance(Nanos now) {
  JobHandle handle = 0;
  while (timers_.pop_due(now, handle)) {
    Replica* const replica = find(handle);
    if (replica == nullptr) continue;
    const Nanos due = replica->last_progress_at + options_.silence;
    if (due > now) {
      timers_.arm(due, handle);
      continue;
    }
    timers_.arm(now + options_.silence, handle);
    if (replica->request == 0) read_log(*replica, CatchUp::kSilence);
  }
}

// --- reading

void Replicas::read_log(Replica& replica, CatchUp why) {
  if (!port_.connected()) return;
  if (replica.request != 0) {
    replica.again = why;
    return;
  }
  ++catch_ups_[static_cast<std::size_t>(why)];
  replica.again.reset();
  replica.reading = request_ + 1;
  read_page(replica);
}

void Replicas::read_page(Replica& replica) {
  std::string from(replica.has_read ? "(" : "-");
  if (replica.has_read) append_event_id(from, replica.cursor);
  replica.request = ++request_;
  requests_.emplace(replica.request, replica.handle);
  port_.send(replica.request,
             {{"XRANGE", replica.log, from, "+", "COUNT", std::to_string(options_.page)},
              {"HMGET", replica.job, "owner", "status", "created_us", "started_ms"}},
             *this);
}

void Replicas::on_replies(std::uint64_t request, std::vector<Reply> replies) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  Replica* const replica = find(found->second);
  requests_.erase(found);
  if (replica == nullptr) return;
  replica->request = 0;
  replica->last_progress_at = options_.now();
  const Reply& entries = replies[0];
  const Reply& fields = replies[1];
  // An error, such as LOADING: the next silence tries again.
  if (entries.kind != Reply::Kind::kArray || fields.items.size() != 4) return;
  on_page(*replica, entries, fields);
}

void Replicas::on_page(Replica& replica, const Reply& entries, const Reply& fields) {
  const JobHandle handle = replica.handle;
  for (const Reply& each : entries.items) {
    const bool is_entry = each.items.size() == 2 && each.items[1].kind == Reply::Kind::kArray;
    views_.clear();
    if (is_entry) {
      for (const Reply& part : each.items[1].items) views_.emplace_back(part.text);
    }
    const bool is_read = is_entry && entry_.read(each.items[0].text, views_);
    if (!is_read || apply(replica, true) == Applied::kMalformed) {
      const std::string id = is_entry ? each.items[0].text : std::string();
      hub_.drop_replica(handle, "unreachable", options_.now());
      close(handle);
      observer_.on_replica_broken(handle, "The entry " + id + " of its log is malformed.");
      return;
    }
    replica.has_read = true;
  }
  if (entries.items.size() >= options_.page && hub_.is_open_replica(handle)) {
    read_page(replica);
    return;
  }
  on_read(replica, fields);
}

// The log has been read up to its end.
void Replicas::on_read(Replica& replica, const Reply& fields) {
  const JobHandle handle = replica.handle;
  const Nanos now = options_.now();
  if (replica.answered_at != kNever && now - replica.answered_at <= options_.outage) {
    hub_.answer_replica(handle, now - replica.answered_at);
  }
  replica.answered_at = now;
  if (!check_job(replica, fields)) return;
  if (!std::exchange(replica.is_loaded, true)) hub_.load_replica(handle, now);
  settle_waiting(replica);
  Replica* const still = find(handle);
  if (still == nullptr) return;
  if (!hub_.is_open_replica(handle)) {
    close(handle);  // it has its ending
  } else if (still->again) {
    read_log(*still, *still->again);
  }
}

// The fields of the job. False: it is gone, and the replica with it.
bool Replicas::check_job(Replica& replica, const Reply& fields) {
  if (!hub_.is_open_replica(replica.handle)) return true;
  const Nanos now = options_.now();
  const bool exists = fields.items[0].kind == Reply::Kind::kText;
  if (!exists) {
    replica.vanished_at = std::min(replica.vanished_at, now);
    // Its owner may write it again.
    if (replica.has_read && now - replica.vanished_at < replica.lease) return true;
    miss(replica);
    return false;
  }
  replica.vanished_at = kNever;
  const std::string_view status = fields.items[1].text;
  const std::int64_t created_us = number_of(fields.items[2]);
  const std::int64_t started_ms = number_of(fields.items[3]);
  if (status != "queued" && created_us != kNever && started_ms != kNever && !replica.has_started) {
    replica.has_started = true;
    const Nanos started = std::max<Nanos>(0, started_ms * kMillisecond - created_us * kMicrosecond);
    hub_.set_replica_spans(replica.handle, {.started = started});
  }
  // The ending may have come between the two commands; at the second time its log is gone.
  if (has_ended(status) && replica.is_main && std::exchange(replica.was_over, true)) {
    miss(replica);
    return false;
  }
  return true;
}

void Replicas::miss(Replica& replica) {
  const JobHandle handle = replica.handle;
  hub_.drop_replica(handle, "unreachable", options_.now());
  close(handle);
  observer_.on_replica_missing(handle);
}

// Ends the refreshes that waited for this reading of the log.
void Replicas::settle_waiting(Replica& replica) {
  const auto later =
      std::partition(replica.refreshes.begin(), replica.refreshes.end(),
                     [&](const Refresh& each) { return each.after > replica.reading; });
  std::vector<Refresh> done(later, replica.refreshes.end());
  replica.refreshes.erase(later, replica.refreshes.end());
  for (const Refresh& each : done) observer_.on_refreshed(each.request);
  if (!replica.adoption || replica.adoption->after > replica.reading) return;
  const JobHandle handle = replica.handle;
  Adoption adoption = *std::exchange(replica.adoption, std::nullopt);
  const bool adopted = hub_.adopt(handle, std::move(adoption.options), adoption.attempt,
                                  adoption.skip_ids, options_.now());
  if (adopted) close(handle);
  observer_.on_adopted(adoption.request, handle, adopted);
}

void Replicas::on_lost(std::uint64_t request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  if (Replica* const replica = find(found->second)) {
    replica->request = 0;
    for (const Refresh& each : std::exchange(replica->refreshes, {})) {
      observer_.on_refreshed(each.request);
    }
  }
  requests_.erase(found);
}

// --- the connections

void Replicas::on_connected() {
  std::vector<JobHandle> handles;
  for (const auto& [handle, replica] : replicas_) handles.push_back(handle);
  for (const JobHandle handle : handles) {
    if (Replica* const replica = find(handle)) read_log(*replica, CatchUp::kReconnected);
  }
}

void Replicas::on_disconnected() {
  const Nanos now = options_.now();
  std::vector<JobHandle> unread;
  for (auto& [handle, replica] : replicas_) {
    replica.answered_at = kNever;
    replica.vanished_at = kNever;
    if (!replica.is_loaded && !replica.adoption) unread.push_back(handle);
  }
  for (const JobHandle handle : unread) {
    hub_.drop_replica(handle, "unreachable", now);
    close(handle);
  }
}

void Replicas::on_subscribed(std::string_view channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  Replica& replica = replicas_.at(found->second);
  read_log(replica, replica.is_loaded ? CatchUp::kReconnected : CatchUp::kOpen);
}

void Replicas::on_message(std::string_view channel, std::string_view payload) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  const JobHandle handle = found->second;
  Replica& replica = replicas_.at(handle);
  std::string_view id;
  const bool is_read = unpack_message(payload, id, views_) && entry_.read(id, views_);
  // A foreign message is a hint at most: the log decides.
  if (!is_read || apply(replica, false) != Applied::kYes) {
    read_log(replica, CatchUp::kHole);
    return;
  }
  replica.last_progress_at = options_.now();
  // Refreshes, an adoption and a first reading end with the page under way.
  if (replica.request == 0 && !hub_.is_open_replica(handle)) close(handle);
}

// --- entries

Replicas::Applied Replicas::apply(Replica& replica, bool is_whole) {
  const EventId id = entry_.id;
  if (!hub_.is_open_replica(replica.handle)) return Applied::kYes;
  if (id.attempt < replica.cursor.attempt) return Applied::kYes;
  if (entry_.kind == LogEntry::Kind::kBegin) {
    hub_.begin_replica_attempt(replica.handle, id.attempt, entry_.members);
    if (id.attempt > replica.cursor.attempt) replica.cursor = id;
    if (entry_.spans) hub_.set_replica_spans(replica.handle, *entry_.spans);
    return Applied::kYes;
  }
  if (id.seq == 0) return Applied::kYes;  // of a kind that is unknown here
  if (!reach_attempt(replica, is_whole)) return Applied::kHole;
  if (id.seq <= replica.cursor.seq) return Applied::kYes;
  return entry_.kind == LogEntry::Kind::kEnding ? apply_ending(replica, is_whole)
                                                : apply_events(replica, is_whole);
}

// The beginning of an attempt may have been trimmed from the log; a message may have been lost.
bool Replicas::reach_attempt(Replica& replica, bool is_whole) {
  if (entry_.id.attempt == replica.cursor.attempt) return true;
  if (!is_whole) return false;
  hub_.begin_replica_attempt(replica.handle, entry_.id.attempt, {});
  replica.cursor = {entry_.id.attempt, 0};
  return true;
}

Replicas::Applied Replicas::apply_events(Replica& replica, bool is_whole) {
  const Nanos now = options_.now();
  const EventId id = entry_.id;
  const bool is_unknown = entry_.kind == LogEntry::Kind::kUnknown;
  const std::uint64_t missing = id.seq - replica.cursor.seq;
  const std::uint64_t count = entry_.kind == LogEntry::Kind::kEvents ? entry_.events.size()
                              : is_unknown && is_whole               ? missing
                                                                     : 1;
  const std::uint64_t first = id.seq - count + 1;
  if (first > replica.cursor.seq + 1) {
    if (!is_whole) return Applied::kHole;
    hub_.skip_replica(replica.handle, first);
    replica.cursor.seq = first - 1;
  }
  if (entry_.spans) hub_.set_replica_spans(replica.handle, *entry_.spans);
  if (!entry_.head.empty()) hub_.set_replica_head(replica.handle, entry_.head);
  if (is_unknown) {
    append_unknown(replica, missing, now);
  } else if (entry_.kind == LogEntry::Kind::kTyped) {
    hub_.append_replica(replica.handle, {.entry = {.text = entry_.data}, .type = entry_.type}, now);
  } else {
    for (std::size_t i = static_cast<std::size_t>(replica.cursor.seq + 1 - first); i < count; ++i) {
      const ReplicaEvent& event = entry_.events[i];
      ReplicaEntry entry{.type = event.type, .call = event.call};
      entry.is_unknown = !event.kind && event.type.empty();
      if (!event.type.empty()) entry.entry.text = event.text;
      if (event.kind) entry.entry = {.kind = *event.kind, .text = event.text, .aux = event.aux};
      hub_.append_replica(replica.handle, entry, now);
    }
  }
  replica.cursor = id;
  return Applied::kYes;
}

void Replicas::append_unknown(Replica& replica, std::uint64_t count, Nanos now) {
  if (count > kUnknownMax) {
    hub_.skip_replica(replica.handle, entry_.id.seq + 1);
    return;
  }
  for (; count > 0; --count) hub_.append_replica(replica.handle, {.is_unknown = true}, now);
}

Replicas::Applied Replicas::apply_ending(Replica& replica, bool is_whole) {
  std::uint64_t& skipped = entry_.ending->skipped_ids;
  if (skipped >= entry_.id.seq) return Applied::kMalformed;
  // An earlier owner may have used ids that the ending skips.
  if (skipped > 0) skipped = std::min(skipped, entry_.id.seq - replica.cursor.seq - 1);
  const std::uint64_t first = entry_.id.seq - skipped;  // the seq after the last entry
  if (first <= replica.cursor.seq) return Applied::kMalformed;
  if (first > replica.cursor.seq + 1) {
    if (!is_whole) return Applied::kHole;
    hub_.skip_replica(replica.handle, first);
  }
  replica.cursor = entry_.id;
  hub_.end_replica(replica.handle, std::move(*entry_.ending), options_.now());
  return Applied::kYes;
}

}  // namespace sluice
