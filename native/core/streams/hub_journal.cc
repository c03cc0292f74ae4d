// The hub's jobs that are written down: what is to be written, and endings that wait for it.
//
// Nothing is copied before it is written: a job remembers how far its journal has come, and what
// follows is read from its log when the next batch leaves. So a journal that fails costs no memory,
// and is given the same again, with what has come since.
#include <algorithm>
#include <utility>

#include "core/streams/hub.h"

namespace sluice {

namespace {

Nanos span_of(const Job& job, Nanos at) {
  return at == kNever ? kNever : at - job.created_at;
}

JobSpans spans_of(const Job& job) {
  return {.started = span_of(job, job.started_at),
          .first_token = span_of(job, job.first_token_at),
          .ended = span_of(job, job.ended_at)};
}

JobChange change_of(const Job& job) {
  const JobLog& log = job.log;
  JobChange change;
  change.record = job.options.record;
  change.attempt = log.attempt();
  change.spans = spans_of(job);
  change.trimmed = log.trimmed();
  const bool next_attempt = job.recorded.attempt != log.attempt();
  const bool started = job.started_at != kNever && !job.started_recorded;
  change.moved = next_attempt || started;
  const std::uint64_t from = next_attempt ? 1 : job.recorded.next_seq;
  change.tokens.first_seq = log.copy_from(from, change.tokens.text, change.tokens.ends);
  // A long job loses its beginning token by token; the journal's is cut off in larger pieces. What
  // was lost before it was written leaves a hole, before which nothing is to be left.
  constexpr std::uint64_t kTrimStep = 1024;
  const bool hole = change.tokens.first_seq > from;
  change.trims = next_attempt || hole || log.trimmed() >= job.trimmed_recorded + kTrimStep;
  if (log.ended() && !job.end_recorded) change.terminal = log.terminal();
  change.skipped_ids = log.skipped_ids();
  return change;
}

}  // namespace

void JobHub::note(Job& job, Nanos due) {
  if (!needs_record(job)) return;
  record_due_ = std::min(record_due_, due);
  if (std::exchange(job.unrecorded, true)) return;
  unrecorded_.push_back(job.handle);
}

void JobHub::note_dropped(const Job& job, Nanos now) {
  if (!needs_record(job)) return;
  drops_.push_back(job.options.record);
  record_due_ = std::min(record_due_, now + options_.record_interval);
}

void JobHub::unrecord(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  job->options.record = 0;
  release(*job, now);
}

bool JobHub::holds(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found != jobs_.end() && found->second->log.ended() && !found->second->log.end_published();
}

void JobHub::release(Job& job, Nanos now) {
  job.hold_deadline = kNever;
  if (!job.log.ended() || job.log.end_published()) return;
  job.log.publish_end();
  settle(job, now);
}

void JobHub::write_records(Nanos /*now*/) {
  record_due_ = kNever;
  std::vector<JobChange> changes;
  for (const JobHandle handle : std::exchange(unrecorded_, {})) {
    Job* const job = find(handle);
    if (job == nullptr) continue;
    job->unrecorded = false;
    if (!needs_record(*job)) continue;
    changes.push_back(change_of(*job));
    in_flight_.push_back({handle,
                          {job->log.attempt(), job->log.token_count() + 1},
                          changes.back().trims ? job->log.trimmed() : job->trimmed_recorded,
                          job->log.ended()});
  }
  for (const std::uint64_t record : drops_) {
    JobChange& change = changes.emplace_back();
    change.record = record;
    change.dropped = true;
  }
  drops_in_flight_ = drops_.size();
  if (changes.empty()) return;
  recording_ = ++batches_;
  journal_->on_changes(recording_, std::move(changes));
}

void JobHub::recorded(std::uint64_t batch, bool written, Nanos now) {
  if (batch != recording_) return;
  recording_ = 0;
  record_failed_ = !written;
  const std::vector<Recording> told = std::exchange(in_flight_, {});
  if (written) {
    drops_.erase(drops_.begin(), drops_.begin() + static_cast<std::ptrdiff_t>(drops_in_flight_));
  } else if (drops_in_flight_ > 0) {
    record_due_ = std::min(record_due_, now + options_.record_retry);
  }
  drops_in_flight_ = 0;
  for (const Recording& each : told) {
    Job* const job = find(each.job);
    if (job == nullptr) continue;
    if (!written) {
      note(*job, now + options_.record_retry);
      continue;
    }
    job->recorded = each.next;
    job->trimmed_recorded = each.trimmed;
    job->started_recorded = job->started_at != kNever;
    job->end_recorded = each.ended;
    if (each.ended) release(*job, now);
  }
  // What came meanwhile must not push against a journal that has just failed.
  if (!written) record_due_ = now + options_.record_retry;
}

void JobHub::restore(JobHandle handle, JobOptions options, RestoredJob restored, Nanos now) {
  auto made = std::make_unique<Job>(handle, std::move(options), new_log(), now);
  Job& job = *made;
  const auto at = [&job](Nanos span) { return span == kNever ? kNever : job.created_at + span; };
  job.created_at = now - restored.age;
  job.started_at = at(restored.spans.started);
  job.first_token_at = at(restored.spans.first_token);
  if (job.started_at != kNever) job.status = Job::Status::kRunning;
  job.log.restore(restored.attempt, restored.tokens.first_seq, std::move(restored.tokens.text),
                  std::move(restored.tokens.ends));
  // Readers of a job that was cut off may have had more than was written. So many tokens are in no
  // log.
  constexpr std::uint64_t kLostMax = std::uint64_t{1} << 32;
  job.log.skip_ids(restored.terminal ? restored.skipped_ids : kLostMax);
  job.window_granted = options_.stream_capacity;
  job.recorded = {job.log.attempt(), job.log.token_count() + 1};
  job.trimmed_recorded = job.log.trimmed();
  job.started_recorded = job.started_at != kNever;
  if (restored.terminal) {
    job.log.end(std::move(*restored.terminal));
    job.ended_at = at(restored.spans.ended);
    job.status = Job::Status::kEnded;
    job.end_recorded = true;
    job.wall_deadline = kNever;
    job.purge_deadline = deadline_after(now, restored.retention_left);
  }
  arm(job);
  jobs_.emplace(handle, std::move(made));
}

}  // namespace sluice
