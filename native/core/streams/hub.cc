#include "core/streams/hub.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace sluice {

namespace {

Terminal failure(std::string code, std::string message, std::string type) {
  Terminal terminal;
  terminal.kind = Terminal::Kind::kError;
  terminal.error_code = std::move(code);
  terminal.error_message = std::move(message);
  terminal.error_type = std::move(type);
  return terminal;
}

Terminal cancelled(std::string reason) {
  Terminal terminal;
  terminal.kind = Terminal::Kind::kCancelled;
  terminal.reason = std::move(reason);
  return terminal;
}

}  // namespace

Job* JobHub::find(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found == jobs_.end() ? nullptr : found->second.get();
}

void JobHub::touch(Job& job) {
  for (Subscriber* subscriber : job.subscribers) touch(*subscriber);
  touch_window(job);
}

void JobHub::touch_window(Job& job) {
  Job& producer = job.source == nullptr ? job : *job.source;
  if (producer.window_dirty) return;
  producer.window_dirty = true;
  dirty_jobs_.push_back(producer.handle);
  for (Job* part : producer.copies_from) touch_window(*part);
}

// --- jobs

EventLog JobHub::new_log(const JobOptions& options) {
  constexpr std::size_t kUntrimmed = std::numeric_limits<std::size_t>::max();
  return EventLog(options.whole ? kUntrimmed : options_.log_bytes_max, &log_bytes_);
}

void JobHub::create(JobHandle handle, JobOptions options, Nanos now) {
  EventLog log = new_log(options);
  auto job = std::make_unique<Job>(handle, std::move(options), std::move(log), now);
  job->window_granted = options_.stream_capacity;  // the producer starts with the same value
  arm(*job);
  link_copy(*job);
  jobs_.emplace(handle, std::move(job));
}

void JobHub::restore(JobHandle handle, JobOptions options, RestoredJob restored, Nanos now) {
  EventLog log = new_log(options);
  auto job = std::make_unique<Job>(handle, std::move(options), std::move(log), now);
  job->restore(std::move(restored), now);
  job->window_granted = options_.stream_capacity;
  arm(*job);
  jobs_.emplace(handle, std::move(job));
}

void JobHub::start(JobHandle handle, std::string_view members, Nanos now) {
  if (delay(handle, [=, this, m = std::string(members)](Nanos at) { start(handle, m, at); }))
    return;
  if (Job* const job = find(handle)) start_job(*job, members, now);
}

void JobHub::start_job(Job& job, std::string_view members, Nanos now) {
  if (job.status != Job::Status::kQueued) return;
  job.status = Job::Status::kRunning;
  job.started_at = now;
  // A later attempt begins here with a takeover, which has written its beginning.
  if (job.log.attempt() == 1) job.retry_members = members;
  for (Job* follower : job.followers) start_job(*follower, members, now);
}

void JobHub::retry(JobHandle handle, std::string_view members, Nanos now) {
  if (delay(handle, [=, this, m = std::string(members)](Nanos at) { retry(handle, m, at); }))
    return;
  if (Job* const job = find(handle)) retry_job(*job, members, now);
}

void JobHub::retry_job(Job& job, std::string_view members, Nanos now) {
  const std::uint64_t tokens = job.log.entry_count();
  if (!job.log.begin_attempt()) return;
  job.retry_members = members;
  job.appended_before += tokens;
  job.first_token_at = kNever;
  touch(job);
  journal_.note(job, now);
  for (Job* follower : job.followers) retry_job(*follower, members, now);
}

bool JobHub::append(JobHandle handle, const Entry& entry, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return false;
  if (job->replica == nullptr) {
    append_entry(*job, entry, now);
    return writable(*job);
  }
  delay(handle,
        [=, this, kind = entry.kind, text = std::string(entry.text), aux = std::string(entry.aux)](
            Nanos at) { append(handle, {.kind = kind, .text = text, .aux = aux}, at); });
  return writable(*job);
}

