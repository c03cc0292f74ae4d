// The append-only event log of one job.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/sse/event_id.h"

namespace sluice {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  bool estimated = false;  ///< At least one of them is not the upstream's own.
  /// The whole usage object as one line of JSON, complete: it has the two counts, `total_tokens`,
  /// and `estimated` where it applies. Empty: made from the counts.
  std::string raw = {};
};

/// The kind of an entry of a log.
enum class EntryKind : std::uint8_t {
  kText,
  kReasoning,
  kRefusal,
  kToolCall,       ///< Opens a tool call.
  kToolArguments,  ///< A piece of the arguments of the latest call.
  kExtra,          ///< Members of a delta that have no kind of their own.
};

/// An entry, as a producer appends it. Views are valid during the call only.
struct Entry {
  EntryKind kind = EntryKind::kText;
  /// kToolCall: the call's id. kExtra: a JSON object.
  std::string_view text = {};
  /// kText: its logprobs as JSON, empty for none. kToolCall: the name of the function.
  std::string_view aux = {};
};

/// Facts about an answer as a whole, from the upstream. Empty: unknown.
struct AnswerHead {
  std::string model = {};
  std::string system_fingerprint = {};
  std::string service_tier = {};

  [[nodiscard]] bool empty() const {
    return model.empty() && system_fingerprint.empty() && service_tier.empty();
  }
  friend bool operator==(const AnswerHead&, const AnswerHead&) = default;
};

/// Consecutive entries of one attempt, as values.
struct TokenRun {
  std::uint64_t first_seq = 1;
  std::string text = {};
  std::vector<std::uint32_t> ends = {};  ///< Of each entry in `text`.
  /// Of each entry its EntryKind, with `kHasAux` where it has aux data; empty: all are plain text.
  std::string kinds = {};
  static constexpr char kHasAux = 8;
  /// An event of a type of its own, in place of an EntryKind: its aux data is the type.
  static constexpr char kTyped = 6;
  std::string aux = {};                      ///< The aux data, end to end.
  std::vector<std::uint32_t> aux_ends = {};  ///< Of each entry with aux data, in `aux`.
  std::uint32_t calls_before = 0;            ///< Tool calls of this attempt before the run.
};

/// The ending of a job. `kind` determines which fields apply.
struct Terminal {
  enum class Kind : std::uint8_t { kComplete, kError, kCancelled };
  Kind kind = Kind::kComplete;
  std::string reason;         // complete: stop, length, tool_calls, content_filter; cancelled: ...
  std::string raw_reason;     // complete: the upstream's own finish reason; empty: unknown
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

/// The append-only event log of one job: entries, the start of a new attempt, one terminal event.
///
/// The text lies in one growing arena; an entry is the range between two offsets. Ids are
/// `<attempt>-<seq>`: within an attempt, 0 is the `job_retry` event (from the second attempt on),
/// 1..n are entries, n + 1 is the terminal event (unless ids are skipped, see `skip_ids`). A log
/// may also hold events of other types, each with a JSON object as data; all statements about
/// entries apply to those, too. Readers hold positions, not pointers, so replay and live reading
/// are the same operation.
///
/// Entries of one tool call are adjacent: the producer sees to that. Calls count 0, 1, 2, ... in
/// the order of their first entries. A log of plain text keeps no data about kinds.
///
/// When the log passes its byte cap, the oldest entries are trimmed; `resolve` and `catch_up`
/// report a gap to a reader that still needed them. Logs with the same entries may share the arena
/// (`take_tokens`) until one of them changes. Not thread-safe; lives on its job's executor.
class EventLog {
 public:
  /// The position of a reader: the event that it reads next.
  struct Position {
    std::uint64_t attempt = 1;
    std::uint64_t next_seq = 1;
    friend bool operator==(const Position&, const Position&) = default;
  };

  /// The position for a client's cursor.
  struct Resolved {
    Position position;
    bool gap = false;  // events between the cursor and `position` are missing
  };

  enum class EventKind : std::uint8_t { kNone, kRetry, kEntry, kTyped, kTerminal };

  /// An event as read; views are valid until the log changes.
  struct Event {
    EventKind kind = EventKind::kNone;
    EventId id;
    EntryKind entry = EntryKind::kText;  // of kEntry
    std::string_view text = {};          // of kEntry, see Entry; of kTyped: its data
    std::string_view aux = {};           // of kEntry, see Entry
    std::uint32_t call = 0;              // of kToolCall and kToolArguments: the call's index
    std::string_view type = {};          // of kTyped
  };

