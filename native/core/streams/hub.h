// The hub: all jobs of one reactor, their subscribers, and the rules between them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/executor.h"
#include "core/containers/timer_queue.h"
#include "core/streams/hub_journal.h"
#include "core/streams/job.h"
#include "core/streams/journal.h"
#include "core/streams/subscriber.h"

namespace sluice {

struct HubOptions {
  std::uint64_t stream_capacity = 256;          // tokens
  std::size_t log_bytes_max = 4u << 20;         // per job; the oldest entries are trimmed
  std::size_t whole_log_bytes_max = 64u << 20;  // per job with JobOptions::whole, which then ends
  Nanos retention = 300 * kSecond;              // from the end of a job to its purge
  Nanos heartbeat = 15 * kSecond;               // of silence, before a keep-alive comment
  Nanos stall = 10 * kSecond;                   // without progress, before a subscriber is cut off
  std::uint64_t retry_ms = 2000;                // the reconnection time that EventSource receives
  std::size_t batch_bytes_max = 16u << 10;      // of the frames in one batch
  Nanos record_interval = HubJournal::kInterval;
  Nanos record_retry = HubJournal::kRetryDelay;
  Nanos hold_max = 5 * kSecond;      // the longest that an ending waits for the journal
  Nanos replica_idle = 5 * kSecond;  // without a reader, before an open replica is purged
};

/// An event of a replica's log, in its place.
struct ReplicaEntry {
  Entry entry = {};
  /// An event of its own type, with `entry.text` as its data.
  std::string_view type = {};
  /// Of kToolCall and kToolArguments: the index of the call.
  std::uint32_t call = 0;
  /// An event of a kind that is unknown here: it takes up its id.
  bool is_unknown = false;
};

/// A job that its producer has begun and ended before the hub gets it.
struct EndedJob {
  JobHandle handle = 0;
  JobOptions options = {};  // without a record, copies or `whole`
  Nanos created_at = 0;
  Nanos started_at = 0;
  Nanos first_token_at = kNever;  // kNever: no token
  std::vector<std::string> tokens = {};
  Terminal terminal = {};
};

/// Receives the events of a hub, on the executor's thread. Must not call the hub.
class HubObserver {
 public:
  virtual ~HubObserver() = default;
  /// The producer may append until it has appended `tokens` in all, over all attempts. The number
  /// may go down.
  virtual void on_window(JobHandle job, std::uint64_t tokens) = 0;
  /// The first entry of a job with JobOptions::announce, once.
  virtual void on_begun(JobHandle /*job*/) {}
  /// The job ended; `state` is its JSON without text. Before any subscriber receives the event.
  virtual void on_ended(JobHandle job, std::string state) = 0;
  /// The log takes no more events. Before `on_ended`, which may wait for the journal.
  virtual void on_sealed(JobHandle /*job*/) {}
  /// The ending of a job with JobOptions::settles, once: it is written after `JobHub::settle`.
  /// `state` is as for `on_ended`. Before `on_ended`.
  virtual void on_ending(JobHandle /*job*/, std::string /*state*/) {}
  virtual void on_purged(JobHandle job) = 0;
  /// A replica has been read up to its end for the first time.
  virtual void on_loaded(JobHandle /*job*/) {}
  /// `JobHub::fence` has removed the job. `end_published`: readers had received its ending.
  virtual void on_fenced(JobHandle /*job*/, bool /*end_published*/) {}
  /// The first event of a subscriber. `finished`: its cursors were at the end of their jobs, and no
  /// event follows.
  virtual void on_subscriber_open(SubscriberHandle subscriber, bool finished) = 0;
  /// The only event of a subscriber that gets its frames at once; `frames` may be moved from.
  virtual void on_subscriber_whole(SubscriberHandle /*subscriber*/, std::string& /*frames*/) {}
  /// `batch` may be moved from; the hub uses it again after the call. Returns whether it is
  /// consumed already; else `acknowledge` follows.
  virtual bool on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) = 0;
  /// The last event of a subscriber: "finished", "stalled", "purged", "fenced" or "unreachable".
  virtual void on_subscriber_end(SubscriberHandle subscriber, std::string_view reason) = 0;
};