void JobHub::append_entry(Job& job, const Entry& entry, Nanos now) {
  if (!job.log.append(entry)) return;
  // One thread writes it: no atomic addition.
  if (job.source == nullptr) {
    entries_appended_.store(entries_appended_.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
  }
  note_begun(job, now);
  touch(job);
  journal_.note_token(job, now);
  if (job.copy_to != nullptr)
    copy_entry(job, job.log.read({job.log.attempt(), job.log.entry_count()}), now);
  for (std::size_t i = 0; i < job.followers.size();) {
    Job* const follower = job.followers[i];
    append_entry(*follower, entry, now);
    // A follower leaves when its log is full.
    if (i < job.followers.size() && job.followers[i] == follower) ++i;
  }
  if (job.options.whole && job.log.retained_bytes() >= options_.whole_log_bytes_max) {
    Terminal terminal;
    terminal.reason = "length";
    finish_job(job, std::move(terminal), now);
  }
}

// The log has an entry.
void JobHub::note_begun(Job& job, Nanos now) {
  if (job.first_token_at == kNever) job.first_token_at = now;
  if (std::exchange(job.begun, true) || !job.options.announce) return;
  observer_.on_begun(job.handle);
}

void JobHub::set_head(JobHandle handle, const AnswerHead& head, Nanos now) {
  if (delay(handle, [=, this](Nanos at) { set_head(handle, head, at); })) return;
  Job* const job = find(handle);
  if (job == nullptr) return;
  // The answers of one model have one head.
  if (last_head_ == nullptr || *last_head_ != head) {
    last_head_ = std::make_shared<const AnswerHead>(head);
  }
  if (!job->log.share_head(last_head_)) return;
  journal_.note_head(*job, now);
  for (Job* follower : job->followers) {
    if (follower->log.share_head(last_head_)) journal_.note_head(*follower, now);
  }
}

void JobHub::append_typed(JobHandle handle, std::string_view type, std::string_view data,
                          Nanos now) {
  if (delay(handle, [=, this, t = std::string(type), d = std::string(data)](Nanos at) {
        append_typed(handle, t, d, at);
      }))
    return;
  Job* const job = find(handle);
  if (job == nullptr || !job->log.append_typed(type, data)) return;
  touch(*job);
  journal_.note_token(*job, now);
}

void JobHub::reopen(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || !job->log.reopen()) return;
  job->status = Job::Status::kRunning;
  job->retry_members.clear();
  job->started_at = now;
  job->first_token_at = kNever;
  job->ended_at = kNever;
  job->purge_deadline = kNever;
  job->wall_deadline = deadline_after(now, job->options.wall_time_max);
  // The producer counts from 0 again, too.
  job->appended_before = 0;
  job->copied = 0;
  job->window_granted = options_.stream_capacity;
  arm(*job);
  touch(*job);
}

void JobHub::finish(JobHandle handle, Terminal terminal, Nanos now) {
  if (delay(handle, [=, this](Nanos at) { finish(handle, terminal, at); })) return;
  if (Job* const job = find(handle)) finish_job(*job, std::move(terminal), now);
}

void JobHub::finish_job(Job& job, Terminal terminal, Nanos now) {
  const bool held = journal_.records(job);
  if (!end_log(job, std::move(terminal), held, now)) return;
  observer_.on_sealed(job.handle);
  if (held) {
    job.hold_deadline = deadline_after(now, options_.hold_max);
    arm(job);
    journal_.note(job, now);
    begin_settling(job, now);
  } else {
    publish_end(job, now);
  }
  unlink_copies(job);
  if (job.source != nullptr) leave_source(job);
  finish_followers(job, job.log.terminal(), now);
}

// Returns false, and does nothing, where the log has ended already.
bool JobHub::end_log(Job& job, Terminal terminal, bool held, Nanos now) {
  if (!job.log.end(std::move(terminal), held)) return false;
  job.ended_at = now;
  job.wall_deadline = kNever;
  job.grace_deadline = kNever;
  return true;
}

void JobHub::begin_settling(Job& job, Nanos now) {
  if (!job.options.settles || !journal_.is_replicated()) return;
  job.settling = true;
  ++settling_;
  std::string state;
  // A later question for the items would wait for the ending, and the ending waits for what it
  // settles.
  const bool answer = job.options.settles_answer;
  const bool items = answer && !job.log.is_plain();
  job.append_state(state, {.answer = answer, .items = items, .final = true}, now);
  observer_.on_ending(job.handle, std::move(state));
}

bool JobHub::end_settling(Job& job) {
  if (!std::exchange(job.settling, false)) return false;
  --settling_;
  return true;
}

void JobHub::settle(JobHandle handle, std::string settlement, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || !end_settling(*job)) return;
  job->settlement = std::move(settlement);
  journal_.note(*job, now);
}

