// The append-only event log of one job.
#pragma once

#include <atomic>
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

/// The ending of a job. `kind` determines which fields apply.
struct Terminal {
  enum class Kind : std::uint8_t { kComplete, kError, kCancelled };
  Kind kind = Kind::kComplete;
  std::string reason;         // complete: stop, length; cancelled: client_request, ...
  std::string error_code;     // error
  std::string error_message;  // error
  std::string error_type;     // error
  std::optional<Usage> usage;
  std::string
      details;  // a JSON object; its members become part of the terminal event and the state
};

/// The status of a job that ended with `kind`.
std::string_view status_of(Terminal::Kind kind);

/// Bytes that several logs hold together. Any thread may read it.
using LogBytes = std::atomic<std::int64_t>;

/// The append-only event log of one job: tokens, the start of a new attempt, one terminal event.
///
/// The text lies in one growing arena; a token is the range between two offsets. Ids are
/// `<attempt>-<seq>`: within an attempt, 0 is the `job_retry` event (from the second attempt on),
/// 1..n are tokens, n + 1 is the terminal event (unless ids are skipped, see `skip_ids`). A log may
/// also hold events of other types, each with a JSON object as data; all statements about tokens
/// apply to those, too. Readers hold positions, not pointers, so replay and live reading are the
/// same operation.
///
/// When the log passes its byte cap, the oldest tokens are trimmed; `resolve` and `catch_up` report
/// a gap to a reader that still needed them. Logs with the same tokens may share the arena
/// (`take_tokens`) until one of them changes. Not thread-safe; lives on its job's executor.
class EventLog {
 public:
  /// The position of a reader: the event that it reads next.
  struct Position {
    std::uint64_t attempt = 1;
    std::uint64_t next_seq = 1;
  };

  /// The position for a client's cursor.
  struct Resolved {
    Position position;
    bool gap = false;  // events between the cursor and `position` are missing
  };

  enum class EventKind : std::uint8_t { kNone, kRetry, kToken, kTyped, kTerminal };

  struct Event {
    EventKind kind = EventKind::kNone;
    EventId id;
    std::string_view text = {};  // of a token, or the data of kTyped; valid until the log changes
    std::string_view type = {};  // of kTyped; valid until the log changes
  };

  /// @param bytes_max cap on text plus offsets, at least one token is always kept.
  /// @param total counts what this log holds, once for all logs that share it; outlives them
  explicit EventLog(std::size_t bytes_max, LogBytes* total = nullptr)
      : bytes_max_(bytes_max), arena_(std::make_shared<Arena>(total)) {}

  /// Appends a token. Returns false, and does nothing, once the log has ended.
  bool append(std::string_view text);

  /// Appends an event of the given type; `data` is a JSON object. Returns false, and does
  /// nothing, once the log has ended, or when the log has had 255 types already.
  bool append_typed(std::string_view type, std::string_view data);

  /// Replaces the tokens of this attempt by those of `from`'s, trimmed ones counted; attempt and
  /// ending stay. Constant time: the arena is shared until either log changes.
  void take_tokens(const EventLog& from) { arena_ = from.arena_; }

  /// Starts the next attempt and discards the text. False once the log has ended.
  bool begin_attempt();

  /// Starts the next attempt of a log that has ended, and discards text and ending. False, with no
  /// effect, while it has not ended.
  bool reopen();

  /// Records the terminal event. The first call wins; later ones return false and change nothing.
  /// @param held readers do not get the event before `publish_end`
  bool end(Terminal terminal, bool held = false);
  void publish_end() { held_ = false; }

  [[nodiscard]] bool ended() const { return terminal_.has_value(); }
  /// Whether readers can read the terminal event.
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

  /// Turns a client's cursor (the last id it received; empty: none) into a position. A cursor that
  /// does not parse, lies beyond the log, or points before the retained events gives the start and
  /// a gap.
  [[nodiscard]] Resolved resolve(std::string_view cursor) const;

  /// Appends the retained tokens of the current attempt from `seq` on to `text`, and the offset of
  /// the end of each in `text` to `ends`. Returns the seq of the first.
  std::uint64_t copy_from(std::uint64_t seq, std::string& text,
                          std::vector<std::uint32_t>& ends) const;

  /// Fills a new log with the tokens of an attempt from `first_seq` on, as `copy_from` gave them.
  void restore(std::uint64_t attempt, std::uint64_t first_seq, std::string text,
               std::vector<std::uint32_t> ends);

  /// Reserves ids for tokens that this log has lost but readers may have received. The id of the
  /// terminal event is larger by `count`; a cursor in between lies beyond the log.
  void skip_ids(std::uint64_t count) { skipped_ = count; }
  [[nodiscard]] std::uint64_t skipped_ids() const { return skipped_; }

  /// The position for a reader after a new attempt or trimming; `gap` when it has missed events.
  [[nodiscard]] Resolved catch_up(Position position) const;

  /// The event at a position that `resolve` or `catch_up` gave; kNone when there is none yet.
  [[nodiscard]] Event read(Position position) const;

  /// Whether no event follows at `position`, yet or ever.
  [[nodiscard]] bool is_latest(Position position) const {
    return position.attempt == attempt_ && position.next_seq > latest().seq;
  }

  /// Whether a reader at `position` has read the terminal event.
  [[nodiscard]] bool at_end(Position position) const;

  /// Bytes held, those included that are shared; for budgets and metrics.
  [[nodiscard]] std::size_t memory_bytes() const { return arena_->bytes(); }

 private:
  /// The tokens of one attempt.
  struct Arena {
    explicit Arena(LogBytes* sum) : total(sum) {}
    Arena(const Arena& other);
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    [[nodiscard]] std::size_t bytes() const {
      return text.capacity() + ends.capacity() * sizeof(ends[0]) + types.capacity();
    }
    /// Brings `total` up to date; after each change.
    void count() {
      const std::size_t now = bytes();
      if (now == counted) return;
      if (total != nullptr) {
        total->fetch_add(static_cast<std::int64_t>(now) - static_cast<std::int64_t>(counted),
                         std::memory_order_relaxed);
      }
      counted = now;
    }

    LogBytes* total;
    std::size_t counted = 0;  // what `total` has of it
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
  std::shared_ptr<Arena> arena_;  // copied before a change while shared
  std::optional<Terminal> terminal_;
  std::uint64_t skipped_ = 0;
  bool held_ = false;  // the terminal event is not published
};

}  // namespace sluice
