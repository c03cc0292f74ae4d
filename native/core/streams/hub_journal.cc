#include "core/streams/hub_journal.h"

#include <algorithm>
#include <utility>

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

}  // namespace

Job* HubJournal::find(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found == jobs_.end() ? nullptr : found->second.get();
}

JobChange HubJournal::change_of(const Job& job) const {
  const EventLog& log = job.log;
  JobChange change;
  change.record = job.options.record;
  change.attempt = log.attempt();
  change.spans = spans_of(job);
  change.trimmed = log.trimmed();
  const bool next_attempt = job.recorded.attempt != log.attempt();
  const bool started = job.started_at != kNever && !job.started_recorded;
  const bool head = log.has_head() && !job.head_recorded;
  change.moved = next_attempt || started || head;
  change.head = log.head();
  change.retry_members = job.retry_members;
  change.whole = job.options.whole;
  const std::uint64_t from = next_attempt ? 1 : job.recorded.next_seq;
  change.tokens = log.copy_from(from);
  // The log of a long job loses its oldest tokens one by one; the record loses them in larger
  // steps. Tokens that were trimmed before they were written leave a hole; all tokens before it go,
  // too.
  const bool hole = change.tokens.first_seq > from;
  change.trims = next_attempt || hole || log.trimmed() >= job.trimmed_recorded + options_.trim_step;
  if (log.ended() && !job.end_recorded && !job.settling) change.terminal = log.terminal();
  change.skipped_ids = log.skipped_ids();
  if (!replicated_) return change;
  change.job = job.handle;
  change.job_id = job.options.job_id;
  change.written = job.recorded;
  change.next_seq = log.entry_count() + 1;
  if (!change.terminal) return change;
  change.ended_at = job.ended_at;
  change.retention = job.options.retention.value_or(options_.retention);
  change.ending = job.ending();
  change.settlement = job.settlement;
  return change;
}

std::uint64_t HubJournal::unwritten() const {
  std::uint64_t count = 0;
  for (const auto& [handle, job] : jobs_) {
    if (!records(*job)) continue;
    const std::uint64_t next = job->log.entry_count() + 1;
    const bool same = job->recorded.attempt == job->log.attempt();
    count += same ? next - std::min(next, job->recorded.next_seq) : next - 1;
  }
  return count;
}

void HubJournal::note_due(Job& job, Nanos due) {
  if (!records(job)) return;
  due_ = std::min(due_, due);
  if (std::exchange(job.record_pending, true)) return;
  pending_.push_back(job.handle);
}

void HubJournal::note_purged(const Job& job, Nanos now) {
  if (!records(job)) return;
  purged_.push_back(job.options.record);
  due_ = std::min(due_, now + options_.interval);
}

void HubJournal::advance(Nanos now) {
  if (next_deadline() > now) return;
  due_ = kNever;
  for (; !delayed_.empty() && delayed_.front().due <= now; delayed_.pop_front()) {
    pending_.push_back(delayed_.front().job);
  }
  std::vector<JobChange> changes;
  for (const JobHandle handle : std::exchange(pending_, {})) {
    Job* const job = find(handle);
    if (job == nullptr) continue;
    job->record_pending = false;
    if (!records(*job)) continue;
    changes.push_back(change_of(*job));
    in_flight_.push_back({handle,
                          {job->log.attempt(), job->log.entry_count() + 1},
                          changes.back().trims ? job->log.trimmed() : job->trimmed_recorded,
                          job->log.has_head(),
                          job->started_at != kNever,
                          job->log.ended() && !job->settling});
  }
  for (const std::uint64_t record : purged_) {
    JobChange& change = changes.emplace_back();
    change.record = record;
    change.dropped = true;
  }
  purged_in_flight_ = purged_.size();
  if (changes.empty()) return;
  left_ = now;
  in_flight_batch_ = ++batches_;
  journal_->on_changes(in_flight_batch_, std::move(changes));
}

HubJournal::Settled HubJournal::recorded(std::uint64_t batch, bool written, Nanos now) {
  if (written) return recorded(batch, std::vector<JobOutcome>(), now);
  if (batch != in_flight_batch_) return {};
  in_flight_batch_ = 0;
  failed_ = true;
  purged_in_flight_ = 0;
  for (const InFlight& each : std::exchange(in_flight_, {})) {
    Job* const job = find(each.job);
    if (job == nullptr) continue;
    note(*job, now);
    end_flight(*job, now);
  }
  // Newer changes wait as well: the journal has just failed.
  due_ = now + options_.retry_delay;
  return {};
}

HubJournal::Settled HubJournal::recorded(std::uint64_t batch,
                                         const std::vector<JobOutcome>& outcomes, Nanos now) {
  if (batch != in_flight_batch_) return {};
  in_flight_batch_ = 0;
  failed_ = false;
  purged_.erase(purged_.begin(),
                purged_.begin() + static_cast<std::ptrdiff_t>(std::exchange(purged_in_flight_, 0)));
  std::unordered_map<std::uint64_t, const JobOutcome*> others;
  for (const JobOutcome& outcome : outcomes) others.emplace(outcome.record, &outcome);
  Settled settled;
  for (const InFlight& each : std::exchange(in_flight_, {})) {
    Job* const job = find(each.job);
    if (job == nullptr) continue;
    const auto other = others.find(job->options.record);
    const bool written = other == others.end() || other->second->kind == JobOutcome::Kind::kWritten;
    if (written) {
      job->recorded = each.next;
      job->trimmed_recorded = each.trimmed;
      job->head_recorded = each.head;
      job->started_recorded = each.started;
      job->end_recorded = each.ended;
      if (each.ended) settled.endings.push_back(each.job);
    } else if (other->second->kind == JobOutcome::Kind::kMoved) {
      rewind(*job, other->second->next, now);
    } else if (other->second->kind == JobOutcome::Kind::kFenced) {
      settled.fenced.push_back(each.job);
    } else {
      failed_ = true;
      // A newer change, which may have made it pending again, waits as well.
      std::erase(pending_, each.job);
      job->record_pending = true;
      delayed_.push_back({each.job, now + options_.retry_delay});
    }
    end_flight(*job, now);
  }
  return settled;
}

void HubJournal::rewind(Job& job, EventLog::Position next, Nanos now) {
  job.recorded = next;
  job.end_recorded = false;
  note(job, now);
}

bool HubJournal::is_in_flight(const Job& job) const {
  return std::ranges::any_of(in_flight_,
                             [&job](const InFlight& each) { return each.job == job.handle; });
}

void HubJournal::write_anew(Job& job, Nanos now) {
  if (!records(job)) return;
  if (is_in_flight(job)) {
    job.anew_pending = true;
  } else {
    rewind(job, kNothingWritten, now);
  }
}

void HubJournal::end_flight(Job& job, Nanos now) {
  if (std::exchange(job.anew_pending, false)) rewind(job, kNothingWritten, now);
}

}  // namespace sluice
