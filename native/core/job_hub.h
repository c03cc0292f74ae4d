// The hub: all jobs of one reactor, their readers, and the rules between them.
//
// - The producer of a job may append until it is `stream_capacity` tokens ahead of the slowest
//   attached reader; the window moves as readers acknowledge.
// - The first ending wins: complete, error, cancelled, wall time, disconnect.
// - When the last reader of a job has been gone for its grace, the job's policy decides.
// - A reader without progress for `stall` is cut, so that it cannot hold the others.
// - An ended job is purged after `retention`.
//
// Not thread-safe: a Machine, called by its executor alone. It never calls back into its caller:
// what happens is told to the HubObserver. Calls that name an unknown job or channel do nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/channel.h"
#include "core/job.h"
#include "core/machine.h"
#include "core/timer_queue.h"

namespace sluice {

struct HubOptions {
  std::uint64_t stream_capacity = 256;      // tokens
  std::size_t log_bytes_max = 4u << 20;     // per job
  Nanos retention = 300 * kSecond;          // from a job's ending to its purge
  Nanos heartbeat = 15 * kSecond;           // of silence, before a keep-alive comment
  Nanos stall = 10 * kSecond;               // without progress, before a reader is cut
  std::uint64_t retry_ms = 2000;            // reconnection time told to EventSource
  std::size_t batch_bytes_max = 16u << 10;  // of frames handed to a reader at once
};

/// Told what happened, on the executor's thread. Must not call the hub.
class HubObserver {
 public:
  virtual ~HubObserver() = default;
  /// The producer may have appended `tokens` in all (over all attempts) by now. May go down.
  virtual void on_window(JobHandle job, std::uint64_t tokens) = 0;
  /// The job ended; `state` is its JSON without text. Before any reader is given the event.
  virtual void on_ended(JobHandle job, std::string state) = 0;
  virtual void on_purged(JobHandle job) = 0;
  /// First word to a channel. `finished`: nothing will follow, its cursors were at the end.
  virtual void on_channel_open(ChannelHandle channel, bool finished) = 0;
  /// `batch` may be moved from; it is the hub's to use again afterwards.
  virtual void on_batch(ChannelHandle channel, Channel::Batch& batch) = 0;
  /// Last word to a channel: "finished", "stalled", "purged".
  virtual void on_channel_end(ChannelHandle channel, std::string_view reason) = 0;
};

class JobHub final : public Machine {
 public:
  /// A job of a channel and the client's cursor for it, empty for none.
  struct Cursor {
    JobHandle job;
    std::string last_event_id;
  };

  JobHub(HubOptions options, HubObserver& observer) : options_(options), observer_(observer) {}

  /// A new job, queued. `handle` must be new.
  void create(JobHandle handle, JobOptions options, Nanos now);
  /// The job has been dispatched; later calls do nothing.
  void start(JobHandle handle, Nanos now);
  /// The next attempt begins: readers are told to forget the text.
  void retry(JobHandle handle, Nanos now);
  /// A token. Dropped once the job has ended.
  void append(JobHandle handle, std::string_view text, Nanos now);
  /// Ends the job; only the first ending counts.
  void finish(JobHandle handle, Terminal terminal, Nanos now);
  /// Forgets the job at once; its readers are cut.
  void purge(JobHandle handle, Nanos now);
  /// Whether the job is known and has not ended.
  [[nodiscard]] bool is_open(JobHandle handle) const;
  /// Whether it is open and its window has room for another token.
  [[nodiscard]] bool writable(JobHandle handle) const;
  /// The job's state as JSON; empty when there is no such job.
  [[nodiscard]] std::string state(JobHandle handle, bool with_text, Nanos now) const;

  /// A new reader. Cursors of jobs that are gone are left out; with none left the channel ends as
  /// "purged".
  void attach(ChannelHandle handle, Channel::Mode mode, bool fan_in,
              const std::vector<Cursor>& cursors, Nanos now);
  /// The reader has dealt with the batch it was given. A frames channel is given its first one
  /// after a first such call.
  void acknowledge(ChannelHandle handle, Nanos now);
  /// The reader has dealt with a part of it: it is not stalled.
  void progress(ChannelHandle handle, Nanos now);
  /// The reader is gone.
  void detach(ChannelHandle handle, Nanos now);

  [[nodiscard]] Nanos next_deadline() const override;
  void advance(Nanos now) override;

  [[nodiscard]] bool has_channel(ChannelHandle handle) const { return channels_.contains(handle); }
  [[nodiscard]] std::size_t channel_count() const { return channels_.size(); }

 private:
  struct TimerKey {
    enum class Of : std::uint8_t { kJob, kChannel } of;
    std::uint64_t handle;
  };

  Job* find(JobHandle handle);
  Channel* find_channel(ChannelHandle handle);
  void touch(Job& job);
  void touch_window(Job& job);
  void touch(Channel& channel);
  void arm(const Job& job) { timers_.arm(job.next_deadline(), {TimerKey::Of::kJob, job.handle}); }
  void arm(const Channel& channel, Nanos now);
  void run_job_timers(Job& job, Nanos now);
  void run_channel_timers(Channel& channel, Nanos now);
  void flush(Channel& channel, Nanos now);
  void update_window(Job& job);
  void close(ChannelHandle handle, std::string_view reason, Nanos now);
  void forget(ChannelHandle handle, Nanos now);

  HubOptions options_;
  HubObserver& observer_;
  std::unordered_map<JobHandle, std::unique_ptr<Job>> jobs_;
  std::unordered_map<ChannelHandle, std::unique_ptr<Channel>> channels_;
  TimerQueue<TimerKey> timers_;
  Channel::Batch batch_;  // scratch: a token costs no allocation
  std::vector<ChannelHandle> dirty_channels_;
  std::vector<JobHandle> dirty_jobs_;  // whose window may have moved
};

}  // namespace sluice
