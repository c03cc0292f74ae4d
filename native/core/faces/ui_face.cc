#include "core/faces/ui_face.h"

#include <utility>

#include "core/faces/json_cursor.h"
#include "core/sse/encoder.h"
#include "core/streams/job.h"

namespace sluice {

using EventKind = EventLog::EventKind;

namespace {

constexpr std::string_view kNoJson = "The arguments of the tool call are not valid JSON.";

std::string_view finish_reason(std::string_view reason) {
  if (reason == "tool_calls") return "tool-calls";
  if (reason == "content_filter") return "content-filter";
  // The SDK refuses a message with a reason that it does not know.
  return reason == "stop" || reason == "length" ? reason : "other";
}

// The arguments of a tool call, whose entries are those from the seq `from` up to `until`.
std::string arguments_of(const EventLog& log, std::uint64_t from, std::uint64_t until) {
  std::string text;
  for (std::uint64_t seq = from; seq < until; ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    const bool is_arguments =
        event.kind == EventKind::kEntry && event.entry == EntryKind::kToolArguments;
    if (is_arguments) text.append(event.text);
  }
  return text;
}

}  // namespace

UiFace::UiFace(FaceOptions options) : options_(std::move(options)), frames_(options_.after) {}

void UiFace::keep_alive(std::string& out) {
  out.append(kSseKeepAlive);
}

// --- the life of the message

void UiFace::open(std::string& out) {
  if (frames_.next()) {
    out.append(options_.envelope.empty() ? "id: 1\n" : "id: 1.0\n");
    out.append("data: {\"type\":\"start\"");
    append_text_member(out, "messageId", options_.id);
    out.append(kObjectEnd);
  }
  out.append(options_.envelope);
  write_plain(out, "start-step");
}

void UiFace::write(std::string& out, std::uint32_t choice, const Job& job,
                   const EventLog::Event& event) {
  if (done_ || choice != 0) return;
  if (event.kind == EventKind::kEntry) write_entry(out, job.log, event);
  if (event.kind == EventKind::kTerminal) write_ending(out, job, event);
}

void UiFace::write_ending(std::string& out, const Job& job, const EventLog::Event& event) {
  const Terminal& terminal = job.log.terminal();
  const bool is_cut_off = terminal.kind != Terminal::Kind::kComplete;
  // A tool call that was cut off stays without input: a client may answer one in error by itself.
  if (is_cut_off && part_ == EntryKind::kToolCall) part_.reset();
  close_part(out, job.log, event.id.seq);
  switch (terminal.kind) {
    case Terminal::Kind::kComplete:
      write_plain(out, "finish-step");
      if (begin(out, "finish")) {
        append_text_member(out, "finishReason", finish_reason(terminal.reason));
        out.append(kObjectEnd);
      }
      break;
    case Terminal::Kind::kError:
      if (begin(out, "error")) {
        append_text_member(out, "errorText", terminal.error_message);
        out.append(kObjectEnd);
      }
      break;
    case Terminal::Kind::kCancelled:
      if (begin(out, "abort")) {
        append_text_member(out, "reason", terminal.reason);
        out.append(kObjectEnd);
      }
      break;
  }
  write_done(out);
}

// --- parts

void UiFace::write_entry(std::string& out, const EventLog& log, const EventLog::Event& event) {
  switch (event.entry) {
    case EntryKind::kExtra:
      return;
    case EntryKind::kToolCall:
      close_part(out, log, event.id.seq);
      open_tool(out, event);
      return;
    case EntryKind::kToolArguments:
      if (part_ == EntryKind::kToolCall) write_arguments(out, log, event);
      return;
    case EntryKind::kText:
    case EntryKind::kReasoning:
    case EntryKind::kRefusal:
      break;
  }
  if (part_ != event.entry) {
    close_part(out, log, event.id.seq);
    open_part(out, event);
  }
  if (!frames_.next()) return;
  append_frame_id(out, frames_.count());
  out.append(delta_prefix_);
  append_json_string(out, event.text);
  out.append(kObjectEnd);
}

void UiFace::open_part(std::string& out, const EventLog::Event& event) {
  part_ = event.entry;
  ++part_count_;
  const bool is_reasoning = event.entry == EntryKind::kReasoning;
  delta_prefix_ = is_reasoning ? "data: {\"type\":\"reasoning-delta\",\"id\":\""
                               : "data: {\"type\":\"text-delta\",\"id\":\"";
  append_json_number(delta_prefix_, part_count_);
  delta_prefix_.append("\",\"delta\":");
  if (!begin(out, is_reasoning ? "reasoning-start" : "text-start")) return;
  append_text_member(out, "id", std::to_string(part_count_));
  out.append(kObjectEnd);
}

void UiFace::close_part(std::string& out, const EventLog& log, std::uint64_t until) {
  if (!part_) return;
  const EntryKind kind = *part_;
  part_.reset();
  if (kind == EntryKind::kToolCall) {
    close_tool(out, log, until);
    return;
  }
  if (!begin(out, kind == EntryKind::kReasoning ? "reasoning-end" : "text-end")) return;
  append_text_member(out, "id", std::to_string(part_count_));
  out.append(kObjectEnd);
}

// --- tool calls

void UiFace::open_tool(std::string& out, const EventLog::Event& event) {
  part_ = EntryKind::kToolCall;
  call_seq_ = event.id.seq;
  input_ = {};
  input_sent_ = input_spoiled_ = false;
  delta_prefix_ = "data: {\"type\":\"tool-input-delta\"";
  append_text_member(delta_prefix_, "toolCallId", event.text);
  delta_prefix_.append(",\"inputTextDelta\":");
  if (!begin(out, "tool-input-start")) return;
  append_text_member(out, "toolCallId", event.text);
  append_text_member(out, "toolName", event.aux);
  out.append(kObjectEnd);
}

void UiFace::write_arguments(std::string& out, const EventLog& log, const EventLog::Event& event) {
  if (input_sent_) {
    // A delta would take back the input in the client.
    input_spoiled_ |= event.text.find_first_not_of(" \t\r\n") != std::string_view::npos;
    return;
  }
  const bool was_whole = input_.is_whole();
  input_.take(event.text);
  if (frames_.next()) {
    append_frame_id(out, frames_.count());
    out.append(delta_prefix_);
    append_json_string(out, event.text);
    out.append(kObjectEnd);
  }
  if (!was_whole && input_.is_whole()) input_sent_ = write_input(out, log, event.id.seq + 1);
}

// Writes the input of the open call if its arguments are JSON.
bool UiFace::write_input(std::string& out, const EventLog& log, std::uint64_t until) {
  const std::string arguments = arguments_of(log, call_seq_, until);
  if (!is_json(arguments)) return false;
  if (!frames_.next()) return true;
  begin_tool(out, "tool-input-available", log);
  append_json_line(out, arguments);
  out.append(kObjectEnd);
  return true;
}

void UiFace::close_tool(std::string& out, const EventLog& log, std::uint64_t until) {
  if (input_sent_ && !input_spoiled_) return;
  if (!input_sent_ && write_input(out, log, until)) return;
  if (!frames_.next()) return;
  begin_tool(out, "tool-input-error", log);
  append_json_string(out, arguments_of(log, call_seq_, until));
  append_text_member(out, "errorText", kNoJson);
  out.append(kObjectEnd);
}

// Begins a frame about the open call, up to the value of `input`.
void UiFace::begin_tool(std::string& out, std::string_view type, const EventLog& log) {
  const EventLog::Event call = log.read({log.attempt(), call_seq_});
  append_frame_id(out, frames_.count());
  out.append("data: {\"type\":\"").append(type).push_back('"');
  append_text_member(out, "toolCallId", call.text);
  append_text_member(out, "toolName", call.aux);
  out.append(",\"input\":");
}

// --- the envelope

bool UiFace::begin(std::string& out, std::string_view type) {
  if (!frames_.next()) return false;
  append_frame_id(out, frames_.count());
  out.append("data: {\"type\":\"").append(type).push_back('"');
  return true;
}

void UiFace::write_plain(std::string& out, std::string_view type) {
  if (begin(out, type)) out.append(kObjectEnd);
}

void UiFace::write_done(std::string& out) {
  done_ = true;
  if (!frames_.next()) return;
  append_frame_id(out, frames_.count());
  out.append(kDone);
}

}  // namespace sluice
