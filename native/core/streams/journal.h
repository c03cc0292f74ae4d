// What a hub has written down of its jobs, and what it makes of it in another process.
//
// Plain values; the journal is called on the hub's executor alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/event_log.h"

namespace sluice {

/// Tokens of one attempt that follow each other.
struct TokenRun {
  std::uint64_t first_seq = 1;
  std::string text;
  std::vector<std::uint32_t> ends;  // of each token in `text`
};

/// When things happened, counted from the job's making; kNever: not yet.
struct JobSpans {
  Nanos started = kNever;
  Nanos first_token = kNever;
  Nanos ended = kNever;
};

/// What has become of one job since it was written last.
struct JobChange {
  std::uint64_t record = 0;
  bool dropped = false;  // nothing is to be left of it; the rest does not count
  bool moved = false;    // the attempt or the spans are others than those written
  bool trims = false;    // tokens of earlier attempts, and those up to `trimmed`, are gone
  std::uint64_t attempt = 1;
  std::uint64_t trimmed = 0;
  JobSpans spans;
  TokenRun tokens;
  std::optional<Terminal> terminal;
  std::uint64_t skipped_ids = 0;  // before the terminal event's
};

/// Where jobs are written down.
class JobJournal {
 public:
  virtual ~JobJournal() = default;
  /// All of it or nothing, and then `JobHub::recorded` with this number, from a later command: the
  /// hub must not be called from here. One batch is under way at a time.
  virtual void on_changes(std::uint64_t batch, std::vector<JobChange> changes) = 0;
};

/// A job as its journal has it.
struct RestoredJob {
  std::uint64_t attempt = 1;
  TokenRun tokens;
  JobSpans spans;
  std::optional<Terminal> terminal;
  std::uint64_t skipped_ids = 0;
  Nanos age = 0;             // since it was made
  Nanos retention_left = 0;  // of one that has ended
};

}  // namespace sluice