  /// The types of kTyped that a log may have.
  static constexpr std::size_t kTypesMax = 128;

  /// @param bytes_max cap on `retained_bytes`; at least one entry is always kept.
  /// @param total counts what this log holds, once for all logs that share it; outlives them
  explicit EventLog(std::size_t bytes_max, LogBytes* total = nullptr)
      : bytes_max_(bytes_max), arena_(std::make_shared<Arena>(total)) {}

  /// Appends an entry. Line breaks between the tokens of its JSON become spaces. Returns false, and
  /// does nothing, once the log has ended.
  bool append(const Entry& entry);
  /// Appends text.
  bool append(std::string_view text) { return append(Entry{.text = text}); }

  /// Appends an event of the given type; `data` is a JSON object. Returns false, and does
  /// nothing, once the log has ended, or when the log has had `kTypesMax` types already. Readers
  /// pass over events of the empty type, which only take up an id.
  bool append_typed(std::string_view type, std::string_view data);

  /// Sets the head of this attempt's answer. Returns false, and does nothing, once the log has
  /// ended, has an entry in this attempt, or has a head.
  bool set_head(AnswerHead head) {
    return share_head(std::make_shared<const AnswerHead>(std::move(head)));
  }
  /// Likewise, with a head that other logs have, too.
  bool share_head(std::shared_ptr<const AnswerHead> head);
  /// Sets the head at any time, in place of another.
  void replace_head(AnswerHead head);
  [[nodiscard]] bool has_head() const { return head_ != nullptr; }
  /// All members are empty while there is none.
  [[nodiscard]] const AnswerHead& head() const;

  /// Replaces the entries and the head of this attempt by those of `from`'s, trimmed ones counted;
  /// attempt and ending stay. Constant time: the arena is shared until either log changes.
  void take_tokens(const EventLog& from) {
    arena_ = from.arena_;
    head_ = from.head_;
  }

  /// Starts the next attempt and discards the text. False once the log has ended.
  bool begin_attempt() { return begin_attempt(attempt_ + 1); }
  /// Starts a later attempt. False, with no effect, for one that is not later.
  bool begin_attempt(std::uint64_t attempt);

  /// Moves on to the given seq, which is not before the next entry's: the entries up to it are
  /// missing. They count as trimmed, and so do those before them. False once the log has ended.
  bool skip_to(std::uint64_t seq);
  /// Of a log that has skipped entries: it had this many tool calls before those that it has.
  /// Ignored once it has one.
  void set_calls_before(std::uint32_t calls);

  /// Starts the next attempt of a log that has ended, and discards text and ending. False, with no
  /// effect, while it has not ended.
  bool reopen();

  /// Records the terminal event. The first call wins; later ones return false and change nothing.
  /// @param held readers do not get the event before `publish_end`
  bool end(Terminal terminal, bool held = false);
  void publish_end() { held_ = false; }

  [[nodiscard]] bool ended() const { return terminal_ != nullptr; }
  /// Whether readers can read the terminal event.
  [[nodiscard]] bool end_published() const { return ended() && !held_; }
  /// Only when `ended()`.
  [[nodiscard]] const Terminal& terminal() const { return *terminal_; }
  /// The id of the terminal event, were it appended now.
  [[nodiscard]] EventId terminal_id() const { return {attempt_, terminal_seq()}; }

  [[nodiscard]] std::uint64_t attempt() const { return attempt_; }
  /// Entries of this attempt, trimmed ones included.
  [[nodiscard]] std::uint64_t entry_count() const {
    return arena_->trimmed + arena_->ends.size() - arena_->head;
  }
  /// Entries of this attempt that the byte cap has dropped.
  [[nodiscard]] std::uint64_t trimmed() const { return arena_->trimmed; }
  /// Whether all retained entries are plain text: none has another kind or aux data.
  [[nodiscard]] bool is_plain() const { return arena_->is_plain(); }
  /// Appends the retained text of this attempt's entries of a kind.
  void append_text(std::string& out, EntryKind kind = EntryKind::kText) const;
  /// Size of the retained text of the entries of kind kText.
  [[nodiscard]] std::size_t text_bytes() const;