// From here on subscribers receive the terminal event.
void JobHub::publish_end(Job& job, Nanos now) {
  std::string state = end_state(job, now);
  arm(job);
  observer_.on_ended(job.handle, std::move(state));
  touch(job);
}

// The state of a job whose end is published now.
std::string JobHub::end_state(Job& job, Nanos now) const {
  job.status = Job::Status::kEnded;
  job.purge_deadline = deadline_after(now, job.options.retention.value_or(options_.retention));
  std::string state;
  job.append_state(state, {}, now);
  return state;
}

JobHub::Made JobHub::make_ended(EndedJob ended, Nanos now) {
  EventLog log = new_log(ended.options);
  Made made{.job = std::make_unique<Job>(ended.handle, std::move(ended.options), std::move(log),
                                         ended.created_at)};
  Job& job = *made.job;
  job.window_granted = options_.stream_capacity;
  job.started_at = ended.started_at;
  job.first_token_at = ended.first_token_at;
  job.begun = !ended.tokens.empty();
  for (const std::string& token : ended.tokens) job.log.append(token);
  entries_of_ended_.fetch_add(ended.tokens.size(), std::memory_order_relaxed);
  end_log(job, std::move(ended.terminal), false, now);
  made.state = end_state(job, now);
  made.frames = unread_frames(job);
  return made;
}

void JobHub::add_ended(std::unique_ptr<Job> job) {
  arm(*job);
  const JobHandle handle = job->handle;
  jobs_.emplace(handle, std::move(job));
}

void JobHub::release_end(Job& job, Nanos now) {
  job.hold_deadline = kNever;
  if (!job.log.ended() || job.log.end_published()) return;
  job.log.publish_end();
  publish_end(job, now);
}

void JobHub::record_to(JobJournal* journal, HubJournal::Options pace) {
  if (pace.retention == kNever) pace.retention = options_.retention;
  journal_.record_to(journal, pace);
}

void JobHub::recorded(std::uint64_t batch, bool written, Nanos now) {
  for (const JobHandle handle : journal_.recorded(batch, written, now).endings) {
    if (Job* const job = find(handle)) release_end(*job, now);
  }
}

void JobHub::recorded(std::uint64_t batch, const std::vector<JobOutcome>& outcomes, Nanos now) {
  const HubJournal::Settled settled = journal_.recorded(batch, outcomes, now);
  for (const JobHandle handle : settled.endings) {
    if (Job* const job = find(handle)) release_end(*job, now);
  }
  for (const JobHandle handle : settled.fenced) fence(handle, now);
}

void JobHub::rewind(JobHandle handle, EventLog::Position next, Nanos now) {
  Job* const job = find(handle);
  if (job != nullptr && journal_.records(*job)) journal_.rewind(*job, next, now);
}

void JobHub::write_anew(JobHandle handle, Nanos now) {
  if (Job* const job = find(handle)) journal_.write_anew(*job, now);
}

void JobHub::unrecord(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  journal_.note_unrecorded(*job, now);
  job->options.record = 0;
  end_settling(*job);
  release_end(*job, now);
}

bool JobHub::holds(JobHandle handle) const {
  const Job* const job = find(handle);
  return job != nullptr && job->log.ended() && !job->log.end_published();
}

void JobHub::purge(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  journal_.note_purged(*job, now);
  erase(*job, "purged", now);
  observer_.on_purged(handle);
}

void JobHub::fence(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  journal_.note_purged(*job, now);
  const bool end_published = job->log.end_published();
  if (!job->log.ended()) observer_.on_sealed(handle);
  erase(*job, "fenced", now);
  observer_.on_fenced(handle, end_published);
}

// Removes the job; its subscribers end with `reason`.
void JobHub::erase(Job& job, std::string_view reason, Nanos now) {
  end_settling(job);
  unlink_copies(job);
  if (job.source != nullptr) leave_source(job);
  if (!job.followers.empty()) {
    const std::string message = "The answer that this job shared was dropped before its end.";
    finish_followers(job, failure("answer_dropped", message, "server_error"), now);
  }
  const std::vector<Subscriber*> subscribers = job.subscribers;
  for (Subscriber* subscriber : subscribers) {
    subscriber->remove(job);
    // A fan-in subscriber continues with its other jobs.
    if (!subscriber->has_jobs() || subscriber->broken()) close(subscriber->handle(), reason, now);
  }
  const std::unique_ptr<ReplicaState> replica = std::move(job.replica);
  jobs_.erase(job.handle);
  if (replica == nullptr) return;
  for (const SubscriberHandle subscriber : replica->attaching) {
    if (attaching_.erase(subscriber) > 0) observer_.on_subscriber_end(subscriber, reason);
  }
}

