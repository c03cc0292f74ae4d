// The replicas of a hub: jobs whose logs other processes write.
#include <algorithm>
#include <utility>

#include "core/streams/hub.h"

namespace sluice {

void JobHub::replicate(JobHandle handle, JobOptions options, Nanos wait_max, Nanos age, Nanos now) {
  options.cancel_on_disconnect = false;
  options.wall_time_max = kNever;
  options.record = 0;
  options.copy_to = 0;
  EventLog log = new_log(options);
  auto job = std::make_unique<Job>(handle, std::move(options), std::move(log), now);
  job->created_at = now - age;
  job->replica = std::make_unique<ReplicaState>();
  job->replica->wait_max = wait_max;
  Job& added = *jobs_.emplace(handle, std::move(job)).first->second;
  watch_readers(added, now);
}

Job* JobHub::open_replica(JobHandle handle) const {
  Job* const job = find(handle);
  return job != nullptr && job->replica != nullptr && !job->log.ended() ? job : nullptr;
}

bool JobHub::is_open_replica(JobHandle handle) const {
  return open_replica(handle) != nullptr;
}

bool JobHub::is_loading(JobHandle handle) const {
  const Job* const job = find(handle);
  return job != nullptr && job->replica != nullptr && !job->replica->loaded;
}

EventId JobHub::latest(JobHandle handle) const {
  const Job* const job = find(handle);
  return job == nullptr ? EventId{} : job->log.latest();
}

// --- its log

void JobHub::begin_replica_attempt(JobHandle handle, std::uint64_t attempt,
                                   std::string_view members) {
  Job* const job = open_replica(handle);
  if (job == nullptr || attempt < job->log.attempt()) return;
  if (job->log.begin_attempt(attempt)) {
    job->first_token_at = kNever;
    touch(*job);
  }
  job->retry_members = members;
}

void JobHub::append_replica(JobHandle handle, const ReplicaEntry& entry, Nanos now) {
  Job* const job = open_replica(handle);
  if (job == nullptr) return;
  if (entry.is_unknown) {
    static_cast<void>(job->log.append_typed({}, "{}"));
  } else if (!entry.type.empty()) {
    // A log that has had too many types keeps the id.
    if (!job->log.append_typed(entry.type, entry.entry.text)) {
      static_cast<void>(job->log.append_typed({}, "{}"));
    }
  } else {
    const EntryKind kind = entry.entry.kind;
    if (kind == EntryKind::kToolCall) job->log.set_calls_before(entry.call);
    if (kind == EntryKind::kToolArguments) job->log.set_calls_before(entry.call + 1);
    job->log.append(entry.entry);
  }
  if (job->status == Job::Status::kQueued)
    set_replica_spans(handle, {.started = now - job->created_at});
  note_begun(*job, now);
  touch(*job);
}

void JobHub::skip_replica(JobHandle handle, std::uint64_t seq) {
  Job* const job = open_replica(handle);
  if (job != nullptr && job->log.skip_to(seq)) touch(*job);
}

void JobHub::set_replica_head(JobHandle handle, AnswerHead head) {
  if (Job* const job = open_replica(handle)) job->log.replace_head(std::move(head));
}

void JobHub::set_replica_spans(JobHandle handle, const JobSpans& spans) {
  Job* const job = open_replica(handle);
  if (job == nullptr) return;
  const auto at = [job](Nanos span) { return span == kNever ? kNever : job->created_at + span; };
  if (spans.started != kNever) {
    job->started_at = at(spans.started);
    job->status = Job::Status::kRunning;
  }
  if (spans.first_token != kNever) job->first_token_at = at(spans.first_token);
}

void JobHub::end_replica(JobHandle handle, ReplicaEnding ending, Nanos now) {
  Job* const job = open_replica(handle);
  if (job == nullptr) return;
  const auto at = [job](Nanos span) { return span == kNever ? kNever : job->created_at + span; };
  job->started_at = at(ending.spans.started);
  job->first_token_at = at(ending.spans.first_token);
  job->ended_at = at(ending.spans.ended);
  job->log.replace_head(std::move(ending.head));
  job->log.skip_ids(ending.skipped_ids);
  job->options.prompt_tokens = ending.prompt_tokens;
  job->replica->ending_data = std::move(ending.data);
  job->replica->idle_deadline = kNever;
  job->replica->adopting = false;
  job->replica->commands.clear();
  job->log.end(std::move(ending.terminal));
  publish_end(*job, now);
}

void JobHub::load_replica(JobHandle handle, Nanos now) {
  if (!is_loading(handle)) return;
  Job& job = *find(handle);
  job.replica->loaded = true;
  observer_.on_loaded(handle);
  attach_delayed(job, now);
  watch_readers(job, now);
}

void JobHub::answer_replica(JobHandle handle, Nanos span) {
  Job* const job = open_replica(handle);
  if (job == nullptr) return;
  job->replica->answered += span;
  touch(*job);  // a wait may be over
}

// --- its readers

bool JobHub::delay_attach(SubscriberHandle handle, Subscriber::Mode mode, bool fan_in,
                          const std::vector<Cursor>& cursors, std::unique_ptr<Face>& face) {
  bool delayed = false;
  for (const Cursor& cursor : cursors) {
    if (!is_loading(cursor.job)) continue;
    ReplicaState& replica = *find(cursor.job)->replica;
    replica.attaching.push_back(handle);
    replica.idle_deadline = kNever;
    delayed = true;
  }
  if (delayed)
    attaching_.insert_or_assign(handle, DelayedAttach{mode, fan_in, cursors, std::move(face)});
  return delayed;
}

void JobHub::attach_delayed(Job& job, Nanos now) {
  for (const SubscriberHandle handle : std::exchange(job.replica->attaching, {})) {
    const auto found = attaching_.find(handle);
    if (found == attaching_.end()) continue;
    const bool waits = std::any_of(found->second.cursors.begin(), found->second.cursors.end(),
                                   [this](const Cursor& cursor) { return is_loading(cursor.job); });
    if (waits) continue;
    DelayedAttach attach_now = std::move(found->second);
    attaching_.erase(found);
    attach(handle, attach_now.mode, attach_now.fan_in, attach_now.cursors, now,
           std::move(attach_now.face));
  }
}

// An open replica without a reader is purged after a while.
void JobHub::watch_readers(Job& job, Nanos now) {
  if (job.replica == nullptr || job.log.ended()) return;
  if (!job.subscribers.empty() || job.holds > 0) return;
  const std::vector<SubscriberHandle>& attaching = job.replica->attaching;
  const bool attaches = std::any_of(attaching.begin(), attaching.end(), [this](auto subscriber) {
    return attaching_.contains(subscriber);
  });
  if (attaches) return;
  job.replica->idle_deadline = deadline_after(now, options_.replica_idle);
  arm(job);
}

void JobHub::drop_replica(JobHandle handle, std::string_view reason, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || job->replica == nullptr) return;
  erase(*job, reason, now);
  observer_.on_purged(handle);
}

