#include "core/faces/frame_writer.h"

namespace sluice {

void append_text_member(std::string& out, std::string_view name, std::string_view value) {
  out.append(",\"").append(name).append("\":");
  append_json_string(out, value);
}

void append_text_or_null(std::string& out, std::string_view value) {
  if (value.empty()) {
    out.append("null");
  } else {
    append_json_string(out, value);
  }
}

void append_entries(std::string& out, const EventLog& log, EntryKind kind, std::uint64_t from,
                    std::uint64_t until) {
  for (std::uint64_t seq = from; seq < until; ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    const bool wanted = event.kind == EventLog::EventKind::kEntry && event.entry == kind;
    if (wanted) append_json_escaped(out, event.text);
  }
}

std::string cancelled_message(std::string_view reason) {
  std::string message = "The job was cancelled";
  if (!reason.empty()) message.append(": ").append(reason);
  return message.append(".");
}

}  // namespace sluice