bool JobHub::is_open(JobHandle handle) const {
  const Job* const job = find(handle);
  return job != nullptr && !job->log.ended();
}

Usage JobHub::usage(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found == jobs_.end() ? Usage{} : found->second->usage();
}

bool JobHub::writable(JobHandle handle) const {
  const Job* const job = find(handle);
  return job != nullptr && writable(*job);
}

bool JobHub::writable(const Job& job) {
  return !job.log.ended() && job.appended() < job.window_granted;
}

std::string JobHub::state(JobHandle handle, bool with_text, Nanos now, bool with_items) const {
  std::string out;
  if (const Job* const job = find(handle)) {
    job->append_state(out, {.answer = with_text, .items = with_items}, now);
  }
  return out;
}

std::string JobHub::answer(JobHandle handle, const Face& face) const {
  std::string out;
  if (const Job* const job = find(handle)) face.write_answer(out, *job);
  return out;
}

void JobHub::run_job_timers(Job& job, Nanos now) {
  if (job.purge_deadline <= now) {
    purge(job.handle, now);
  } else if (job.hold_deadline <= now) {
    release_end(job, now);
  } else if (job.wall_deadline <= now) {
    const std::string message = "The job took longer than its max_wall_ms.";
    finish_job(job, failure("wall_time_exceeded", message, "timeout_error"), now);
  } else if (job.grace_deadline <= now) {
    finish_job(job, cancelled("client_disconnected"), now);
  } else if (job.replica != nullptr && job.replica->idle_deadline <= now) {
    purge(job.handle, now);
  } else {
    arm(job);  // it fired early: the deadline had moved
  }
}

// The window is the position of the slowest subscriber plus the capacity. Without subscribers it
// moves along with the producer, so that the queue between the two stays bounded. Subscribers of
// followers count, and those of the job that receives copies.
void JobHub::update_window(Job& job) {
  if (job.log.ended() || job.source != nullptr || job.replica != nullptr) return;
  std::uint64_t lag = job.lag();
  for (const Job* follower : job.followers) lag = std::max(lag, follower->lag());
  const std::uint64_t reach = job.appended() + options_.stream_capacity;
  const std::uint64_t window = reach - std::min(reach, lag);
  if (window == job.window_granted) return;
  // Small steps are saved up, unless the producer waits for them.
  const std::uint64_t step = std::max<std::uint64_t>(options_.stream_capacity / 4, 1);
  const bool waiting = job.appended() >= job.window_granted;
  if (window > job.window_granted && window - job.window_granted < step && !waiting) return;
  job.window_granted = window;
  observer_.on_window(job.handle, window);
}

// --- time

Nanos JobHub::next_deadline() const {
  if (has_turn()) return 0;
  return std::min(timers_.next_deadline(), journal_.next_deadline());
}

void JobHub::advance(Nanos now) {
  TimerKey key{};
  while (timers_.pop_due(now, key)) {
    if (key.of == TimerKey::Of::kJob) {
      if (Job* const job = find(key.handle)) run_job_timers(*job, now);
    } else if (Subscriber* const subscriber = find_subscriber(key.handle)) {
      run_timers(*subscriber, now);
    }
  }
  journal_.advance(now);
  // All events since the last turn go into one batch per subscriber. Closing a subscriber may touch
  // jobs, never subscribers; one that has more to read without a batch has its next turn later.
  flushing_.swap(dirty_subscribers_);
  for (const SubscriberHandle handle : flushing_) {
    Subscriber* const subscriber = find_subscriber(handle);
    if (subscriber == nullptr) continue;
    subscriber->dirty = false;
    flush(*subscriber, now);
  }
  flushing_.clear();
  for (std::size_t i = 0; i < dirty_jobs_.size(); ++i) {
    Job* const job = find(dirty_jobs_[i]);
    if (job == nullptr) continue;
    job->window_dirty = false;
    update_window(*job);
  }
  dirty_jobs_.clear();
}

}  // namespace sluice
