// One job: its log, its timestamps, its policies, and what it looks like as JSON.
//
// Not thread-safe; lives on its hub's executor. The hub decides when things happen, this file
// knows what they say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/event_log.h"

namespace sluice {

class Channel;

using JobHandle = std::uint64_t;

/// What a log is about, which names its id and its events: `job_id` and `job_complete`,
/// `workflow_id` and `workflow_complete`, ...
enum class JobKind : std::uint8_t { kJob, kWorkflow, kCrawl };

/// What a job is created with.
struct JobOptions {
  std::string job_id = {};
  bool cancel_on_disconnect = true;
  Nanos disconnect_grace = 30 * kSecond;
  Nanos wall_time_max = 300 * kSecond;
  std::uint64_t prompt_tokens = 0;  // used where the provider reports no usage
  /// From the ending to the purge; default: the hub's. kNever: until it is purged by its maker.
  std::optional<Nanos> retention = {};
  JobKind kind = JobKind::kJob;
  /// The job whose log is to have each token of this one, too: as an event of the type `token`,
  /// whose data are these members (`"node":"a"`) and the token.
  JobHandle feeds = 0;
  std::string feed_members = {};
  /// Its number in the journal; 0: it is not written down.
  std::uint64_t record = 0;
};

struct Job {
  enum class Status : std::uint8_t { kQueued, kRunning, kEnded };

  Job(JobHandle job_handle, JobOptions job_options, JobLog empty_log, Nanos now);

  // --- what has happened
  JobHandle handle;
  JobOptions options;
  JobLog log;
  Status status = Status::kQueued;
  Nanos created_at;
  Nanos started_at = kNever;
  Nanos first_token_at = kNever;
  Nanos ended_at = kNever;

  // --- jobs that share one answer; the hub's. Cleared when either side has ended.
  Job* leader = nullptr;        // whose log feeds this one
  std::vector<Job*> followers;  // fed by this one

  // --- parts of a larger work; the hub's. Cleared when either side has ended.
  Job* feeds = nullptr;      // has this one's tokens, too
  std::vector<Job*> fed_by;  // whose tokens this one has

  // --- what the journal has of it; the hub's
  JobLog::Position recorded;  // the first token that it does not have
  std::uint64_t trimmed_recorded = 0;
  bool started_recorded = false;
  bool end_recorded = false;
  bool unrecorded = false;       // it is on the list of those to be written
  Nanos hold_deadline = kNever;  // until then its ending waits for the journal

  // --- readers and flow control; the hub's
  std::vector<Channel*> channels;
  std::uint64_t appended_before = 0;  // tokens of earlier attempts: the window counts all of them
  std::uint64_t fed = 0;              // of all those: what came from other jobs
  std::uint64_t window_granted = 0;   // tokens the producer has been allowed, over all attempts
  bool window_dirty = false;
  Nanos grace_deadline = kNever;
  Nanos wall_deadline = kNever;
  Nanos purge_deadline = kNever;

  /// `{"job_id":<id>` as every event's data begins.
  std::string data_prefix;

  /// Tokens of this job's own producer, over all attempts.
  [[nodiscard]] std::uint64_t appended() const { return appended_before + log.token_count() - fed; }
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] Nanos next_deadline() const;

  /// Appends the data of an event of the log as JSON.
  void append_event_data(std::string& out, const JobLog::Event& event) const;

  /// An event of the log as a whole SSE frame. The last one is kept: of many readers at the head of
  /// the log only the first has it encoded. Valid until the next call.
  [[nodiscard]] std::string_view frame(const JobLog::Event& event);

  /// Appends the data of a `gap`; `requested` is the client's cursor as it came, empty for none.
  void append_gap_data(std::string& out, std::string_view requested) const;

  /// Appends the whole state as a JSON object: status, attempt, last_event_id, usage, metrics, and
  /// text, error, reason where they apply; `text_bytes` is the size of what is retained. Spans of
  /// an unfinished job end at `now`.
  void append_state(std::string& out, bool with_text, Nanos now) const;

 private:
  std::string frame_;  // of frame_id_; empty before the first
  std::string data_;   // scratch
  EventId frame_id_;

  void append_terminal_data(std::string& out) const;
  /// Of a job: its times and tokens. Of another kind: how long this attempt has taken, and events.
  void append_metrics(std::string& out, Nanos now) const;
};

/// The SSE event type of an event of the log: token, job_retry, job_complete, a type of its own.
/// Valid until the log changes.
std::string_view event_type(const Job& job, const JobLog::Event& event);

}  // namespace sluice
