#include "core/faces/response_items.h"

#include "core/base/json_writer.h"
#include "core/faces/frame_writer.h"
#include "core/faces/response_object.h"

namespace sluice {

namespace {

using EventKind = EventLog::EventKind;

// The next entry from the seq `from` on that belongs to an item; kNone at `until`.
EventLog::Event next_entry(const EventLog& log, EntrySpan span) {
  for (std::uint64_t seq = span.from; seq < span.until; ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    if (event.kind == EventKind::kEntry && item_type(event.entry)) return event;
  }
  return {};
}

bool continues(const EventLog::Event& first, const EventLog::Event& next, bool same_part) {
  if (next.entry == EntryKind::kToolCall) return false;
  if (same_part && first.entry != next.entry) return false;
  return item_type(first.entry) == item_type(next.entry);
}

// The first item in the span, or its first part; of no length if there is none.
EntrySpan first_run(const EventLog& log, EntrySpan span, bool same_part) {
  const EventLog::Event first = next_entry(log, span);
  if (first.kind == EventKind::kNone) return {span.until, span.until};
  std::uint64_t until = first.id.seq + 1;
  for (;;) {
    const EventLog::Event next = next_entry(log, {until, span.until});
    if (next.kind == EventKind::kNone) return {first.id.seq, span.until};
    if (!continues(first, next, same_part)) return {first.id.seq, next.id.seq};
    until = next.id.seq + 1;
  }
}

}  // namespace

std::optional<ItemType> item_type(EntryKind kind) {
  switch (kind) {
    case EntryKind::kText:
    case EntryKind::kRefusal:
      return ItemType::kMessage;
    case EntryKind::kReasoning:
      return ItemType::kReasoning;
    case EntryKind::kToolCall:
    case EntryKind::kToolArguments:
      return ItemType::kCall;
    case EntryKind::kExtra:
      return std::nullopt;
  }
  return std::nullopt;
}

void ResponseItems::append_id(std::string& out, ItemType type, std::uint64_t index) const {
  constexpr std::string_view kPrefixes[] = {"msg_", "rs_", "fc_"};
  out.append(kPrefixes[static_cast<std::size_t>(type)]).append(tail_).push_back('_');
  append_json_number(out, index);
}

void ResponseItems::append_item(std::string& out, const EventLog& log, EntrySpan span,
                                std::uint64_t index, std::string_view status) const {
  const EventLog::Event first = next_entry(log, span);
  const std::optional<ItemType> type = item_type(first.entry);
  if (first.kind == EventKind::kNone || !type) return;
  out.append("{\"id\":\"");
  append_id(out, *type, index);
  switch (*type) {
    case ItemType::kMessage:
      out.append("\",\"type\":\"message\",\"status\":\"").append(status);
      out.append("\",\"role\":\"assistant\",\"content\":[");
      append_parts(out, log, span);
      break;
    case ItemType::kReasoning:
      out.append("\",\"type\":\"reasoning\",\"status\":\"").append(status);
      out.append(summary_ ? "\",\"summary\":[" : "\",\"summary\":[],\"content\":[");
      append_parts(out, log, span);
      break;
    case ItemType::kCall:
      out.append("\",\"type\":\"function_call\",\"status\":\"").append(status);
      out.append("\",\"call_id\":");
      append_json_string(out, first.text);
      append_text_member(out, "name", first.aux);
      out.append(",\"arguments\":\"");
      append_entries(out, log, EntryKind::kToolArguments, span.from, span.until);
      out.append("\"}");
      return;
  }
  out.append("]}");
}

void ResponseItems::append_output(std::string& out, const EventLog& log, std::uint64_t until,
                                  std::string_view last_status) const {
  out.push_back('[');
  std::uint64_t index = 0;
  EntrySpan item = first_run(log, {log.trimmed() + 1, until}, false);
  while (item.from < item.until) {
    const EntrySpan next = first_run(log, {item.until, until}, false);
    const bool is_last = next.from >= next.until;
    if (index > 0) out.push_back(',');
    append_item(out, log, item, index++, is_last ? last_status : "completed");
    item = next;
  }
  out.push_back(']');
}

void ResponseItems::append_parts(std::string& out, const EventLog& log, EntrySpan span) const {
  EntrySpan part = first_run(log, span, true);
  while (part.from < part.until) {
    append_part(out, log, log.read({log.attempt(), part.from}).entry, part);
    part = first_run(log, {part.until, span.until}, true);
    if (part.from < part.until) out.push_back(',');
  }
}

void ResponseItems::append_part(std::string& out, const EventLog& log, EntryKind kind,
                                EntrySpan span) const {
  switch (kind) {
    case EntryKind::kRefusal:
      out.append("{\"type\":\"refusal\",\"refusal\":\"");
      break;
    case EntryKind::kReasoning:
      out.append(summary_ ? "{\"type\":\"summary_text\",\"text\":\""
                          : "{\"type\":\"reasoning_text\",\"text\":\"");
      break;
    default:
      out.append("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[");
      append_logprobs(out, log, span);
      out.append("],\"text\":\"");
      break;
  }
  append_entries(out, log, kind, span.from, span.until);
  out.append("\"}");
}

void ResponseItems::append_logprobs(std::string& out, const EventLog& log, EntrySpan span) {
  bool is_first = true;
  for (std::uint64_t seq = span.from; seq < span.until; ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    const bool has_logprobs =
        event.kind == EventKind::kEntry && event.entry == EntryKind::kText && !event.aux.empty();
    if (has_logprobs && append_response_logprobs(out, event.aux, is_first)) is_first = false;
  }
}

}  // namespace sluice
