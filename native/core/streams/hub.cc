#include "core/streams/hub.h"

#include <algorithm>

namespace sluice {

Job* JobHub::find(JobHandle handle) {
  const auto found = jobs_.find(handle);
  return found == jobs_.end() ? nullptr : found->second.get();
}

Channel* JobHub::find_channel(ChannelHandle handle) {
  const auto found = channels_.find(handle);
  return found == channels_.end() ? nullptr : found->second.get();
}

void JobHub::touch(Channel& channel) {
  if (channel.dirty) return;
  channel.dirty = true;
  dirty_channels_.push_back(channel.handle());
}

void JobHub::touch(Job& job) {
  for (Channel* channel : job.channels) touch(*channel);
  touch_window(job);
}

void JobHub::touch_window(Job& job) {
  Job& producer = job.leader == nullptr ? job : *job.leader;
  if (producer.window_dirty) return;
  producer.window_dirty = true;
  dirty_jobs_.push_back(producer.handle);
  for (Job* part : producer.fed_by) touch_window(*part);
}

// --- jobs

void JobHub::create(JobHandle handle, JobOptions options, Nanos now) {
  auto job = std::make_unique<Job>(handle, std::move(options), options_.log_bytes_max, now);
  job->window_granted = options_.stream_capacity;  // the producer assumes as much
  arm(*job);
  link_feed(*job);
  jobs_.emplace(handle, std::move(job));
}

void JobHub::start(JobHandle handle, Nanos now) {
  if (Job* const job = find(handle)) start(*job, now);
}

void JobHub::start(Job& job, Nanos now) {
  if (job.status != Job::Status::kQueued) return;
  job.status = Job::Status::kRunning;
  job.started_at = now;
  for (Job* follower : job.followers) start(*follower, now);
}

void JobHub::retry(JobHandle handle, Nanos now) {
  if (Job* const job = find(handle)) retry(*job, now);
}

void JobHub::retry(Job& job, Nanos now) {
  const std::uint64_t tokens = job.log.token_count();
  if (!job.log.begin_attempt()) return;
  job.appended_before += tokens;
  job.first_token_at = kNever;
  touch(job);
  note(job, now);
  for (Job* follower : job.followers) retry(*follower, now);
}

void JobHub::append(JobHandle handle, std::string_view text, Nanos now) {
  if (Job* const job = find(handle)) append(*job, text, now);
}

void JobHub::append(Job& job, std::string_view text, Nanos now) {
  if (!job.log.append(text)) return;
  if (job.first_token_at == kNever) job.first_token_at = now;
  touch(job);
  if (needs_record(job)) note(job, now + options_.record_interval);
  if (job.feeds != nullptr) feed(job, text);
  for (Job* follower : job.followers) append(*follower, text, now);
}

void JobHub::append_typed(JobHandle handle, std::string_view type, std::string_view data) {
  Job* const job = find(handle);
  if (job != nullptr && job->log.append_typed(type, data)) touch(*job);
}

void JobHub::reopen(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || !job->log.reopen()) return;
  job->status = Job::Status::kRunning;
  job->started_at = now;
  job->first_token_at = kNever;
  job->ended_at = kNever;
  job->purge_deadline = kNever;
  job->wall_deadline = deadline_after(now, job->options.wall_time_max);
  // The producer begins anew, too.
  job->appended_before = 0;
  job->fed = 0;
  job->window_granted = options_.stream_capacity;
  arm(*job);
  touch(*job);
}

void JobHub::finish(JobHandle handle, Terminal terminal, Nanos now) {
  if (Job* const job = find(handle)) finish(*job, std::move(terminal), now);
}

void JobHub::finish(Job& job, Terminal terminal, Nanos now) {
  const bool held = needs_record(job);
  if (!job.log.end(std::move(terminal), held)) return;
  job.ended_at = now;
  job.wall_deadline = kNever;
  job.grace_deadline = kNever;
  observer_.on_sealed(job.handle);
  if (held) {
    job.hold_deadline = deadline_after(now, options_.hold_max);
    arm(job);
    note(job, now);
  } else {
    settle(job, now);
  }
  unlink_feeds(job);
  if (job.leader != nullptr) leave_leader(job);
  finish_followers(job, job.log.terminal(), now);
}

