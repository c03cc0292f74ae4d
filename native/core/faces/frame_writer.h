// The envelope of a face's frames.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/json_writer.h"
#include "core/streams/event_log.h"

namespace sluice {

/// Counts the frames of a stream, and leaves out the first `after` of them.
///
/// A face calls `next` for each frame, and writes it only on true.
class FrameCounter {
 public:
  explicit FrameCounter(std::uint64_t after) : after_(after) {}

  /// Counts a frame. Returns false for a frame that must be left out.
  bool next() { return ++count_ > after_; }
  /// Frames counted; the ordinal of the latest one, from 1.
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  std::uint64_t after_;
  std::uint64_t count_ = 0;
};

/// The end of a frame with a JSON object as data, from the object's brace on.
inline constexpr std::string_view kObjectEnd = "}\n\n";

/// The data that ends a stream of OpenAI or the AI SDK, and its frame.
inline constexpr std::string_view kDone = "data: [DONE]\n\n";

/// Appends the field `id`.
inline void append_frame_id(std::string& out, std::uint64_t id) {
  out.append("id: ");
  append_json_number(out, id);
  out.push_back('\n');
}

/// Appends a JSON member with a string for its value, after a comma.
void append_text_member(std::string& out, std::string_view name, std::string_view value);

/// Appends a JSON string, or null for an empty one.
void append_text_or_null(std::string& out, std::string_view value);

/// Appends a string of JSON that is the concatenation of the entries of a kind from the seq `from`
/// up to `until`, without its quotes, in the log's current attempt. Adjacent entries of one kind
/// form a string; others between them are left out.
void append_entries(std::string& out, const EventLog& log, EntryKind kind, std::uint64_t from,
                    std::uint64_t until);

/// The message of a cancelled job's ending.
std::string cancelled_message(std::string_view reason);

}  // namespace sluice
