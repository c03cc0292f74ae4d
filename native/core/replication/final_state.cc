// The ending of a job, its head and its times as JSON, and back.
#include <rapidjson/document.h>

#include <string>
#include <utility>

#include "core/base/json_writer.h"
#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"
#include "core/replication/entry_format.h"
#include "core/replication/field_checks.h"
#include "core/streams/answer_json.h"

namespace sluice {

namespace {

constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 53) - 1;

void begin_member(std::string& out, std::string_view name) {
  out.append(out.back() == '{' ? "\"" : ",\"").append(name).append("\":");
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  begin_member(out, name);
  append_json_string(out, text);
}

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  begin_member(out, name);
  append_json_number(out, value);
}

void append_raw_member(std::string& out, std::string_view name, std::string_view json) {
  if (json.empty()) return;
  begin_member(out, name);
  out.append(json);
}

void append_span(std::string& out, std::string_view name, Nanos span) {
  if (span != kNever) append_member(out, name, static_cast<std::uint64_t>(span));
}

// A JSON object with members of known types; others are ignored.
class Object {
 public:
  explicit Object(std::string_view json) {
    // Iterative: nesting must not exhaust the thread's stack.
    constexpr unsigned kFlags = rapidjson::kParseIterativeFlag;
    document_.Parse<kFlags>(json.data(), json.size());
    valid_ = !document_.HasParseError() && document_.IsObject();
  }

  [[nodiscard]] bool valid() const { return valid_; }

  /// False, with `out` unchanged, if the member is there and of another type.
  bool read(const char* name, std::string& out) const {
    const auto found = document_.FindMember(name);
    if (found == document_.MemberEnd()) return true;
    if (!found->value.IsString()) return false;
    const std::string_view text(found->value.GetString(), found->value.GetStringLength());
    if (valid_utf8_prefix(text) != text.size()) return false;
    out = text;
    return true;
  }

  bool read(const char* name, std::uint64_t& out) const {
    const auto found = document_.FindMember(name);
    if (found == document_.MemberEnd()) return true;
    if (!found->value.IsUint64() || found->value.GetUint64() > kNumberMax) return false;
    out = found->value.GetUint64();
    return true;
  }

  bool read(const char* name, bool& out) const {
    const auto found = document_.FindMember(name);
    if (found == document_.MemberEnd()) return true;
    if (!found->value.IsBool()) return false;
    out = found->value.GetBool();
    return true;
  }

  bool read_span(const char* name, Nanos& out) const {
    if (!document_.HasMember(name)) return true;
    std::uint64_t value = 0;
    if (!read(name, value)) return false;
    out = static_cast<Nanos>(value);
    return true;
  }

 private:
  rapidjson::Document document_;
  bool valid_ = false;
};

bool read_usage(std::string_view json, bool is_raw, std::optional<Usage>& out) {
  const Object object(json);
  Usage usage;
  if (!object.valid() || !object.read("prompt_tokens", usage.prompt_tokens) ||
      !object.read("completion_tokens", usage.completion_tokens) ||
      !object.read("estimated", usage.estimated)) {
    return false;
  }
  if (is_raw) usage.raw = json;
  out = std::move(usage);
  return true;
}

bool read_kind(std::string_view name, Terminal::Kind& kind) {
  for (const Terminal::Kind each :
       {Terminal::Kind::kComplete, Terminal::Kind::kError, Terminal::Kind::kCancelled}) {
    if (status_of(each) != name) continue;
    kind = each;
    return true;
  }
  return false;
}

bool read_spans(const Object& object, JobSpans& spans) {
  return object.valid() && object.read_span("started", spans.started) &&
         object.read_span("first_token", spans.first_token) &&
         object.read_span("ended", spans.ended);
}

