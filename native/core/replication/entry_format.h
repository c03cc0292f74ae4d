// The entries of a job's log in Redis: a stream whose ids are the ids of events.
//
// Id `<attempt>-<seq>`, the id of the last event of the entry. Fields:
//
//   t          texts of events, end to end
//   e          their byte lengths, `4,5,3`; absent: `t` is one event
//   k          their kinds, `t,r,c0:11,g0`; absent: all are plain text. A letter (t text, r
//              reasoning, f refusal, c tool call, g its arguments, x extra, y of a type of its
//              own), of c and g the index of the call, and after a colon the byte length of its
//              aux data: of y the type, whose text is a JSON object
//   a          aux data, end to end
//   h          the head of the answer as a JSON object; with the first event of an attempt
//   s          times as a JSON object, nanoseconds since the creation: started, first_token
//   r          an attempt begins, id `<attempt>-0`: members of its job_retry, a JSON object
//   y, d       one event of its own type, and its data, a JSON object; read, no longer written
//   x          the ending: `{"type":TYPE,"data":DATA}`, DATA the bytes of the SSE event
//   f          with it: `{"state":STATE,"restore":{...}}`. STATE is the state of the job without
//              its text, as a hub emits it; a replica makes the same ending of `restore`
//
// Unknown fields are ignored. An entry without a known field keeps its ids, and so does an event of
// an unknown kind.
//
// A message on the channel of a log is an entry as a RESP array of its id and its fields. A message
// that is no entry, such as an empty one, says that there is something to read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/sse/event_id.h"
#include "core/streams/journal.h"

namespace sluice {

/// Names and values of an entry, alternating.
using EntryFields = std::vector<std::string>;

/// The same as views of foreign bytes.
using EntryViews = std::vector<std::string_view>;

/// The job that a log belongs to: the logs of choices are `<job>.<n>`.
inline std::string_view job_of(std::string_view log_id) {
  return log_id.substr(0, log_id.find('.'));
}

/// Splits the events of a run into entries. Views the run, which outlives it.
class EntryWriter {
 public:
  static constexpr std::size_t kEventsMax = 1024;  // of an entry
  static constexpr std::size_t kBytesMax = 64u << 10;

  explicit EntryWriter(const TokenRun& run) : run_(run), calls_(run.calls_before) {}

  /// Appends the fields of the next entry to `fields`.
  /// @returns the number of its last event; 0, with no effect, after the last entry
  std::uint64_t next(EntryFields& fields);

 private:
  void append_kinds(std::string& kinds, std::size_t from, std::size_t to);
  [[nodiscard]] std::size_t end_of_entry() const;

  const TokenRun& run_;
  std::size_t at_ = 0;      // index of the next event
  std::size_t aux_at_ = 0;  // index of its aux data
  std::uint32_t calls_;     // opened before it
};

/// A JSON object of the field s, and the value of x.
std::string spans_json(const JobSpans& spans);
std::string ending_json(const JobEnding& ending);
/// The value of f.
std::string final_json(const JobEnding& ending, const Terminal& terminal, const JobSpans& spans,
                       const AnswerHead& head, std::uint64_t skipped_ids);

/// One event of an entry.
struct ReplicaEvent {
  /// nullopt: of an unknown kind.
  std::optional<EntryKind> kind = EntryKind::kText;
  std::string_view text = {};
  std::string_view aux = {};
  std::uint32_t call = 0;      // of kToolCall and kToolArguments
  std::string_view type = {};  // of an event of a type of its own; `text` is its data
};

/// An entry as read from foreign bytes, which are checked: texts are UTF-8 and raw JSON is JSON on
/// one line, lengths fit, ids are positive. Views the bytes.
struct LogEntry {
  enum class Kind : std::uint8_t {
    kEvents,   ///< `events`; `id` is that of the last.
    kBegin,    ///< `members`
    kTyped,    ///< `type` and `data`
    kEnding,   ///< `ending`
    kUnknown,  ///< No known field.
  };
  Kind kind = Kind::kUnknown;
  EventId id;
  std::vector<ReplicaEvent> events;
  std::string_view members = {};  ///< A JSON object, or empty for `{}`.
  std::string_view type = {};
  std::string_view data = {};
  AnswerHead head;
  std::optional<JobSpans> spans;
  std::optional<ReplicaEnding> ending;

  /// Reads an entry; the object may be used again. False for a malformed one.
  bool read(std::string_view id_text, const EntryViews& fields);

 private:
  void reset();
  bool read_events(std::string_view text, std::optional<std::string_view> lengths,
                   std::optional<std::string_view> kinds, std::string_view aux);
};

std::optional<AnswerHead> parse_head(std::string_view json);
std::optional<JobSpans> parse_spans(std::string_view json);
/// An ending from the values of x and f; nullopt for malformed ones.
std::optional<ReplicaEnding> parse_ending(std::string_view x, std::string_view f);

/// An entry as one message.
std::string pack_message(std::string_view id, const EntryFields& fields);
/// The id and the fields of a message; false if it is none.
bool unpack_message(std::string_view message, std::string_view& id, EntryViews& fields);

}  // namespace sluice
