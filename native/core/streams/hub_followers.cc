// The jobs of a hub whose logs have the entries of others: followers, and logs that receive copies.
#include <utility>

#include "core/streams/answer_json.h"
#include "core/streams/hub.h"

namespace sluice {

// --- followers

bool JobHub::follow(JobHandle follower_handle, JobHandle source_handle, Nanos now) {
  Job* const follower = find(follower_handle);
  if (follower == nullptr || follower->log.ended()) return true;
  Job* const source = find(source_handle);
  if (source == nullptr || source == follower || source->source != nullptr) return false;
  if (source->log.trimmed() > 0) return false;
  // A job with a history of its own cannot become a copy.
  if (follower->source != nullptr || !follower->followers.empty()) return false;
  if (follower->log.entry_count() > 0 || follower->log.attempt() > 1) return false;

  if (source->status != Job::Status::kQueued) start_job(*follower, source->retry_members, now);
  follower->log.take_tokens(source->log);
  if (source->log.entry_count() > 0) {
    note_begun(*follower, now);
    copy_all(*follower, now);
    journal_.note_token(*follower, now);
  }
  if (source->log.ended()) {
    finish_job(*follower, source->log.terminal(), now);
    return true;
  }
  follower->source = source;
  source->followers.push_back(follower);
  touch(*follower);
  return true;
}

void JobHub::leave_source(Job& follower) {
  Job& source = *std::exchange(follower.source, nullptr);
  std::erase(source.followers, &follower);
  touch_window(source);  // the follower's subscribers may have held its producer back
}

void JobHub::finish_followers(Job& source, const Terminal& terminal, Nanos now) {
  for (Job* follower : std::exchange(source.followers, {})) {
    follower->source = nullptr;
    // Both logs hold the same tokens; from here on they share one copy.
    if (source.log.trimmed() == follower->log.trimmed()) follower->log.take_tokens(source.log);
    finish_job(*follower, terminal, now);
  }
}

// --- copies

void JobHub::link_copy(Job& job) {
  Job* const target = find(job.options.copy_to);
  if (target == nullptr || target->log.ended()) return;
  job.copy_to = target;
  target->copies_from.push_back(&job);
}

void JobHub::copy_entry(const Job& job, const EventLog::Event& event, Nanos now) {
  copy_data_.clear();
  copy_data_.push_back('{');
  copy_data_.append(job.options.copy_members);
  append_entry_members(copy_data_, event);
  copy_data_.push_back('}');
  Job& target = *job.copy_to;
  if (!target.log.append_typed(event_type(event.entry), copy_data_)) return;
  ++target.copied;
  touch(target);
  journal_.note_token(target, now);
}

void JobHub::copy_all(const Job& job, Nanos now) {
  if (job.copy_to == nullptr) return;
  EventLog::Position at{job.log.attempt(), 1};
  for (auto event = job.log.read(at); event.kind == EventLog::EventKind::kEntry;
       event = job.log.read(at)) {
    copy_entry(job, event, now);
    ++at.next_seq;
  }
}

void JobHub::unlink_copies(Job& job) {
  if (Job* const target = std::exchange(job.copy_to, nullptr))
    std::erase(target->copies_from, &job);
  for (Job* part : std::exchange(job.copies_from, {})) {
    part->copy_to = nullptr;
    touch_window(*part);  // this job's subscribers may have held it back
  }
}

}  // namespace sluice