bool read_restore(std::string_view json, ReplicaEnding& ending) {
  const Object object(json);
  Terminal& terminal = ending.terminal;
  std::string status;
  bool raw_usage = false;
  if (!object.valid() || !object.read("status", status) || !read_kind(status, terminal.kind) ||
      !object.read("reason", terminal.reason) || !object.read("raw_reason", terminal.raw_reason) ||
      !object.read("code", terminal.error_code) ||
      !object.read("message", terminal.error_message) ||
      !object.read("type", terminal.error_type) ||
      !object.read("skipped_ids", ending.skipped_ids) ||
      !object.read("prompt_tokens", ending.prompt_tokens) || !object.read("raw_usage", raw_usage) ||
      !read_spans(object, ending.spans)) {
    return false;
  }
  if (ending.spans.ended == kNever) return false;
  terminal.details = json_member(json, "details");
  if (!terminal.details.empty() && terminal.details.front() != '{') return false;
  const std::string_view usage = json_member(json, "usage");
  if (!usage.empty() && !read_usage(usage, raw_usage, terminal.usage)) return false;
  const std::string_view head = json_member(json, "head");
  if (head.empty()) return true;
  std::optional<AnswerHead> read_head = parse_head(head);
  if (!read_head) return false;
  ending.head = std::move(*read_head);
  return true;
}

}  // namespace

std::string spans_json(const JobSpans& spans) {
  std::string out = "{";
  append_span(out, "started", spans.started);
  append_span(out, "first_token", spans.first_token);
  out.push_back('}');
  return out;
}

std::string ending_json(const JobEnding& ending) {
  std::string out = "{\"type\":";
  append_json_string(out, ending.type);
  out.append(",\"data\":").append(ending.data).push_back('}');
  return out;
}

std::string final_json(const JobEnding& ending, const Terminal& terminal, const JobSpans& spans,
                       const AnswerHead& head, std::uint64_t skipped_ids) {
  std::string out = "{\"state\":";
  out.append(ending.state).append(",\"restore\":{");
  append_member(out, "status", status_of(terminal.kind));
  append_member(out, "reason", terminal.reason);
  append_member(out, "raw_reason", terminal.raw_reason);
  append_member(out, "code", terminal.error_code);
  append_member(out, "message", terminal.error_message);
  append_member(out, "type", terminal.error_type);
  if (terminal.usage) append_raw_member(out, "usage", usage_json(*terminal.usage));
  if (terminal.usage && !terminal.usage->raw.empty()) append_raw_member(out, "raw_usage", "true");
  append_member(out, "prompt_tokens", ending.prompt_tokens);
  append_raw_member(out, "details", terminal.details);
  append_raw_member(out, "head", head_json(head));
  append_span(out, "started", spans.started);
  append_span(out, "first_token", spans.first_token);
  append_span(out, "ended", spans.ended);
  if (skipped_ids > 0) append_member(out, "skipped_ids", skipped_ids);
  out.append("}}");
  return out;
}

std::optional<AnswerHead> parse_head(std::string_view json) {
  const Object object(json);
  AnswerHead head;
  if (!object.valid() || !object.read("model", head.model) ||
      !object.read("system_fingerprint", head.system_fingerprint) ||
      !object.read("service_tier", head.service_tier)) {
    return std::nullopt;
  }
  return head;
}

std::optional<JobSpans> parse_spans(std::string_view json) {
  JobSpans spans;
  if (!read_spans(Object(json), spans)) return std::nullopt;
  return spans;
}

std::optional<ReplicaEnding> parse_ending(std::string_view x, std::string_view f) {
  if (!is_json_line(x) || !is_json_line(f)) return std::nullopt;
  ReplicaEnding ending;
  const std::string_view type = json_member(x, "type");
  const std::string_view data = json_member(x, "data");
  if (type.size() <= 2 || data.empty() || data.front() != '{') return std::nullopt;
  ending.type = type.substr(1, type.size() - 2);
  ending.data = data;
  if (!is_event_type(ending.type)) return std::nullopt;
  if (!read_restore(json_member(f, "restore"), ending)) return std::nullopt;
  return ending;
}

}  // namespace sluice
