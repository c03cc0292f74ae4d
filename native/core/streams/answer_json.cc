#include "core/streams/answer_json.h"

#include <utility>

#include "core/base/json_writer.h"

namespace sluice {

namespace {

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  append_json_string(out, text);
}

void append_raw_member(std::string& out, std::string_view name, std::string_view json) {
  out.append(",\"").append(name).append("\":").append(json);
}

template <typename Visit>
void for_each_entry(const EventLog& log, Visit visit) {
  const std::uint64_t last = log.entry_count();
  for (std::uint64_t seq = log.trimmed() + 1; seq <= last; ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    if (event.kind == EventLog::EventKind::kEntry) visit(event);
  }
}

// Collects the tool calls of a log.
class ToolCalls {
 public:
  void add(const EventLog::Event& event) {
    if (event.entry == EntryKind::kToolCall) {
      close();
      open_ = true;
      json_.append(json_.empty() ? "{\"id\":" : ",{\"id\":");
      append_json_string(json_, event.text);
      json_.append(",\"type\":\"function\",\"function\":{\"name\":");
      append_json_string(json_, event.aux);
      json_.append(",\"arguments\":");
    } else if (event.entry == EntryKind::kToolArguments && open_) {
      arguments_.append(event.text);
    }
  }

  // The calls with commas between them; empty if there are none.
  std::string take() {
    close();
    return std::move(json_);
  }

 private:
  void close() {
    if (!std::exchange(open_, false)) return;
    append_json_string(json_, arguments_);
    json_.append("}}");
    arguments_.clear();
  }

  std::string json_;
  std::string arguments_;
  bool open_ = false;
};

// Collects adjacent entries into items.
class Items {
 public:
  explicit Items(std::string& out) : out_(out) {}

  void add(const EventLog::Event& event) {
    switch (event.entry) {
      case EntryKind::kText:
        begin(event.entry, "text");
        add_text(event.text);
        add_logprobs(event.aux);
        break;
      case EntryKind::kReasoning:
        begin(event.entry, "reasoning");
        add_text(event.text);
        break;
      case EntryKind::kRefusal:
        begin(event.entry, "refusal");
        add_text(event.text);
        break;
      case EntryKind::kToolCall:
        close();
        begin(event.entry, "tool_call");
        append_member(out_, "id", event.text);
        append_member(out_, "name", event.aux);
        break;
      case EntryKind::kToolArguments:
        if (open_ && kind_ == EntryKind::kToolCall) add_text(event.text);
        break;
      case EntryKind::kExtra:
        close();
        begin(event.entry, "extra");
        append_raw_member(out_, "delta", event.text);
        break;
    }
  }

  void close() {
    if (!std::exchange(open_, false)) return;
    if (kind_ != EntryKind::kExtra) {
      append_member(out_, kind_ == EntryKind::kToolCall ? "arguments" : "text", text_);
    }
    if (!logprobs_.empty()) append_raw_member(out_, "logprobs", logprobs_ + "]");
    out_.push_back('}');
    text_.clear();
    logprobs_.clear();
  }

 private:
  void begin(EntryKind kind, std::string_view name) {
    if (open_ && kind_ == kind) return;
    close();
    open_ = true;
    kind_ = kind;
    out_.append(std::exchange(first_, false) ? "{\"kind\":\"" : ",{\"kind\":\"");
    out_.append(name).push_back('"');
  }
  void add_text(std::string_view text) { text_.append(text); }
  void add_logprobs(std::string_view json) {
    if (json.empty()) return;
    logprobs_.push_back(logprobs_.empty() ? '[' : ',');
    logprobs_.append(json);
  }

  std::string& out_;
  std::string text_;
  std::string logprobs_;  // an array without its end
  EntryKind kind_ = EntryKind::kText;
  bool open_ = false;
  bool first_ = true;
};

}  // namespace

void append_entry_members(std::string& out, const EventLog::Event& event) {
  switch (event.entry) {
    case EntryKind::kText:
      append_member(out, "token", event.text);
      if (!event.aux.empty()) append_raw_member(out, "logprobs", event.aux);
      break;
    case EntryKind::kReasoning:
      append_member(out, "reasoning", event.text);
      break;
    case EntryKind::kRefusal:
      append_member(out, "refusal", event.text);
      break;
    case EntryKind::kToolCall:
      out.append(",\"index\":");
      append_json_number(out, event.call);
      append_member(out, "id", event.text);
      append_member(out, "name", event.aux);
      append_member(out, "arguments", {});
      break;
    case EntryKind::kToolArguments:
      out.append(",\"index\":");
      append_json_number(out, event.call);
      append_member(out, "arguments", event.text);
      break;
    case EntryKind::kExtra:
      append_raw_member(out, "delta", event.text);
      break;
  }
}

std::string_view event_type(EntryKind kind) {
  switch (kind) {
    case EntryKind::kText:
      return "token";
    case EntryKind::kReasoning:
      return "reasoning";
    case EntryKind::kRefusal:
      return "refusal";
    case EntryKind::kToolCall:
    case EntryKind::kToolArguments:
      return "tool_call";
    case EntryKind::kExtra:
      return "extra";
  }
  return "extra";
}

void append_answer(std::string& out, const EventLog& log) {
  std::string text;
  log.append_text(text);
  append_member(out, "text", text);
  if (log.is_plain()) return;
  for (const auto& [kind, name] :
       {std::pair{EntryKind::kReasoning, "reasoning"}, std::pair{EntryKind::kRefusal, "refusal"}}) {
    text.clear();
    log.append_text(text, kind);
    if (!text.empty()) append_member(out, name, text);
  }
  ToolCalls calls;
  for_each_entry(log, [&calls](const EventLog::Event& event) { calls.add(event); });
  const std::string json = calls.take();
  if (!json.empty()) append_raw_member(out, "tool_calls", "[" + json + "]");
}

void append_items(std::string& out, const EventLog& log) {
  out.append(",\"items\":[");
  Items items(out);
  for_each_entry(log, [&items](const EventLog::Event& event) { items.add(event); });
  items.close();
  out.push_back(']');
}

std::string head_json(const AnswerHead& head) {
  std::string members;
  const auto add = [&members](std::string_view name, std::string_view value) {
    if (!value.empty()) append_member(members, name, value);
  };
  add("model", head.model);
  add("system_fingerprint", head.system_fingerprint);
  add("service_tier", head.service_tier);
  if (members.empty()) return members;
  members.front() = '{';
  return members + "}";
}

void append_head(std::string& out, const AnswerHead& head) {
  const std::string json = head_json(head);
  if (!json.empty()) append_raw_member(out, "head", json);
}

std::string usage_json(const Usage& usage) {
  if (!usage.raw.empty()) return usage.raw;
  std::string out = "{\"prompt_tokens\":";
  append_json_number(out, usage.prompt_tokens);
  out.append(",\"completion_tokens\":");
  append_json_number(out, usage.completion_tokens);
  out.append(",\"total_tokens\":");
  append_json_number(out, usage.prompt_tokens + usage.completion_tokens);
  if (usage.estimated) out.append(",\"estimated\":true");
  out.push_back('}');
  return out;
}

void append_usage(std::string& out, const Usage& usage) {
  out.append("\"usage\":").append(usage_json(usage));
}

}  // namespace sluice
