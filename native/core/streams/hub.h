// The hub: all jobs of one reactor, their readers, and the rules between them.
//
// - The producer of a job may append until it is `stream_capacity` tokens ahead of the slowest
//   attached reader; the window moves as readers acknowledge.
// - The first ending wins: complete, error, cancelled, wall time, disconnect.
// - When the last reader of a job has been gone for its grace, the job's policy decides.
// - A reader without progress for `stall` is cut, so that it cannot hold the others.
// - An ended job is purged after `retention`.
// - A job may follow another, its leader: it has no producer, its log is fed from the leader's. The
//   leader's producer minds the readers of both.
// - A job may be a part of a larger work: that one's log has its tokens, too, and its producer
// minds
//   the readers of both.
//
// - What happens to a job that has a record is written by a journal, tokens in groups; its ending
// is
//   nobody's before it has been written.
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

#include "core/base/executor.h"
#include "core/containers/timer_queue.h"
#include "core/streams/job.h"
#include "core/streams/journal.h"
#include "core/streams/subscriber.h"

namespace sluice {

struct HubOptions {
  std::uint64_t stream_capacity = 256;      // tokens
  std::size_t log_bytes_max = 4u << 20;     // per job
  Nanos retention = 300 * kSecond;          // from a job's ending to its purge
  Nanos heartbeat = 15 * kSecond;           // of silence, before a keep-alive comment
  Nanos stall = 10 * kSecond;               // without progress, before a reader is cut
  std::uint64_t retry_ms = 2000;            // reconnection time told to EventSource
  std::size_t batch_bytes_max = 16u << 10;  // of frames handed to a reader at once
  Nanos record_interval =
      50 * kMillisecond;                    // how long a token waits for others to be written with
  Nanos record_retry = 250 * kMillisecond;  // after the journal has failed
  Nanos hold_max = 5 * kSecond;             // an ending that cannot be written is told after all
};

/// Told what happened, on the executor's thread. Must not call the hub.
class HubObserver {
 public:
  virtual ~HubObserver() = default;
  /// The producer may have appended `tokens` in all (over all attempts) by now. May go down.
  virtual void on_window(JobHandle job, std::uint64_t tokens) = 0;
  /// The job ended; `state` is its JSON without text. Before any reader is given the event.
  virtual void on_ended(JobHandle job, std::string state) = 0;
  /// Nothing more will come from its producer. Before `on_ended`, which may wait for the journal.
  virtual void on_sealed(JobHandle /*job*/) {}
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
  /// An event of a type of its own; `data` is a JSON object. It counts as a token does, and is
  /// dropped like one.
  void append_typed(JobHandle handle, std::string_view type, std::string_view data);
  /// Begins the next attempt of a job that has ended: it is running again, its wall time begins
  /// anew, and readers are told to forget what they had. Does nothing while the job has not ended.
  void reopen(JobHandle handle, Nanos now);
  /// Ends the job; only the first ending counts.
  void finish(JobHandle handle, Terminal terminal, Nanos now);
  /// Feeds `follower`, a new job without a token, from the log of `leader`: all of the leader's
  /// current attempt, then each token, retry and the ending as it comes. The follower keeps its own
  /// ids, times, limits and readers; its own ending (cancel, wall time, disconnect) leaves the
  /// leader and the other followers as they are. Several may follow one leader, running or ended.
  /// @returns false, and nothing is done, when that cannot be whole: the leader is unknown, has
  /// lost
  ///   its beginning to the byte cap, or is a follower that has not ended. True of a follower that
  ///   is gone or has ended: there is nothing left to do.
  [[nodiscard]] bool follow(JobHandle follower, JobHandle leader, Nanos now);
  /// From now on jobs with a record are written there; nullptr: they are not.
  void record_to(JobJournal* journal) { journal_ = journal; }
  /// What the journal was given last is on the disk, or has failed and will be given again.
  void recorded(std::uint64_t batch, bool written, Nanos now);
  /// Has what there is written in the next turn, and what is gone removed.
  void hasten_records() { record_due_ = 0; }
  /// Whether everything is written, or the journal has just failed.
  [[nodiscard]] bool records_rest() const {
    return recording_ == 0 && (record_failed_ || (unrecorded_.empty() && drops_.empty()));
  }
  /// The job is written no more: its ending waits for nothing.
  void unrecord(JobHandle handle, Nanos now);
  /// A job of an earlier process, as its journal has it. One that had ended is kept for the rest of
  /// its retention; one that had not is open, has no producer, and is to be finished.
  void restore(JobHandle handle, JobOptions options, RestoredJob restored, Nanos now);
  /// Whether the job has ended, and nobody knows yet.
  [[nodiscard]] bool holds(JobHandle handle) const;

  /// Forgets the job at once; its readers are cut. Followers that it has still end with an error.
  void purge(JobHandle handle, Nanos now);
  /// Whether the job is known and has not ended.
  [[nodiscard]] bool is_open(JobHandle handle) const;
  /// Whether it is open and its window has room for another token.
  [[nodiscard]] bool writable(JobHandle handle) const;
  /// What the job has used, by the hub's own count unless it ended with another. Nothing for a job
  /// that is not known.
  [[nodiscard]] Usage usage(JobHandle handle) const;
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

  // On jobs that are known.
  void start(Job& job, Nanos now);
  void retry(Job& job, Nanos now);
  void append(Job& job, std::string_view text, Nanos now);
  void finish(Job& job, Terminal terminal, Nanos now);

  void settle(Job& job, Nanos now);

  // job_hub_record.cc
  void note(Job& job, Nanos due);
  void note_dropped(const Job& job, Nanos now);
  void release(Job& job, Nanos now);
  void write_records(Nanos now);
  [[nodiscard]] bool needs_record(const Job& job) const {
    return journal_ != nullptr && job.options.record != 0;
  }
  [[nodiscard]] Nanos record_deadline() const { return recording_ == 0 ? record_due_ : kNever; }

  // job_hub_feed.cc
  void link_feed(Job& part);
  void feed(const Job& part, std::string_view token);
  void feed_all(const Job& part);
  void unlink_feeds(Job& job);
  [[nodiscard]] std::uint64_t lag_of(const Job& job) const;

  // job_hub_follow.cc
  void finish_followers(Job& leader, const Terminal& terminal, Nanos now);
  void leave_leader(Job& follower);

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
  Channel::Batch batch_;   // scratch: a token costs no allocation
  std::string feed_data_;  // scratch
  std::vector<ChannelHandle> dirty_channels_;
  std::vector<JobHandle> dirty_jobs_;  // whose window may have moved

  /// What of a job is on its way to the disk.
  struct Recording {
    JobHandle job;
    JobLog::Position next;
    std::uint64_t trimmed;
    bool ended;
  };
  JobJournal* journal_ = nullptr;
  std::vector<JobHandle> unrecorded_;  // jobs of which there is something to be written
  std::vector<std::uint64_t> drops_;   // records of jobs that are gone
  std::vector<Recording> in_flight_;   // one batch at a time
  std::size_t drops_in_flight_ = 0;    // of the first of drops_
  std::uint64_t recording_ = 0;        // that batch's number; 0: none
  std::uint64_t batches_ = 0;
  bool record_failed_ = false;  // the last batch
  Nanos record_due_ = kNever;
};

}  // namespace sluice