// Its ending becomes everybody's.
void JobHub::settle(Job& job, Nanos now) {
  job.status = Job::Status::kEnded;
  job.purge_deadline = deadline_after(now, job.options.retention.value_or(options_.retention));
  arm(job);
  std::string state;
  job.append_state(state, false, now);
  observer_.on_ended(job.handle, std::move(state));
  touch(job);
}

void JobHub::purge(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  note_dropped(*job, now);
  unlink_feeds(*job);
  if (job->leader != nullptr) leave_leader(*job);
  if (!job->followers.empty()) {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = "answer_dropped";
    terminal.error_message = "The answer that this job shared was dropped before its end.";
    terminal.error_type = "server_error";
    finish_followers(*job, terminal, now);
  }
  const std::vector<Channel*> readers = job->channels;
  for (Channel* channel : readers) {
    channel->remove(*job);
    // A fan-in channel goes on with its other jobs.
    if (!channel->has_jobs()) close(channel->handle(), "purged", now);
  }
  jobs_.erase(handle);
  observer_.on_purged(handle);
}

bool JobHub::is_open(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found != jobs_.end() && !found->second->log.ended();
}

Usage JobHub::usage(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  return found == jobs_.end() ? Usage{} : found->second->usage();
}

bool JobHub::writable(JobHandle handle) const {
  const auto found = jobs_.find(handle);
  if (found == jobs_.end() || found->second->log.ended()) return false;
  return found->second->appended() < found->second->window_granted;
}

std::string JobHub::state(JobHandle handle, bool with_text, Nanos now) const {
  std::string out;
  const auto found = jobs_.find(handle);
  if (found != jobs_.end()) found->second->append_state(out, with_text, now);
  return out;
}

void JobHub::run_job_timers(Job& job, Nanos now) {
  const JobHandle handle = job.handle;
  if (job.purge_deadline <= now) {
    purge(handle, now);
    return;
  }
  if (job.hold_deadline <= now) {
    release(job, now);
  } else if (job.wall_deadline <= now) {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = "wall_time_exceeded";
    terminal.error_message = "The job took longer than its max_wall_ms.";
    terminal.error_type = "timeout_error";
    finish(handle, std::move(terminal), now);
  } else if (job.grace_deadline <= now) {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kCancelled;
    terminal.reason = "client_disconnected";
    finish(handle, std::move(terminal), now);
  } else {
    arm(job);  // it fired early: the deadline had moved
  }
}

// The window is what the slowest reader has dealt with, plus the capacity; without readers it moves
// along with the producer, so that the mailbox between the two stays bounded all the same. Readers
// of followers count, and those of the work that the job is a part of.
void JobHub::update_window(Job& job) {
  if (job.log.ended() || job.leader != nullptr) return;
  std::uint64_t lag = lag_of(job);
  for (const Job* follower : job.followers) lag = std::max(lag, lag_of(*follower));
  const std::uint64_t reach = job.appended() + options_.stream_capacity;
  const std::uint64_t window = reach - std::min(reach, lag);
  if (window == job.window_granted) return;
  // Small steps are saved up, unless the producer is waiting for them.
  const std::uint64_t step = std::max<std::uint64_t>(options_.stream_capacity / 4, 1);
  const bool waiting = job.appended() >= job.window_granted;
  if (window > job.window_granted && window - job.window_granted < step && !waiting) return;
  job.window_granted = window;
  observer_.on_window(job.handle, window);
}

// --- channels

void JobHub::attach(ChannelHandle handle, Channel::Mode mode, bool fan_in,
                    const std::vector<Cursor>& cursors, Nanos now) {
  const Channel::Limits limits{
      .batch_bytes_max = options_.batch_bytes_max,
      .batch_events_max =
          static_cast<std::size_t>(std::max<std::uint64_t>(options_.stream_capacity / 4, 1)),
      .heartbeat = options_.heartbeat,
      .stall = options_.stall,
  };
  auto channel = std::make_unique<Channel>(handle, mode, fan_in, options_.retry_ms, limits, now);
  for (const Cursor& cursor : cursors) {
    if (Job* const job = find(cursor.job)) channel->add(*job, cursor.last_event_id);
  }
  if (!channel->has_jobs()) {
    observer_.on_channel_end(handle, "purged");
    return;
  }
  const bool finished = channel->finished();
  observer_.on_channel_open(handle, finished);
  if (finished) return;
  channel->for_each_job([&](Job& job) {
    job.channels.push_back(channel.get());
    job.grace_deadline = kNever;
    touch(job);
  });
  arm(*channel, now);
  touch(*channel);
  channels_.emplace(handle, std::move(channel));
}

