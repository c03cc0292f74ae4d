// The log of one job: the one source from which every face of its stream is made.
//
// Append-only: tokens, the start of a new attempt, one terminal event. Text lies in one growing
// arena, a token is the stretch between two offsets. Ids are `<attempt>-<seq>`: within an attempt,
// 0 is the `job_retry` event (from the second attempt on), 1..n are tokens, n + 1 is the terminal
// event (but for a log that was cut off, see `skip_ids`). Beside tokens, or in place of them, a log
// may hold events of other types, each with its data as a JSON object; whatever is said of tokens
// below holds for those too. Positions, not pointers, say where a reader is, so a reader that
// attaches and one that has been there for long take the same path: replay turns into live with no
// seam.
//
// The oldest tokens go when the log passes its byte cap; a reader that still needed them is told
// by `resolve` (and must announce a gap). Not thread-safe; lives on its job's executor.
//
// Logs that hold the same tokens may hold them together (`take_tokens`): the arena is shared until
// one of them goes on by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/sse/event_id.h"

namespace sluice {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  bool estimated = false;  ///< At least one of them is not the upstream's own.
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
  std::string details;  // a JSON object whose members the terminal event and the state have too
};

/// The status of a job that ended so.
std::string_view status_of(Terminal::Kind kind);

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

  enum class EventKind : std::uint8_t { kNone, kRetry, kToken, kTyped, kTerminal };

  struct Event {
    EventKind kind = EventKind::kNone;
    EventId id;
    std::string_view text = {};  // of a token; the data of a kTyped; valid until the log changes
    std::string_view type = {};  // of a kTyped; valid until the log changes
  };

  /// @param bytes_max cap on text plus offsets, at least one token is always kept.
  explicit JobLog(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Appends a token. Returns false, and does nothing, once the log has ended.
  bool append(std::string_view text);

  /// Appends an event of a type of its own; `data` is a JSON object. Returns false, and does
  /// nothing, once the log has ended, or when the log has had 255 types already.
  bool append_typed(std::string_view type, std::string_view data);

  /// The tokens of this attempt become those of `from`'s, trimmed ones counted; ids, attempt and
  /// ending stay this log's own. Costs nothing: the arena is shared until either log changes.
  void take_tokens(const JobLog& from) { arena_ = from.arena_; }

  /// Starts the next attempt: the text so far is forgotten. False once the log has ended.
  bool begin_attempt();

  /// Starts the next attempt of a log that has ended: text and ending are forgotten. False, and
  /// nothing is done, while it has not ended.
  bool reopen();

  /// Records the terminal event. The first call wins; later ones return false and change nothing.
  /// @param held no reader is given the event before `publish_end`
  bool end(Terminal terminal, bool held = false);
  void publish_end() { held_ = false; }

  [[nodiscard]] bool ended() const { return terminal_.has_value(); }
  /// Whether readers may have the terminal event.
  [[nodiscard]] bool end_published() const { return ended() && !held_; }
  /// Only when `ended()`.
  [[nodiscard]] const Terminal& terminal() const { return *terminal_; }

  [[nodiscard]] std::uint64_t attempt() const { return attempt_; }
  /// Tokens of this attempt, trimmed ones included.
  [[nodiscard]] std::uint64_t token_count() const {
    return arena_->trimmed + arena_->ends.size() - arena_->head;
  }
  /// Tokens of this attempt that the byte cap has dropped.
  [[nodiscard]] std::uint64_t trimmed() const { return arena_->trimmed; }
  /// The retained text of this attempt; valid until the log changes.
  [[nodiscard]] std::string_view text() const;

  /// The earliest event that can still be read; `<attempt>-0` while there is none.
  [[nodiscard]] EventId earliest() const;
  /// The latest event; `<attempt>-0` while this attempt has none.
  [[nodiscard]] EventId latest() const;

  /// Turns a client's cursor (the id it saw last; empty: none) into a position. A cursor that does
  /// not parse, lies beyond the log, or points before what is retained gives everything and a gap.
  [[nodiscard]] Resolved resolve(std::string_view cursor) const;

  /// The tokens of the current attempt from `seq` on, as far as they are retained: appends their
  /// text, and where each ends in what was appended. Returns the first one's seq.
  std::uint64_t copy_from(std::uint64_t seq, std::string& text,
                          std::vector<std::uint32_t>& ends) const;

  /// A new log becomes what another one was: tokens from `first_seq` on of an attempt, as
  /// `copy_from` gave them.
  void restore(std::uint64_t attempt, std::uint64_t first_seq, std::string text,
               std::vector<std::uint32_t> ends);

  /// Readers may have had tokens that this log has not: their ids are nobody else's. The terminal
  /// event's comes this many later; a cursor in between lies beyond the log.
  void skip_ids(std::uint64_t count) { skipped_ = count; }
  [[nodiscard]] std::uint64_t skipped_ids() const { return skipped_; }

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

  /// Bytes held, those included that are shared; for budgets and metrics.
  [[nodiscard]] std::size_t memory_bytes() const {
    return arena_->text.capacity() + arena_->ends.capacity() * sizeof(arena_->ends[0]) +
           arena_->types.capacity();
  }

 private:
  /// The tokens of one attempt.
  struct Arena {
    std::string text;
    std::vector<std::uint32_t> ends;  // offset in text after each token
    std::vector<std::uint8_t> types;  // of each token: 0, else a place in names; empty: all are 0
    std::vector<std::string> names;   // of types, from 1
    std::size_t head = 0;             // the first retained token's index in ends
    std::uint64_t trimmed = 0;        // tokens dropped by the byte cap
    [[nodiscard]] std::size_t head_offset() const { return head == 0 ? 0 : ends[head - 1]; }
  };

  [[nodiscard]] Position start() const;
  void own_arena();
  [[nodiscard]] std::uint64_t terminal_seq() const { return token_count() + 1 + skipped_; }
  void trim();

  std::size_t bytes_max_;
  std::uint64_t attempt_ = 1;
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();  // changed only while it is not shared
  std::optional<Terminal> terminal_;
  std::uint64_t skipped_ = 0;
  bool held_ = false;  // the terminal event is nobody's yet
};

}  // namespace sluice
