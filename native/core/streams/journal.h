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
};

/// A persistent store of job records. Called on the hub's executor.
class JobJournal {
 public:
  virtual ~JobJournal() = default;
  /// Commits all changes or none, and reports that by `JobHub::recorded` with this number, from a
  /// later command: the hub must not be called from here. One batch is in flight at a time.
  virtual void on_changes(std::uint64_t batch, std::vector<JobChange> changes) = 0;
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