/// All jobs of one reactor and their subscribers.
///
/// - The producer of a job may append until it is `stream_capacity` tokens ahead of the slowest
///   subscriber; the window moves as subscribers acknowledge batches.
/// - The first ending counts: complete, error, cancelled, wall time, disconnect.
/// - A job whose last subscriber left is cancelled after its grace, if its options say so.
/// - A subscriber without progress for `stall` is cut off, so that it cannot hold back the others.
/// - An ended job is purged after `retention`.
/// - A follower has no producer: its log receives the events of its source. The source's window
///   depends on the subscribers of both. Followers do not have followers while they run.
/// - The entries of a job with `copy_to` are also appended to the log of that job. The producer's
///   window depends on the subscribers of both. A job that receives copies is not copied itself.
/// - A job with a record is written to the journal. Its subscribers receive the terminal event only
///   after the journal has committed it, or after `hold_max`. The ending of a job that settles
///   something is written once the settlement is known; its entries do not wait for that.
///
/// - A replica has no producer here: another process writes its log, and a follower of that log
///   (core/replication) appends what it reads. It has no limits; without a reader it is purged
///   after `replica_idle`. Subscribers of a new replica attach once it has been read up to its end.
///
/// Jobs that refer to each other do so while neither has ended; the first that ends or is purged
/// clears both references.
///
/// Not thread-safe: a Machine, called only by its executor. It never calls back into its caller:
/// events go to the HubObserver. Calls with an unknown job or subscriber do nothing.
class JobHub final : public Machine {
 public:
  /// A job of a subscriber and the client's cursor for it, empty for none.
  struct Cursor {
    JobHandle job;
    std::string last_event_id;
  };

  JobHub(HubOptions options, HubObserver& observer)
      : options_(options),
        observer_(observer),
        journal_(jobs_,
                 {.interval = options.record_interval, .retry_delay = options.record_retry}) {}

  /// A new job, queued. `handle` must be new.
  void create(JobHandle handle, JobOptions options, Nanos now);
  /// What `make_ended` makes: the arguments of `HubObserver::on_ended`, and `unread_frames`.
  struct Made {
    std::unique_ptr<Job> job = {};
    std::string state = {};
    std::string frames = {};
  };
  /// Makes a job of this hub that has ended at `now`, as `create`, `start`, `append` and `finish`
  /// would, but without its observer. `add_ended` follows. The job must not outlive the hub. Any
  /// thread.
  [[nodiscard]] Made make_ended(EndedJob ended, Nanos now);
  /// Adds a job from `make_ended`; its end is known and not reported.
  void add_ended(std::unique_ptr<Job> job);
  /// The job was dispatched; later calls do nothing.
  /// @param members a JSON object or empty; the journal keeps it with the attempt
  void start(JobHandle handle, std::string_view members, Nanos now);
  /// Begins the next attempt: subscribers discard the text so far.
  /// @param members a JSON object, whose members `job_retry` carries beside the attempt
  void retry(JobHandle handle, std::string_view members, Nanos now);
  /// Appends an entry: a token, in the words of this class. Dropped once the job has ended.
  /// @returns `writable(handle)`, after it
  bool append(JobHandle handle, const Entry& entry, Nanos now);
  void append(JobHandle handle, std::string_view text, Nanos now) {
    append(handle, Entry{.text = text}, now);
  }
  /// Sets the head of the current attempt's answer; ignored where `EventLog::set_head` ignores it.
  void set_head(JobHandle handle, const AnswerHead& head, Nanos now);
  /// Appends an event of the given type; `data` is a JSON object. It counts as a token, and is
  /// dropped like one.
  void append_typed(JobHandle handle, std::string_view type, std::string_view data, Nanos now);
  /// Begins the next attempt of a job that has ended: it runs again, its wall time restarts, and
  /// subscribers discard the text so far. Does nothing while the job has not ended.
  void reopen(JobHandle handle, Nanos now);
  /// Ends the job; only the first ending counts.
  void finish(JobHandle handle, Terminal terminal, Nanos now);
  /// What the job that `on_ending` has reported settles; the journal gets it with the ending, and
  /// again whenever it writes the ending again. Only the first call counts.
  void settle(JobHandle handle, std::string settlement, Nanos now);
  /// Makes `follower`, a new job without a token, a follower of `source`: it receives all tokens of
  /// the source's current attempt, then each token, retry and the ending. The follower keeps its
  /// own ids, times, limits and subscribers; its own ending (cancel, wall time, disconnect) does
  /// not affect the source or other followers. A source may have several followers, and may have
  /// ended.
  /// @returns false, with no effect, when the copy would be incomplete: the source is unknown, has
  ///   lost its first tokens to the byte cap, or is a follower that has not ended. True for a
  ///   follower that is unknown or has ended: nothing is left to do.
  [[nodiscard]] bool follow(JobHandle follower, JobHandle source, Nanos now);
  /// Forgets the job at once; its subscribers are cut off. Its followers end with an error.
  void purge(JobHandle handle, Nanos now);