void JobHub::acknowledge(ChannelHandle handle, Nanos now) {
  Channel* const channel = find_channel(handle);
  if (channel == nullptr) return;
  channel->acknowledge(now);
  if (channel->finished()) {
    close(handle, "finished", now);
    return;
  }
  channel->for_each_job([this](Job& job) { touch_window(job); });
  if (channel->has_news()) touch(*channel);
}

void JobHub::progress(ChannelHandle handle, Nanos now) {
  if (Channel* const channel = find_channel(handle)) channel->progress(now);
}

void JobHub::detach(ChannelHandle handle, Nanos now) {
  forget(handle, now);
}

void JobHub::close(ChannelHandle handle, std::string_view reason, Nanos now) {
  observer_.on_channel_end(handle, reason);
  forget(handle, now);
}

void JobHub::forget(ChannelHandle handle, Nanos now) {
  const auto found = channels_.find(handle);
  if (found == channels_.end()) return;
  const std::unique_ptr<Channel> channel = std::move(found->second);
  channels_.erase(found);
  channel->for_each_job([&](Job& job) {
    std::erase(job.channels, channel.get());
    touch_window(job);
    if (!job.channels.empty() || job.log.ended() || !job.options.cancel_on_disconnect) return;
    job.grace_deadline = deadline_after(now, job.options.disconnect_grace);
    arm(job);
  });
}

// A channel keeps one timer. What happens to it later (a batch taken, a batch acknowledged) may
// bring its deadline forward, but never to less than `stall` or `heartbeat` from then: looking at
// least that often misses nothing.
void JobHub::arm(const Channel& channel, Nanos now) {
  const Nanos look_again = deadline_after(now, std::min(options_.stall, options_.heartbeat));
  timers_.arm(std::min(channel.next_deadline(), look_again),
              {TimerKey::Of::kChannel, channel.handle()});
}

void JobHub::run_channel_timers(Channel& channel, Nanos now) {
  if (channel.stalled(now)) {
    close(channel.handle(), "stalled", now);
    return;
  }
  const ChannelHandle handle = channel.handle();
  if (channel.next_deadline() <= now) flush(channel, now);
  if (find_channel(handle) != nullptr) arm(channel, now);
}

void JobHub::flush(Channel& channel, Nanos now) {
  batch_.clear();
  channel.take(batch_, now);
  if (!batch_.empty()) observer_.on_batch(channel.handle(), batch_);
}

// --- time

Nanos JobHub::next_deadline() const {
  if (!dirty_channels_.empty() || !dirty_jobs_.empty()) return 0;
  return std::min(timers_.next_deadline(), record_deadline());
}

void JobHub::advance(Nanos now) {
  TimerKey key{};
  while (timers_.pop_due(now, key)) {
    if (key.of == TimerKey::Of::kJob) {
      if (Job* const job = find(key.handle)) run_job_timers(*job, now);
    } else if (Channel* const channel = find_channel(key.handle)) {
      run_channel_timers(*channel, now);
    }
  }
  if (record_deadline() <= now) write_records(now);
  // Everything that arrived since the last turn leaves in one batch per reader. Closing a channel
  // may touch jobs, never channels, so one pass over each suffices.
  for (std::size_t i = 0; i < dirty_channels_.size(); ++i) {
    Channel* const channel = find_channel(dirty_channels_[i]);
    if (channel == nullptr) continue;
    channel->dirty = false;
    flush(*channel, now);
  }
  dirty_channels_.clear();
  for (std::size_t i = 0; i < dirty_jobs_.size(); ++i) {
    Job* const job = find(dirty_jobs_[i]);
    if (job == nullptr) continue;
    job->window_dirty = false;
    update_window(*job);
  }
  dirty_jobs_.clear();
}

}  // namespace sluice
