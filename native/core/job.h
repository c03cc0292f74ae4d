// One job: its log, its timestamps, its policies, and what it looks like as JSON.
//
// Not thread-safe; lives on its hub's executor. The hub decides when things happen, this file
// knows what they say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/job_log.h"
#include "core/time.h"

namespace sluice {

class Channel;

using JobHandle = std::uint64_t;

/// What a job is created with.
struct JobOptions {
  std::string job_id = {};
  bool cancel_on_disconnect = true;
  Nanos disconnect_grace = 30 * kSecond;
  Nanos wall_time_max = 300 * kSecond;
  std::uint64_t prompt_tokens = 0;  // used where the provider reports no usage
};

struct Job {
  enum class Status : std::uint8_t { kQueued, kRunning, kEnded };

  Job(JobHandle job_handle, JobOptions job_options, std::size_t log_bytes_max, Nanos now);

  // --- what has happened
  JobHandle handle;
  JobOptions options;
  JobLog log;
  Status status = Status::kQueued;
  Nanos created_at;
  Nanos started_at = kNever;
  Nanos first_token_at = kNever;
  Nanos ended_at = kNever;

  // --- readers and flow control; the hub's
  std::vector<Channel*> channels;
  std::uint64_t appended_before = 0;  // tokens of earlier attempts: the window counts all of them
  std::uint64_t window_granted = 0;   // tokens the producer has been allowed, over all attempts
  bool window_dirty = false;
  Nanos grace_deadline = kNever;
  Nanos wall_deadline = kNever;
  Nanos purge_deadline = kNever;

  /// `{"job_id":<id>` as every event's data begins.
  std::string data_prefix;

  [[nodiscard]] std::uint64_t appended() const { return appended_before + log.token_count(); }
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] Nanos next_deadline() const;

  /// Appends the data of an event of the log (`kToken`, `kRetry`, `kTerminal`) as JSON.
  void append_event_data(std::string& out, const JobLog::Event& event) const;

  /// An event of the log as a whole SSE frame. The last one is kept: of many readers at the head of
  /// the log only the first has it encoded. Valid until the next call.
  [[nodiscard]] std::string_view frame(const JobLog::Event& event);

  /// Appends the data of a `gap`; `requested` is the client's cursor as it came, empty for none.
  void append_gap_data(std::string& out, std::string_view requested) const;

  /// Appends the whole state as a JSON object: status, attempt, last_event_id, usage, metrics, and
  /// text, error, reason where they apply. Spans of an unfinished job end at `now`.
  void append_state(std::string& out, bool with_text, Nanos now) const;

 private:
  std::string frame_;  // of frame_id_; empty before the first
  std::string data_;   // scratch
  EventId frame_id_;

  void append_terminal_data(std::string& out) const;
  void append_metrics(std::string& out, Nanos now) const;
};

/// The SSE event type of an event of the log: token, job_retry, job_complete, ...
std::string_view event_type(const Job& job, JobLog::EventKind kind);

}  // namespace sluice