  /// Jobs with a record are written to `journal` from now on; nullptr: no longer.
  void record_to(JobJournal* journal) { journal_.record_to(journal); }
  /// As above, at another pace; a retention that is unset is the hub's.
  void record_to(JobJournal* journal, HubJournal::Options pace);
  /// The journal has committed the batch with this number, or has failed and receives it again.
  void recorded(std::uint64_t batch, bool written, Nanos now);
  /// The outcome of the batch for each of its jobs, as `HubJournal::recorded` takes it. Fenced jobs
  /// are forgotten.
  void recorded(std::uint64_t batch, const std::vector<JobOutcome>& outcomes, Nanos now);
  /// Entries that the journal has not committed.
  [[nodiscard]] std::uint64_t unrecorded_tokens() const { return journal_.unwritten(); }
  /// See `HubJournal::rewind`.
  void rewind(JobHandle handle, EventLog::Position next, Nanos now);
  /// See `HubJournal::write_anew`.
  void write_anew(JobHandle handle, Nanos now);
  /// Writes pending changes, and removes purged jobs, in the next turn.
  void hasten_records() { journal_.hasten(); }
  /// Whether everything is written, or the journal has just failed. Not while a settlement is
  /// awaited: an ending will be written.
  [[nodiscard]] bool records_rest() const { return settling_ == 0 && journal_.rests(); }
  /// Stops recording the job: its ending waits no longer.
  void unrecord(JobHandle handle, Nanos now);
  /// A job of an earlier process, from the journal. One that had ended is kept for the rest of its
  /// retention; one that had not is open, has no producer, and must be finished by the caller.
  void restore(JobHandle handle, JobOptions options, RestoredJob restored, Nanos now);
  /// Whether the job has ended and its terminal event waits for the journal.
  [[nodiscard]] bool holds(JobHandle handle) const;

  /// A new replica. Of `options` the id, `whole`, `kind`, `prompt_tokens` and `retention` count.
  /// @param wait_max how long a cursor ahead of the log waits, see ReplicaState::wait_max
  /// @param age since the creation of the job
  void replicate(JobHandle handle, JobOptions options, Nanos wait_max, Nanos age, Nanos now);
  // For the follower of its log. Calls for a job that is no open replica do nothing.
  /// Begins an attempt after this one; for this one, or an earlier one, sets its members alone.
  void begin_replica_attempt(JobHandle handle, std::uint64_t attempt, std::string_view members);
  void append_replica(JobHandle handle, const ReplicaEntry& entry, Nanos now);
  /// The entries up to `seq`, without it, are missing: they count as trimmed.
  void skip_replica(JobHandle handle, std::uint64_t seq);
  void set_replica_head(JobHandle handle, AnswerHead head);
  void set_replica_spans(JobHandle handle, const JobSpans& spans);
  void end_replica(JobHandle handle, ReplicaEnding ending, Nanos now);
  /// It has been read up to its end.
  void load_replica(JobHandle handle, Nanos now);
  /// The other side could be read for another `span`.
  void answer_replica(JobHandle handle, Nanos span);
  /// Forgets the replica; its subscribers end with `reason`.
  void drop_replica(JobHandle handle, std::string_view reason, Nanos now);
  /// Announces `adopt`: from now on commands for the replica wait for it. False, with no effect, if
  /// it is no open replica.
  bool begin_adoption(JobHandle handle);
  /// Makes an open replica a job of this hub that continues its log, from the given attempt on; its
  /// wall time begins now. Commands that have waited follow.
  /// @param skip_ids see `EventLog::skip_ids`
  /// @returns false, with no effect but the loss of these commands, if it is no open replica or is
  ///   in a later attempt
  [[nodiscard]] bool adopt(JobHandle handle, JobOptions options, std::uint64_t attempt,
                           std::uint64_t skip_ids, Nanos now);
  /// Whether the job is a replica that has not ended.
  [[nodiscard]] bool is_open_replica(JobHandle handle) const;
  /// Whether the job is a replica that `load_replica` has not reported.
  [[nodiscard]] bool is_loading(JobHandle handle) const;
  /// The latest event of its log; `1-0` for an unknown job.
  [[nodiscard]] EventId latest(JobHandle handle) const;
  /// Forgets a job that another process owns: it appends no more, its subscribers are cut off.
  void fence(JobHandle handle, Nanos now);

