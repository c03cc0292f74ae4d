// The subscribers of a hub: attach, acknowledge, heartbeats and stalls, detach.
#include <algorithm>
#include <utility>

#include "core/base/json_writer.h"
#include "core/streams/hub.h"

namespace sluice {

namespace {

// Of the logs whose frames are given at once. Short: the main thread copies and sends them.
constexpr std::size_t kWholeLogsMax = 8u << 10;
// Of the log whose frames are given with its ending, which is kept beside the log.
constexpr std::size_t kUnreadLogMax = 2u << 10;
// Of their frames, which are longer than the text: an entry of a few bytes has a frame of a
// hundred.
constexpr std::size_t kWholeFramesMax = 64u << 10;

}  // namespace

Subscriber* JobHub::find_subscriber(SubscriberHandle handle) {
  const auto found = subscribers_.find(handle);
  return found == subscribers_.end() ? nullptr : found->second.get();
}

void JobHub::touch(Subscriber& subscriber) {
  if (subscriber.dirty) return;
  subscriber.dirty = true;
  dirty_subscribers_.push_back(subscriber.handle());
}

void JobHub::attach(SubscriberHandle handle, Subscriber::Mode mode, bool fan_in,
                    const std::vector<Cursor>& cursors, Nanos now, std::unique_ptr<Face> face,
                    bool at_once) {
  // One that waits for its replica is served as it goes.
  if (delay_attach(handle, mode, fan_in, cursors, face)) return;
  const Subscriber::Limits limits{
      .batch_bytes_max = options_.batch_bytes_max,
      .batch_events_max =
          static_cast<std::size_t>(std::max<std::uint64_t>(options_.stream_capacity / 4, 1)),
      .heartbeat = options_.heartbeat,
      .stall = options_.stall,
  };
  const bool needs_all = face != nullptr;
  if (at_once && !needs_all && mode == Subscriber::Mode::kFrames &&
      send_whole(handle, fan_in, cursors, now)) {
    return;
  }
  auto subscriber = std::make_unique<Subscriber>(handle, mode, fan_in, options_.retry_ms, limits,
                                                 now, std::move(face));
  std::size_t added = 0;
  for (const Cursor& cursor : cursors) {
    Job* const job = find(cursor.job);
    if (job == nullptr) continue;
    subscriber->add(*job, cursor.last_event_id);
    ++added;
  }
  const bool complete = !subscriber->broken() && (!needs_all || added == cursors.size());
  if (!subscriber->has_jobs() || !complete) {
    observer_.on_subscriber_end(handle, "purged");
    return;
  }
  const bool finished = subscriber->finished();
  observer_.on_subscriber_open(handle, finished);
  if (finished) return;
  subscriber->for_each_job([&](Job& job) {
    job.subscribers.push_back(subscriber.get());
    if (subscriber->is_reader()) job.grace_deadline = kNever;
    if (job.replica != nullptr) job.replica->idle_deadline = kNever;
    touch(job);
  });
  arm(*subscriber, now);
  touch(*subscriber);
  subscribers_.emplace(handle, std::move(subscriber));
}

// All frames of ended jobs, if their logs are short and the frames one batch; else nothing.
std::string JobHub::whole_frames(bool fan_in, const std::vector<Reading>& readings,
                                 std::size_t log_bytes_max, Nanos now) const {
  const Subscriber::Limits limits{.batch_bytes_max = kWholeFramesMax,
                                  .batch_events_max = 1,  // frames are no events
                                  .heartbeat = options_.heartbeat,
                                  .stall = options_.stall};
  Subscriber subscriber(0, Subscriber::Mode::kFrames, fan_in, options_.retry_ms, limits, now);
  std::size_t log_bytes = 0;
  for (const Reading& reading : readings) {
    log_bytes += reading.job->log.retained_bytes();
    if (!reading.job->log.end_published() || log_bytes > log_bytes_max) return {};
    subscriber.add(*reading.job, reading.last_event_id);
  }
  if (!subscriber.has_jobs() || subscriber.finished()) return {};
  subscriber.acknowledge(now);
  Subscriber::Batch batch;
  subscriber.take(batch, now);
  return batch.last ? std::move(batch.frames) : std::string();
}

// Cursors of unknown jobs are ignored.
std::string JobHub::whole_frames(bool fan_in, const std::vector<Cursor>& cursors,
                                 std::size_t log_bytes_max, Nanos now) {
  std::vector<Reading> readings;
  for (const Cursor& cursor : cursors) {
    if (Job* const job = find(cursor.job)) readings.push_back({job, cursor.last_event_id});
  }
  return whole_frames(fan_in, readings, log_bytes_max, now);
}

bool JobHub::send_whole(SubscriberHandle handle, bool fan_in, const std::vector<Cursor>& cursors,
                        Nanos now) {
  std::string frames = whole_frames(fan_in, cursors, kWholeLogsMax, now);
  if (frames.empty()) return false;
  observer_.on_subscriber_whole(handle, frames);
  return true;
}

std::string JobHub::unread_frames(JobHandle handle) {
  Job* const job = find(handle);
  if (job == nullptr || job->replica != nullptr || !job->subscribers.empty()) return {};
  return unread_frames(*job);
}

std::string JobHub::unread_frames(Job& job) const {
  constexpr Nanos kAnyTime = 0;  // its reader waits for nothing
  return whole_frames(false, std::vector<Reading>{{&job, {}}}, kUnreadLogMax, kAnyTime);
}

void JobHub::acknowledge(SubscriberHandle handle, Nanos now) {
  Subscriber* const subscriber = find_subscriber(handle);
  if (subscriber == nullptr) return;
  subscriber->acknowledge(now);
  go_on(*subscriber, now);
}

// Nothing is in flight: the subscriber has its next batch, or its end.
void JobHub::go_on(Subscriber& subscriber, Nanos now) {
  if (subscriber.finished()) {
    close(subscriber.handle(), "finished", now);
    return;
  }
  subscriber.for_each_job([this](Job& job) { touch_window(job); });
  if (subscriber.has_news()) touch(subscriber);
}

void JobHub::progress(SubscriberHandle handle, Nanos now) {
  if (Subscriber* const subscriber = find_subscriber(handle)) subscriber->progress(now);
}

void JobHub::detach(SubscriberHandle handle, Nanos now) {
  const auto delayed = attaching_.find(handle);
  if (delayed == attaching_.end()) {
    forget(handle, now);
    return;
  }
  const std::vector<Cursor> cursors = std::move(delayed->second.cursors);
  attaching_.erase(delayed);
  for (const Cursor& cursor : cursors) {
    if (Job* const job = find(cursor.job)) watch_readers(*job, now);
  }
}

void JobHub::close(SubscriberHandle handle, std::string_view reason, Nanos now) {
  observer_.on_subscriber_end(handle, reason);
  forget(handle, now);
}

void JobHub::forget(SubscriberHandle handle, Nanos now) {
  const auto found = subscribers_.find(handle);
  if (found == subscribers_.end()) return;
  const std::unique_ptr<Subscriber> subscriber = std::move(found->second);
  subscribers_.erase(found);
  subscriber->for_each_job([&](Job& job) {
    std::erase(job.subscribers, subscriber.get());
    touch_window(job);
    if (subscriber->is_reader()) {
      look_for_readers(job, now);
    } else if (job.replica != nullptr) {
      watch_readers(job, now);
    }
  });
}

// A job without a reader is cancelled after its grace.
void JobHub::look_for_readers(Job& job, Nanos now) {
  if (job.has_reader()) return;
  if (job.replica != nullptr) watch_readers(job, now);
  if (job.log.ended() || !job.options.cancel_on_disconnect) return;
  job.grace_deadline = deadline_after(now, job.options.disconnect_grace);
  arm(job);
}

std::string JobHub::readers(JobHandle handle) const {
  const Job* const job = find(handle);
  if (job == nullptr) return {};
  const std::uint64_t tokens = job->log.entry_count();
  std::string out = "[";
  for (const Subscriber* subscriber : job->subscribers) {
    if (!subscriber->is_reader()) continue;
    const std::uint64_t consumed = std::min(tokens, subscriber->acknowledged(*job));
    out.append(out.size() == 1 ? "{\"lag\":" : ",{\"lag\":");
    append_json_number(out, tokens - consumed);
    out.append(subscriber->in_flight() ? ",\"busy\":true}" : ",\"busy\":false}");
  }
  for (std::uint32_t i = 0; i < job->holds; ++i) {
    out.append(out.size() == 1 ? "{\"lag\":null}" : ",{\"lag\":null}");
  }
  out.push_back(']');
  return out;
}

void JobHub::hold(JobHandle handle) {
  Job* const job = find(handle);
  if (job == nullptr) return;
  ++job->holds;
  job->grace_deadline = kNever;
  if (job->replica != nullptr) job->replica->idle_deadline = kNever;
}

void JobHub::release(JobHandle handle, Nanos now) {
  Job* const job = find(handle);
  if (job == nullptr || job->holds == 0) return;
  --job->holds;
  look_for_readers(*job, now);
}

// A subscriber has one timer. A batch that it takes or acknowledges later may bring its deadline
// forward, but never to less than `stall` or `heartbeat` from then: a check at least that often
// misses no deadline.
void JobHub::arm(const Subscriber& subscriber, Nanos now) {
  const Nanos look_again = deadline_after(now, std::min(options_.stall, options_.heartbeat));
  timers_.arm(std::min(subscriber.next_deadline(), look_again),
              {TimerKey::Of::kSubscriber, subscriber.handle()});
}

void JobHub::run_timers(Subscriber& subscriber, Nanos now) {
  if (subscriber.stalled(now)) {
    close(subscriber.handle(), "stalled", now);
    return;
  }
  const SubscriberHandle handle = subscriber.handle();
  if (subscriber.next_deadline() <= now) flush(subscriber, now);
  if (find_subscriber(handle) != nullptr) arm(subscriber, now);
}

void JobHub::flush(Subscriber& subscriber, Nanos now) {
  batch_.clear();
  subscriber.take(batch_, now);
  if (subscriber.broken()) {
    close(subscriber.handle(), "purged", now);
  } else if (!batch_.empty()) {
    if (!observer_.on_batch(subscriber.handle(), batch_)) return;
    subscriber.acknowledge(now);
    go_on(subscriber, now);
  } else if (!subscriber.in_flight()) {
    // A face may have no frames for what it has read.
    go_on(subscriber, now);
  }
}

}  // namespace sluice
