// The log of one job: the one source from which every face of its stream is made.
//
// Append-only: tokens, the start of a new attempt, one terminal event. Text lies in one growing
// arena, a token is the stretch between two offsets. Ids are `<attempt>-<seq>`: within an attempt,
// 0 is the `job_retry` event (from the second attempt on), 1..n are tokens, n + 1 is the terminal
// event. Positions, not pointers, say where a reader is, so a reader that attaches and one that
// has been there for long take the same path: replay turns into live with no seam.
//
// The oldest tokens go when the log passes its byte cap; a reader that still needed them is told
// by `resolve` (and must announce a gap). Not thread-safe; lives on its job's executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/event_id.h"

namespace sluice {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// How a job ended. Which fields count depends on `kind`.
struct Terminal {
  enum class Kind : std::uint8_t { kComplete, kError, kCancelled };
  Kind kind = Kind::kComplete;
  std::string reason;         // complete: stop, length; cancelled: client_request, ...
  std::string error_code;     // error
  std::string error_message;  // error
  std::string error_type;     // error
  std::optional<Usage> usage;
};

class JobLog {
 public:
  /// Where a reader is: the event it reads next.
  struct Position {
    std::uint64_t attempt = 1;
    std::uint64_t next_seq = 1;
  };

  /// What a client's cursor came to.
  struct Resolved {
    Position position;
    bool gap = false;  // the replay from `position` is not what the cursor asked for
  };

  enum class EventKind : std::uint8_t { kNone, kRetry, kToken, kTerminal };

  struct Event {
    EventKind kind = EventKind::kNone;
    EventId id;
    std::string_view text;  // of a token; valid until the log changes
  };

  /// @param bytes_max cap on text plus offsets, at least one token is always kept.
  explicit JobLog(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Appends a token. Returns false, and does nothing, once the log has ended.
  bool append(std::string_view text);

  /// Starts the next attempt: the text so far is forgotten. False once the log has ended.
  bool begin_attempt();

  /// Records the terminal event. The first call wins; later ones return false and change nothing.
  bool end(Terminal terminal);

  [[nodiscard]] bool ended() const { return terminal_.has_value(); }
  /// Only when `ended()`.
  [[nodiscard]] const Terminal& terminal() const { return *terminal_; }

  [[nodiscard]] std::uint64_t attempt() const { return attempt_; }
  /// Tokens of this attempt, trimmed ones included.
  [[nodiscard]] std::uint64_t token_count() const { return trimmed_ + ends_.size() - head_; }
  /// Tokens of this attempt that the byte cap has dropped.
  [[nodiscard]] std::uint64_t trimmed() const { return trimmed_; }
  /// The retained text of this attempt; valid until the log changes.
  [[nodiscard]] std::string_view text() const;

  /// The earliest event that can still be read; `<attempt>-0` while there is none.
  [[nodiscard]] EventId earliest() const;
  /// The latest event; `<attempt>-0` while this attempt has none.
  [[nodiscard]] EventId latest() const;

  /// Turns a client's cursor (the id it saw last; empty: none) into a position. A cursor that does
  /// not parse, lies beyond the log, or points before what is retained gives everything and a gap.
  [[nodiscard]] Resolved resolve(std::string_view cursor) const;

  /// The position after the reader has been overtaken by a new attempt or by trimming; `gap` when
  /// events were lost to it.
  [[nodiscard]] Resolved catch_up(Position position) const;

  /// The event at a position that `resolve` or `catch_up` gave; kNone when there is none yet.
  [[nodiscard]] Event read(Position position) const;

  /// Whether there is nothing to read at `position`, for now or for ever.
  [[nodiscard]] bool is_latest(Position position) const {
    return position.attempt == attempt_ && position.next_seq > latest().seq;
  }

  /// Whether a reader at `position` has had the terminal event.
  [[nodiscard]] bool at_end(Position position) const;

  /// Bytes held, for budgets and metrics.
  [[nodiscard]] std::size_t memory_bytes() const {
    return text_.capacity() + ends_.capacity() * sizeof(ends_[0]);
  }

 private:
  [[nodiscard]] Position start() const;
  [[nodiscard]] std::uint64_t terminal_seq() const { return token_count() + 1; }
  [[nodiscard]] std::size_t head_offset() const { return head_ == 0 ? 0 : ends_[head_ - 1]; }
  void trim();

  std::size_t bytes_max_;
  std::uint64_t attempt_ = 1;
  std::uint64_t trimmed_ = 0;
  std::string text_;
  std::vector<std::uint32_t> ends_;  // offset in text_ after each token
  std::size_t head_ = 0;             // the first retained token's index in ends_
  std::optional<Terminal> terminal_;
};

}  // namespace sluice