  /// Whether the job is known and has not ended.
  [[nodiscard]] bool is_open(JobHandle handle) const;
  /// Whether it is open and its window has room for another token.
  [[nodiscard]] bool writable(JobHandle handle) const;
  /// What the job has used, by the hub's own count unless it ended with another. Nothing for a job
  /// that is not known.
  [[nodiscard]] Usage usage(JobHandle handle) const;
  /// The job's state as JSON, see `Job::append_state`; empty for an unknown job.
  [[nodiscard]] std::string state(JobHandle handle, bool with_text, Nanos now,
                                  bool with_items = false) const;
  /// The whole answer as the log is now, as JSON in the protocol of `face`; empty for an unknown
  /// job.
  [[nodiscard]] std::string answer(JobHandle handle, const Face& face) const;

  /// A new subscriber. Cursors of unknown jobs are ignored; with none left it ends as "purged".
  /// @param face the protocol of its frames, nullptr for native ones. Such a subscriber reads from
  ///   the beginning of its logs, whatever its cursors, and ends as "purged" where one of them is
  ///   unknown or has lost its beginning.
  /// @param at_once a subscriber with native frames whose jobs have ended, with short logs, gets
  /// all
  ///   of them by `on_subscriber_whole` in place of every other event, and is unknown afterwards.
  void attach(SubscriberHandle handle, Subscriber::Mode mode, bool fan_in,
              const std::vector<Cursor>& cursors, Nanos now, std::unique_ptr<Face> face = nullptr,
              bool at_once = false);
  /// The native frames of an ended job for a reader without a cursor: those that `attach` with
  /// `at_once` would give. Empty where its log is longer than 2 KiB, where it has a subscriber, and
  /// for a replica.
  [[nodiscard]] std::string unread_frames(JobHandle handle);
  /// The subscriber has consumed its batch. In frames mode a first such call, without a batch, lets
  /// the first batch go.
  void acknowledge(SubscriberHandle handle, Nanos now);
  /// The subscriber has consumed a part of its batch: it is not stalled.
  void progress(SubscriberHandle handle, Nanos now);
  /// A reader that does not subscribe, such as a request for the whole answer: like a subscriber it
  /// keeps a job from being cancelled, but it takes no events and holds nothing back.
  void hold(JobHandle handle);
  /// Such a reader has left.
  void release(JobHandle handle, Nanos now);
  /// Removes the subscriber.
  void detach(SubscriberHandle handle, Nanos now);

  [[nodiscard]] Nanos next_deadline() const override;
  /// Whether subscribers or windows wait for `advance` at once.
  [[nodiscard]] bool has_turn() const {
    return !dirty_subscribers_.empty() || !dirty_jobs_.empty();
  }
  void advance(Nanos now) override;

