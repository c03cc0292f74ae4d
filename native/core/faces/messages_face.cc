#include "core/faces/messages_face.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/faces/json_cursor.h"
#include "core/streams/job.h"

namespace sluice {

using EventKind = EventLog::EventKind;

namespace {

// Stop reasons of this API, and the finish reason that the job has for each.
struct OwnReason {
  std::string_view name;
  std::string_view reason;
};
constexpr std::array kOwnReasons = {
    OwnReason{"stop_sequence", "stop"},
    OwnReason{"pause_turn", "stop"},
    OwnReason{"model_context_window_exceeded", "length"},
};

std::string_view stop_reason(const Terminal& terminal) {
  for (const auto& [name, reason] : kOwnReasons) {
    if (terminal.raw_reason == name && terminal.reason == reason) return name;
  }
  if (terminal.reason == "stop" && !json_member(terminal.details, "stop_sequence").empty()) {
    return "stop_sequence";
  }
  if (terminal.reason == "length") return "max_tokens";
  if (terminal.reason == "tool_calls") return "tool_use";
  if (terminal.reason == "content_filter") return "refusal";
  return "end_turn";
}

std::string_view error_type(const Terminal& terminal) {
  if (terminal.error_code == "overloaded") return "overloaded_error";
  if (terminal.error_code == "upstream_rate_limited") return "rate_limit_error";
  if (terminal.error_code == "upstream_bad_request") return "invalid_request_error";
  const bool is_late =
      terminal.error_code == "wall_time_exceeded" || terminal.error_code == "upstream_stalled";
  return is_late ? "timeout_error" : "api_error";
}

// The counts of tokens as Anthropic divides them: tokens read from a cache, or written to one, do
// not count as input tokens.
void append_divided_usage(std::string& out, const Usage& usage) {
  const std::uint64_t read =
      json_count(json_member(json_member(usage.raw, "prompt_tokens_details"), "cached_tokens"))
          .value_or(0);
  const std::uint64_t written =
      json_count(json_member(usage.raw, "cache_creation_input_tokens")).value_or(0);
  out.append("{\"input_tokens\":");
  append_json_number(out, usage.prompt_tokens - std::min(read + written, usage.prompt_tokens));
  if (written > 0) {
    out.append(",\"cache_creation_input_tokens\":");
    append_json_number(out, written);
  }
  if (read > 0) {
    out.append(",\"cache_read_input_tokens\":");
    append_json_number(out, read);
  }
  out.append(",\"output_tokens\":");
  append_json_number(out, usage.completion_tokens);
  out.push_back('}');
}

}  // namespace

MessagesFace::MessagesFace(FaceOptions options)
    : options_(std::move(options)), frames_(options_.after) {}

void MessagesFace::keep_alive(std::string& out) {
  out.append("event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

// --- the life of the message

void MessagesFace::write(std::string& out, std::uint32_t choice, const Job& job,
                         const EventLog::Event& event) {
  if (done_ || choice != 0) return;
  if (event.kind != EventKind::kEntry && event.kind != EventKind::kTerminal) return;
  if (!std::exchange(started_, true)) write_start(out, job);
  if (event.kind == EventKind::kEntry) {
    write_entry(out, event);
  } else {
    write_ending(out, job);
  }
}

void MessagesFace::write_start(std::string& out, const Job& job) {
  if (!begin(out, "message_start")) return;
  const std::string& model = job.log.head().model;
  out.append(",\"message\":{\"id\":");
  append_json_string(out, options_.id);
  out.append(",\"type\":\"message\",\"role\":\"assistant\"");
  append_text_member(out, "model", model.empty() ? options_.model : model);
  out.append(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
  const std::string_view further = json_members(options_.envelope);
  if (json_member(options_.envelope, "usage").empty()) {
    out.append(",\"usage\":{\"input_tokens\":");
    append_json_number(out, job.options.prompt_tokens);
    out.append(",\"output_tokens\":0}");
  }
  if (!further.empty()) {
    out.push_back(',');
    append_json_line(out, further);
  }
  out.push_back('}');
  out.append(kObjectEnd);
}

void MessagesFace::write_ending(std::string& out, const Job& job) {
  const Terminal& terminal = job.log.terminal();
  done_ = true;
  if (terminal.kind == Terminal::Kind::kComplete) {
    close_block(out);
    write_stop(out, job);
    return;
  }
  if (!begin(out, "error")) return;
  out.append(",\"error\":{\"type\":");
  if (terminal.kind == Terminal::Kind::kError) {
    append_json_string(out, error_type(terminal));
    append_text_member(out, "message", terminal.error_message);
  } else {
    out.append("\"api_error\"");
    append_text_member(out, "message", cancelled_message(terminal.reason));
  }
  out.push_back('}');
  out.append(kObjectEnd);
}

void MessagesFace::write_stop(std::string& out, const Job& job) {
  if (begin(out, "message_delta")) {
    out.append(",\"delta\":{\"stop_reason\":");
    append_json_string(out, stop_reason(job.log.terminal()));
    out.append(",\"stop_sequence\":");
    const std::string_view sequence = json_member(job.log.terminal().details, "stop_sequence");
    append_json_line(out, sequence.empty() ? "null" : sequence);
    out.append("},\"usage\":");
    append_divided_usage(out, job.usage());
    out.append(kObjectEnd);
  }
  if (begin(out, "message_stop")) out.append(kObjectEnd);
}

// --- blocks

void MessagesFace::write_entry(std::string& out, const EventLog::Event& event) {
  switch (event.entry) {
    case EntryKind::kExtra:
      write_extra(out, event.text);
      return;
    case EntryKind::kToolCall:
      close_block(out);
      open_block(out, event);
      return;
    case EntryKind::kToolArguments:
      if (block_ != EntryKind::kToolCall) return;
      break;
    case EntryKind::kText:
    case EntryKind::kReasoning:
    case EntryKind::kRefusal:
      if (block_ == event.entry) break;
      close_block(out);
      open_block(out, event);
      break;
  }
  if (!frames_.next()) return;
  out.append(delta_prefix_);
  append_json_string(out, event.text);
  out.append("}}\n\n");
}

// Members that an upstream of the same API sent besides texts and calls: the client needs them in
// the next turn.
void MessagesFace::write_extra(std::string& out, std::string_view extra) {
  const std::string_view signature = json_member(extra, "signature");
  if (signature.starts_with('"')) write_signature(out, signature);
  // The text of other thinking, and its signature, are entries.
  for (JsonCursor blocks(json_member(extra, "thinking_blocks")); blocks.next();) {
    const bool is_redacted = json_member(blocks.value(), "type") == "\"redacted_thinking\"";
    if (is_redacted) write_block(out, blocks.value());
  }
  for (JsonCursor blocks(json_member(extra, "content_blocks")); blocks.next();) {
    write_block(out, blocks.value());
  }
}

// A signature ends the thinking that it signs. The signature is written even where the thinking
// is withheld.
void MessagesFace::write_signature(std::string& out, std::string_view signature) {
  if (block_ != EntryKind::kReasoning) {
    close_block(out);
    EventLog::Event thinking;
    thinking.entry = EntryKind::kReasoning;
    open_block(out, thinking);
  }
  if (begin(out, "content_block_delta")) {
    out.append(",\"index\":");
    append_json_number(out, block_count_);
    out.append(",\"delta\":{\"type\":\"signature_delta\",\"signature\":");
    append_json_line(out, signature);
    out.push_back('}');
    out.append(kObjectEnd);
  }
  close_block(out);
}

void MessagesFace::write_block(std::string& out, std::string_view block) {
  close_block(out);
  block_ = EntryKind::kExtra;
  if (begin(out, "content_block_start")) {
    out.append(",\"index\":");
    append_json_number(out, block_count_);
    out.append(",\"content_block\":");
    append_json_line(out, block);
    out.append(kObjectEnd);
  }
  close_block(out);
}

void MessagesFace::open_block(std::string& out, const EventLog::Event& event) {
  block_ = event.entry;
  set_delta_prefix(event.entry);
  if (!begin(out, "content_block_start")) return;
  out.append(",\"index\":");
  append_json_number(out, block_count_);
  if (event.entry == EntryKind::kToolCall) {
    out.append(",\"content_block\":{\"type\":\"tool_use\"");
    append_text_member(out, "id", event.text);
    append_text_member(out, "name", event.aux);
    out.append(",\"input\":{}}");
  } else if (event.entry == EntryKind::kReasoning) {
    out.append(",\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
  } else {
    out.append(",\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
  }
  out.append(kObjectEnd);
}

void MessagesFace::set_delta_prefix(EntryKind kind) {
  delta_prefix_ = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":";
  append_json_number(delta_prefix_, block_count_);
  if (kind == EntryKind::kToolCall) {
    delta_prefix_.append(",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":");
  } else if (kind == EntryKind::kReasoning) {
    delta_prefix_.append(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":");
  } else {
    delta_prefix_.append(",\"delta\":{\"type\":\"text_delta\",\"text\":");
  }
}

void MessagesFace::close_block(std::string& out) {
  if (!block_) return;
  block_.reset();
  if (begin(out, "content_block_stop")) {
    out.append(",\"index\":");
    append_json_number(out, block_count_);
    out.append(kObjectEnd);
  }
  ++block_count_;
}

// --- the envelope

bool MessagesFace::begin(std::string& out, std::string_view type) {
  if (!frames_.next()) return false;
  out.append("event: ").append(type);
  out.append("\ndata: {\"type\":\"").append(type).push_back('"');
  return true;
}

}  // namespace sluice