  /// The earliest event that can still be read; `<attempt>-0` while there is none.
  [[nodiscard]] EventId earliest() const;
  /// The latest event; `<attempt>-0` while this attempt has none.
  [[nodiscard]] EventId latest() const;

  /// Turns a client's cursor (the last id it received; empty: none) into a position. A cursor that
  /// does not parse, lies beyond the log, or points before the retained events gives the start and
  /// a gap.
  [[nodiscard]] Resolved resolve(std::string_view cursor) const;

  /// The retained entries of the current attempt from `seq` on, events of other types included.
  /// Those of the empty type become extras.
  [[nodiscard]] TokenRun copy_from(std::uint64_t seq) const;

  /// Fills a new log with the entries of an attempt, as `copy_from` gave them, and its head.
  void restore(std::uint64_t attempt, TokenRun run, AnswerHead head = {});

  /// Whether a client's cursor may be one of a log that has more events than this one: it lies
  /// beyond the log, in this attempt or the next.
  [[nodiscard]] bool is_ahead(std::string_view cursor) const;

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
  /// Bytes of the retained entries: text, aux data and offsets.
  [[nodiscard]] std::size_t retained_bytes() const { return arena_->retained(); }

 private:
  /// The end in `Arena::aux` of the aux data of an entry.
  struct AuxEnd {
    std::uint32_t index;  // of the entry, in `Arena::ends`
    std::uint32_t offset;
  };

  /// What the entries of an attempt have beside plain text.
  struct Extras {
    std::vector<std::uint8_t> marks;   // of each entry, see event_log.cc; empty: all are plain text
    std::vector<std::string> names;    // types of typed events
    std::string aux;                   // aux data of entries, end to end
    std::vector<AuxEnd> aux_ends;      // of the entries with aux data
    std::vector<std::uint32_t> calls;  // index in Arena::ends of each kToolCall
    std::size_t aux_head = 0;          // the first retained entry's index in aux_ends
    std::size_t calls_head = 0;        // the first retained call's index in calls
    std::uint32_t calls_before = 0;    // calls that `calls` no longer has

    void pass(std::uint32_t entry);
    void erase_front(std::uint32_t dead_entries, std::uint32_t dead_aux);
  };

  /// The entries of one attempt.
  struct Arena {
    explicit Arena(LogBytes* sum) : total(sum) {}
    Arena(const Arena& other);
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    [[nodiscard]] std::size_t bytes() const;
    [[nodiscard]] std::size_t retained() const;
    void trim(std::size_t bytes_max);
    void reserve_text(std::size_t bytes);
    std::optional<std::uint8_t> mark_of(std::string_view type);
    [[nodiscard]] std::string_view text_at(std::size_t index) const;
    [[nodiscard]] std::string_view aux_at(std::size_t index) const;
    [[nodiscard]] std::uint32_t call_at(std::size_t index) const;
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
    std::vector<std::uint32_t> ends;  // offset in text after each entry
    std::size_t head = 0;             // the first retained entry's index in ends
    std::uint64_t trimmed = 0;        // entries dropped by the byte cap
    [[nodiscard]] std::size_t head_offset() const { return head == 0 ? 0 : ends[head - 1]; }
    [[nodiscard]] std::size_t aux_offset() const {
      const Extras& all = extras();
      return all.aux_head == 0 ? 0 : all.aux_ends[all.aux_head - 1].offset;
    }
    /// Whether all entries are plain text.
    [[nodiscard]] bool is_plain() const { return extras_ == nullptr || extras_->marks.empty(); }
    /// Empty for a log of plain text.
    [[nodiscard]] const Extras& extras() const;
    [[nodiscard]] Extras& own_extras();
    void shrink_extras();

   private:
    void erase_front();

    std::unique_ptr<Extras> extras_;
  };

  [[nodiscard]] Position start() const;
  void own_arena();
  void close_entry(std::uint8_t mark);
  void restore_extras(const TokenRun& run);
  [[nodiscard]] std::uint64_t terminal_seq() const { return entry_count() + 1 + skipped_; }

  std::size_t bytes_max_;
  std::uint64_t attempt_ = 1;
  std::shared_ptr<Arena> arena_;  // copied before a change while shared
  std::shared_ptr<const AnswerHead> head_;
  std::unique_ptr<const Terminal> terminal_;
  std::uint64_t skipped_ = 0;
  bool held_ = false;  // the terminal event is not published
};

}  // namespace sluice