  [[nodiscard]] bool has_subscriber(SubscriberHandle handle) const {
    return subscribers_.contains(handle);
  }
  [[nodiscard]] std::size_t subscriber_count() const { return subscribers_.size(); }
  /// The readers of a job as JSON: of each subscriber `{lag, busy}`, the entries that it has not
  /// consumed and whether a batch is on its way to it; of each hold `{lag: null}`. Empty for an
  /// unknown job.
  [[nodiscard]] std::string readers(JobHandle handle) const;
  /// Entries that producers have appended to jobs of this hub, over all time. Any thread.
  [[nodiscard]] std::uint64_t entries_appended() const {
    return entries_appended_.load(std::memory_order_relaxed) +
           entries_of_ended_.load(std::memory_order_relaxed);
  }
  /// Bytes that the logs of all jobs hold, shared ones once. Any thread.
  [[nodiscard]] std::int64_t log_bytes() const {
    return log_bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct TimerKey {
    enum class Of : std::uint8_t { kJob, kSubscriber } of;
    std::uint64_t handle;
  };

  void start_job(Job& job, std::string_view members, Nanos now);
  void retry_job(Job& job, std::string_view members, Nanos now);
  void append_entry(Job& job, const Entry& entry, Nanos now);
  void note_begun(Job& job, Nanos now);
  void finish_job(Job& job, Terminal terminal, Nanos now);
  void begin_settling(Job& job, Nanos now);
  bool end_settling(Job& job);
  static bool end_log(Job& job, Terminal terminal, bool held, Nanos now);
  [[nodiscard]] std::string end_state(Job& job, Nanos now) const;
  void publish_end(Job& job, Nanos now);
  void release_end(Job& job, Nanos now);
  void erase(Job& job, std::string_view reason, Nanos now);

  // hub_replicas.cc
  [[nodiscard]] Job* open_replica(JobHandle handle) const;
  /// Commands for a replica have no effect, or wait for its adoption.
  /// @returns false, with no effect, for another job
  template <typename Command>
  bool delay(JobHandle handle, Command command) {
    Job* const job = find(handle);
    if (job == nullptr || job->replica == nullptr) return false;
    if (job->replica->adopting) job->replica->commands.push_back(std::move(command));
    return true;
  }
  bool delay_attach(SubscriberHandle handle, Subscriber::Mode mode, bool fan_in,
                    const std::vector<Cursor>& cursors, std::unique_ptr<Face>& face);
  void attach_delayed(Job& job, Nanos now);
  void watch_readers(Job& job, Nanos now);

  // hub_followers.cc
  void finish_followers(Job& source, const Terminal& terminal, Nanos now);
  void leave_source(Job& follower);

  void link_copy(Job& job);
  void copy_entry(const Job& job, const EventLog::Event& event, Nanos now);
  void copy_all(const Job& job, Nanos now);
  void unlink_copies(Job& job);

  [[nodiscard]] Job* find(JobHandle handle) const;
  void touch(Job& job);
  void touch_window(Job& job);
  void arm(const Job& job) { timers_.arm(job.next_deadline(), {TimerKey::Of::kJob, job.handle}); }
  void run_job_timers(Job& job, Nanos now);
  void update_window(Job& job);

  // hub_subscribers.cc
  Subscriber* find_subscriber(SubscriberHandle handle);
  [[nodiscard]] static bool writable(const Job& job);
  void go_on(Subscriber& subscriber, Nanos now);
  void touch(Subscriber& subscriber);
  void arm(const Subscriber& subscriber, Nanos now);
  void run_timers(Subscriber& subscriber, Nanos now);
  void flush(Subscriber& subscriber, Nanos now);
  bool send_whole(SubscriberHandle handle, bool fan_in, const std::vector<Cursor>& cursors,
                  Nanos now);
  std::string whole_frames(bool fan_in, const std::vector<Cursor>& cursors,
                           std::size_t log_bytes_max, Nanos now);
  /// A job and the client's cursor for it.
  struct Reading {
    Job* job;
    std::string_view last_event_id;
  };
  [[nodiscard]] std::string whole_frames(bool fan_in, const std::vector<Reading>& readings,
                                         std::size_t log_bytes_max, Nanos now) const;
  [[nodiscard]] std::string unread_frames(Job& job) const;
  void close(SubscriberHandle handle, std::string_view reason, Nanos now);
  void forget(SubscriberHandle handle, Nanos now);
  void look_for_readers(Job& job, Nanos now);

  [[nodiscard]] EventLog new_log(const JobOptions& options);

  /// A subscriber that attaches once its replicas are loaded.
  struct DelayedAttach {
    Subscriber::Mode mode;
    bool fan_in;
    std::vector<Cursor> cursors;
    std::unique_ptr<Face> face;
  };

  HubOptions options_;
  HubObserver& observer_;
  LogBytes log_bytes_ = 0;                           // before the jobs, whose logs count in it
  std::atomic<std::uint64_t> entries_appended_ = 0;  // changed by one thread
  std::atomic<std::uint64_t> entries_of_ended_ = 0;  // of `make_ended`
  JobTable jobs_;
  HubJournal journal_;
  std::size_t settling_ = 0;  // jobs that await `settle`
  std::unordered_map<SubscriberHandle, std::unique_ptr<Subscriber>> subscribers_;
  std::unordered_map<SubscriberHandle, DelayedAttach> attaching_;
  TimerQueue<TimerKey> timers_;
  std::shared_ptr<const AnswerHead> last_head_;
  Subscriber::Batch batch_;  // scratch: a token costs no allocation
  std::string copy_data_;    // scratch
  std::vector<SubscriberHandle> dirty_subscribers_;
  std::vector<SubscriberHandle> flushing_;  // scratch
  std::vector<JobHandle> dirty_jobs_;       // their windows may have moved
};

}  // namespace sluice
