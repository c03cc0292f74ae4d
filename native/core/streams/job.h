// One job: its log, its timestamps, its policies, and its JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/event_log.h"

namespace sluice {

class Subscriber;

using JobHandle = std::uint64_t;

struct JobEnding;
struct RestoredJob;

/// The kind of work that a log belongs to. It names the id and the events: `job_id` and
/// `job_complete`, `workflow_id` and `workflow_complete`, ...
enum class JobKind : std::uint8_t { kJob, kWorkflow, kCrawl };

struct JobOptions {
  std::string job_id = {};
  bool cancel_on_disconnect = true;
  Nanos disconnect_grace = 30 * kSecond;
  Nanos wall_time_max = 300 * kSecond;
  std::uint64_t prompt_tokens = 0;  // used where the provider reports no usage
  /// From the end to the purge; default: the hub's. kNever: no purge by time.
  std::optional<Nanos> retention = {};
  JobKind kind = JobKind::kJob;
  /// A job whose log receives a copy of each entry: an event of the entry's type (`token`) with
  /// these members (`"node":"a"`) and those of the entry. 0: none.
  JobHandle copy_to = 0;
  std::string copy_members = {};
  /// The log is not trimmed: at `HubOptions::whole_log_bytes_max` the job ends as complete, with
  /// the reason `length`.
  bool whole = false;
  /// Report the first entry, see `HubObserver::on_begun`.
  bool announce = false;
  /// The job's number in the journal; 0: it is not recorded.
  std::uint64_t record = 0;
  /// Of a job whose journal other processes read: its ending is written with what the job settles,
  /// see `HubObserver::on_ending` and `JobHub::settle`.
  bool settles = false;
  /// With `settles`: `on_ending` carries the answer as well, and of a log with more than text its
  /// items.
  bool settles_answer = false;
};

/// The parts of a job's state that depend on the size of its log.
struct StateParts {
  bool answer = false;  ///< text, and reasoning, refusal, tool_calls where there are any
  bool items = false;   ///< the entries in their order
  bool final = false;   ///< of a log that has ended: as it is once the ending is published
};

/// The part of a job that is a replica: another process writes its log.
struct ReplicaState {
  bool loaded = false;           // it has been read up to its end once
  Nanos answered = 0;            // the time in which the other side could be read
  Nanos wait_max = 0;            // of `answered`, that a cursor ahead of the log waits
  Nanos idle_deadline = kNever;  // its purge, while it has no reader
  std::string ending_data;       // of the terminal event, as its writer has it; empty before that
  bool adopting = false;         // it becomes a job of this hub; commands wait for that
  std::vector<std::function<void(Nanos now)>> commands = {};  // that wait
  /// Subscribers that attach once it is loaded.
  std::vector<std::uint64_t> attaching;
};

/// One job of a hub. The hub decides when its state changes; this class formats the state.
///
/// Not thread-safe; lives on its hub's executor.
struct Job {
  enum class Status : std::uint8_t { kQueued, kRunning, kEnded };

  Job(JobHandle job_handle, JobOptions job_options, EventLog empty_log, Nanos now);

  // --- history
  JobHandle handle;
  JobOptions options;
  EventLog log;
  Status status = Status::kQueued;
  Nanos created_at;
  Nanos started_at = kNever;
  Nanos first_token_at = kNever;  // the first entry of any kind
  Nanos ended_at = kNever;

  std::string retry_members;  // of this attempt: a JSON object or empty

  // --- jobs that share one answer; set by the hub, cleared when either side has ended
  Job* source = nullptr;        // its log is copied into this one
  std::vector<Job*> followers;  // their logs are copies of this one

  // --- copies of tokens; set by the hub, cleared when either side has ended
  Job* copy_to = nullptr;         // receives copies of this job's tokens
  std::vector<Job*> copies_from;  // their tokens are copied into this job

  // --- the state that the journal has; set by HubJournal
  EventLog::Position recorded;  // the first token that is not recorded
  std::uint64_t trimmed_recorded = 0;
  bool started_recorded = false;
  bool head_recorded = false;
  bool end_recorded = false;
  bool anew_pending = false;     // written again from its beginning, after the batch in flight
  bool record_pending = false;   // it has unwritten changes
  Nanos hold_deadline = kNever;  // until then the terminal event waits for the journal
  bool settling = false;         // its ending is not written before `JobHub::settle`
  std::string settlement;        // what its ending is written with

  /// Set by the hub while another process writes the log, and after its ending.
  std::unique_ptr<ReplicaState> replica;

  // --- subscribers and flow control; set by the hub
  std::vector<Subscriber*> subscribers;
  std::uint32_t holds = 0;            // readers that do not subscribe yet, or never
  std::uint64_t appended_before = 0;  // tokens of earlier attempts: the window counts all of them
  std::uint64_t copied = 0;           // the part of all tokens that was copied from other jobs
  std::uint64_t window_granted = 0;   // tokens that the producer may append, over all attempts
  bool window_dirty = false;
  bool begun = false;  // it has had an entry, in any attempt
  Nanos grace_deadline = kNever;
  Nanos wall_deadline = kNever;
  Nanos purge_deadline = kNever;

  /// `{"job_id":<id>` as every event's data begins.
  std::string data_prefix;

  /// Tokens of this job's own producer, over all attempts.
  [[nodiscard]] std::uint64_t appended() const {
    return appended_before + log.entry_count() - copied;
  }
  /// Tokens that the slowest subscriber has not consumed, of this job or of its `copy_to`.
  [[nodiscard]] std::uint64_t lag() const;
  /// Whether a subscriber that is no onlooker, or a hold, keeps it from being cancelled.
  [[nodiscard]] bool has_reader() const;
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] Nanos next_deadline() const;

  /// Turns this new job into one of an earlier process. Retention counts from `now`.
  void restore(RestoredJob restored, Nanos now);

  /// Appends the data of an event of the log as JSON.
  void append_event_data(std::string& out, const EventLog::Event& event) const;

  /// An event of the log as an SSE frame. With several subscribers the last frame is kept, so that
  /// an event is encoded once for all of them at the head of the log. Valid until the next call for
  /// any job of this thread.
  [[nodiscard]] std::string_view frame(const EventLog::Event& event);

  /// The ending as a journal gives it to other processes. Only when the log has ended.
  [[nodiscard]] JobEnding ending() const;

  /// Appends the data of a `gap`; `requested` is the cursor that the client sent, empty for none.
  void append_gap_data(std::string& out, std::string_view requested) const;

  /// Appends the state as a JSON object: status, attempt, last_event_id, usage, metrics, the parts
  /// asked for, and head, error, reason, raw_reason where they apply; `log_bytes` is the size of
  /// the retained entries, `text_bytes` that of their text. Spans of an unfinished job end at
  /// `now`.
  void append_state(std::string& out, StateParts parts, Nanos now) const;

 private:
  struct Frame {
    EventId id;
    std::string text = {};
  };

  std::unique_ptr<Frame> frame_;  // the last one, of a job with several subscribers

  void write_frame(std::string& out, const EventLog::Event& event) const;
  void append_terminal_data(std::string& out) const;
  /// For a job: its times and tokens. For another kind: the duration of this attempt, and events.
  void append_metrics(std::string& out, Nanos now) const;
};

/// The SSE event type of an event of the log: that of an entry, job_retry, job_complete, a type of
/// its own. Valid until the log changes.
std::string_view event_type(const Job& job, const EventLog::Event& event);

}  // namespace sluice
