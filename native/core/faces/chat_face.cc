#include "core/faces/chat_face.h"

#include <utility>

#include "core/faces/json_cursor.h"
#include "core/sse/encoder.h"
#include "core/streams/answer_json.h"
#include "core/streams/job.h"

namespace sluice {

using EventKind = EventLog::EventKind;

ChatFace::ChatFace(FaceOptions options)
    : options_(std::move(options)),
      frames_(options_.choices > 1 ? 0 : options_.after),
      choices_(options_.choices) {}

void ChatFace::keep_alive(std::string& out) {
  out.append(kSseKeepAlive);
}

void ChatFace::write(std::string& out, std::uint32_t choice, const Job& job,
                     const EventLog::Event& event) {
  if (done_ || choice >= choices_.size() || choices_[choice].ended) return;
  if (event.kind != EventKind::kEntry && event.kind != EventKind::kTerminal) return;
  if (prefix_.empty()) make_prefix(job.log.head());
  if (event.kind == EventKind::kEntry) {
    write_entry(out, choice, event);
    return;
  }
  const Terminal& terminal = job.log.terminal();
  if (terminal.kind != Terminal::Kind::kComplete) {
    write_error(out, terminal);
    return;
  }
  write_finish(out, choice, job);
  if (ended_ == choices_.size()) write_end(out);
}

// --- chunks of a choice

void ChatFace::write_entry(std::string& out, std::uint32_t choice, const EventLog::Event& event) {
  const bool is_text = event.entry == EntryKind::kText || event.entry == EntryKind::kRefusal;
  if (!is_chat() && !is_text) return;
  const bool is_first = !std::exchange(choices_[choice].begun, true);
  if (!begin_choice(out, choice)) return;
  if (is_chat()) {
    out.append("\"delta\":{");
    append_delta(out, is_first, event);
    out.push_back('}');
  } else {
    out.append("\"text\":");
    append_json_string(out, event.text);
  }
  end_choice(out, event.entry == EntryKind::kText ? event.aux : std::string_view(), {});
}

void ChatFace::append_delta(std::string& out, bool is_first, const EventLog::Event& event) const {
  if (is_first) {
    out.append("\"role\":\"assistant\"");
    const bool is_content = event.entry == EntryKind::kText || event.entry == EntryKind::kExtra;
    if (!is_content) out.append(",\"content\":null");
  }
  const std::string_view comma = is_first ? "," : "";
  switch (event.entry) {
    case EntryKind::kText:
      out.append(comma).append("\"content\":");
      append_json_string(out, event.text);
      return;
    case EntryKind::kReasoning:
      out.append(comma);
      append_reasoning(out, event.text);
      return;
    case EntryKind::kRefusal:
      out.append(comma).append("\"refusal\":");
      append_json_string(out, event.text);
      return;
    case EntryKind::kToolCall:
      out.append(comma).append("\"tool_calls\":[{\"index\":");
      append_json_number(out, event.call);
      append_text_member(out, "id", event.text);
      out.append(",\"type\":\"function\",\"function\":{\"name\":");
      append_json_string(out, event.aux);
      out.append(",\"arguments\":\"\"}}]");
      return;
    case EntryKind::kToolArguments:
      out.append(comma).append("\"tool_calls\":[{\"index\":");
      append_json_number(out, event.call);
      out.append(",\"function\":{\"arguments\":");
      append_json_string(out, event.text);
      out.append("}}]");
      return;
    case EntryKind::kExtra: {
      const std::string_view members = json_members(event.text);
      if (members.empty()) return;
      out.append(comma);
      append_json_line(out, members);
      return;
    }
  }
}

void ChatFace::append_reasoning(std::string& out, std::string_view text) const {
  if (options_.reasoning_field == "both") {
    out.append("\"reasoning_content\":");
    append_json_string(out, text);
    append_text_member(out, "reasoning", text);
    return;
  }
  out.push_back('"');
  out.append(options_.reasoning_field).append("\":");
  append_json_string(out, text);
}

void ChatFace::write_finish(std::string& out, std::uint32_t choice, const Job& job) {
  Choice& state = choices_[choice];
  // An empty answer.
  if (is_chat() && !state.begun && begin_choice(out, choice)) {
    out.append("\"delta\":{\"role\":\"assistant\",\"content\":\"\"}");
    end_choice(out, {}, {});
  }
  state.ended = true;
  ++ended_;
  const std::uint32_t per_prompt = options_.choices_per_prompt;
  const bool has_usage = per_prompt == 0 ? choice == 0 : choice % per_prompt == 0;
  if (has_usage) add_usage(job.usage());
  if (!begin_choice(out, choice)) return;
  out.append(is_chat() ? "\"delta\":{}" : "\"text\":\"\"");
  end_choice(out, {}, job.log.terminal().reason);
}

void ChatFace::add_usage(const Usage& usage) {
  if (!usage_) {
    usage_ = usage;
    return;
  }
  usage_->raw.clear();
  usage_->prompt_tokens += usage.prompt_tokens;
  usage_->completion_tokens += usage.completion_tokens;
  usage_->estimated = usage_->estimated || usage.estimated;
}

// --- the end of the stream

void ChatFace::write_end(std::string& out) {
  done_ = true;
  if (options_.include_usage && begin(out)) {
    out.append("[],");
    append_usage(out, *usage_);
    out.append(kObjectEnd);
  }
  if (!frames_.next()) return;
  if (choices_.size() == 1) append_frame_id(out, frames_.count());
  out.append(kDone);
}

void ChatFace::write_error(std::string& out, const Terminal& terminal) {
  done_ = true;
  if (!frames_.next()) return;
  if (choices_.size() == 1) append_frame_id(out, frames_.count());
  out.append("data: {\"error\":{\"message\":");
  if (terminal.kind == Terminal::Kind::kError) {
    append_json_string(out, terminal.error_message);
    out.append(",\"type\":");
    append_text_or_null(out, terminal.error_type);
    out.append(",\"code\":");
    append_text_or_null(out, terminal.error_code);
  } else {
    append_json_string(out, cancelled_message(terminal.reason));
    out.append(",\"type\":\"cancelled_error\",\"code\":\"cancelled\"");
  }
  out.append(",\"param\":null}").append(kObjectEnd);
}

// --- the envelope

void ChatFace::make_prefix(const AnswerHead& head) {
  prefix_.append("data: {\"id\":");
  append_json_string(prefix_, options_.id);
  prefix_.append(is_chat() ? ",\"object\":\"chat.completion.chunk\",\"created\":"
                           : ",\"object\":\"text_completion\",\"created\":");
  append_json_number(prefix_, options_.created);
  append_text_member(prefix_, "model", head.model.empty() ? options_.model : head.model);
  if (!head.system_fingerprint.empty()) {
    append_text_member(prefix_, "system_fingerprint", head.system_fingerprint);
  }
  if (!head.service_tier.empty()) append_text_member(prefix_, "service_tier", head.service_tier);
  prefix_.append(",\"choices\":");
}

bool ChatFace::begin(std::string& out) {
  if (!frames_.next()) return false;
  if (choices_.size() == 1) append_frame_id(out, frames_.count());
  out.append(prefix_);
  return true;
}

bool ChatFace::begin_choice(std::string& out, std::uint32_t choice) {
  if (!begin(out)) return false;
  out.append("[{\"index\":");
  append_json_number(out, choice);
  out.push_back(',');
  return true;
}

void ChatFace::end_choice(std::string& out, std::string_view logprobs,
                          std::string_view finish_reason) const {
  out.append(",\"logprobs\":");
  append_json_line(out, logprobs.empty() ? "null" : logprobs);
  out.append(",\"finish_reason\":");
  append_text_or_null(out, finish_reason);
  out.append(options_.include_usage ? "}],\"usage\":null" : "}]").append(kObjectEnd);
}

}  // namespace sluice
