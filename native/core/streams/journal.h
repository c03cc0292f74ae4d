// The records that a hub writes of its jobs and restores them from in another process: plain
// values, and the interface of the journal that stores them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/event_log.h"

namespace sluice {

/// Times since the creation of the job; kNever: not yet.
struct JobSpans {
  Nanos started = kNever;
  Nanos first_token = kNever;
  Nanos ended = kNever;
};

/// An ending as all processes show it.
struct JobEnding {
  std::string type = {};            // of the SSE event
  std::string data = {};            // of the SSE event
  std::string state = {};           // JSON without text, as `HubObserver::on_ended` receives it
  std::uint64_t prompt_tokens = 0;  // JobOptions::prompt_tokens
};

/// The position of a log of which the journal has nothing, not even its beginning.
inline constexpr EventLog::Position kNothingWritten{0, 1};

/// The changes of one job since it was last written.
struct JobChange {
  std::uint64_t record = 0;
  bool dropped = false;  // remove the record; the other members are ignored
  bool moved = false;    // the attempt, the spans or the head have changed
  bool trims = false;    // remove the tokens of past attempts and up to `trimmed`
  std::uint64_t attempt = 1;
  std::uint64_t trimmed = 0;
  JobSpans spans;
  TokenRun tokens;
  AnswerHead head;
  std::string retry_members;  // of the attempt; a JSON object or empty
  bool whole = false;         // JobOptions::whole
  std::optional<Terminal> terminal;
  std::uint64_t skipped_ids = 0;  // ids skipped before the terminal event's

  // --- for a journal that other processes read, see JobJournal::is_replicated; else unset
  std::uint64_t job = 0;  // its handle
  std::string job_id;
  EventLog::Position written;  // what the journal has ends before it; may be kNothingWritten
  std::uint64_t next_seq = 1;  // after the last entry of the attempt
  Nanos ended_at = kNever;
  Nanos retention = kNever;  // from the end; kNever: unlimited
  JobEnding ending;          // with `terminal`
  std::string settlement;    // with `terminal`: of JobHub::settle
};

/// What has become of the changes of one job.
struct JobOutcome {
  enum class Kind : std::uint8_t {
    kWritten,  ///< Committed.
    kFailed,   ///< To be given again after a delay.
    kMoved,    ///< To be given again at once: the journal has what comes before `next`.
    kFenced,   ///< Another process owns the job.
  };
  std::uint64_t record = 0;
  Kind kind = Kind::kWritten;
  EventLog::Position next = {};  // of kMoved
};

/// A persistent store of job records. Called on the hub's executor.
class JobJournal {
 public:
  virtual ~JobJournal() = default;
  /// Commits the changes, and reports the outcome by `JobHub::recorded` with this number, from a
  /// later command: the hub must not be called from here. One batch is in flight at a time.
  virtual void on_changes(std::uint64_t batch, std::vector<JobChange> changes) = 0;
  /// Whether other processes read the records: changes then have all their members. A constant.
  [[nodiscard]] virtual bool is_replicated() const { return false; }
};

/// An ending that another process has written, as its replicas show it.
struct ReplicaEnding {
  Terminal terminal;
  JobSpans spans;
  AnswerHead head;
  std::uint64_t prompt_tokens = 0;  // where the terminal has no usage
  std::uint64_t skipped_ids = 0;
  std::string type = {};  // of the SSE event
  std::string data = {};  // of the SSE event
};

/// A job as restored from the journal.
struct RestoredJob {
  std::uint64_t attempt = 1;
  TokenRun tokens;
  AnswerHead head = {};
  std::string retry_members = {};
  JobSpans spans;
  std::optional<Terminal> terminal;
  std::uint64_t skipped_ids = 0;
  Nanos age = 0;             // since its creation
  Nanos retention_left = 0;  // of a job that has ended
};

}  // namespace sluice