// --- its owner

bool JobHub::begin_adoption(JobHandle handle) {
  Job* const job = open_replica(handle);
  if (job != nullptr) job->replica->adopting = true;
  return job != nullptr;
}

bool JobHub::adopt(JobHandle handle, JobOptions options, std::uint64_t attempt,
                   std::uint64_t skip_ids, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || job->replica == nullptr) return false;
  job->replica->adopting = false;
  const auto commands = std::exchange(job->replica->commands, {});
  if (job->log.ended() || job->log.attempt() > attempt) return false;
  job->recorded = {job->log.attempt(), job->log.entry_count() + 1};
  job->trimmed_recorded = job->log.trimmed();
  job->head_recorded = job->log.has_head();
  job->started_recorded = job->started_at != kNever;
  begin_replica_attempt(handle, attempt, job->retry_members);
  // Its attempt has no entry: it waits in the queue of this process, and starts here.
  if (skip_ids == 0 && job->log.entry_count() == 0) {
    job->status = Job::Status::kQueued;
    job->started_at = kNever;
  }
  options.copy_to = 0;
  job->options = std::move(options);
  job->replica.reset();
  job->log.skip_ids(skip_ids);
  job->wall_deadline = deadline_after(now, job->options.wall_time_max);
  // Its producer counts from 0.
  job->appended_before = 0;
  job->copied = job->log.entry_count();
  job->window_granted = options_.stream_capacity;
  // A producer that has begun meanwhile has found the window closed.
  observer_.on_window(handle, job->window_granted);
  arm(*job);
  touch(*job);
  look_for_readers(*job, now);
  for (const auto& command : commands) command(now);
  return true;
}

}  // namespace sluice
