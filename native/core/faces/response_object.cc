#include "core/faces/response_object.h"

#include <algorithm>

#include "core/base/json_writer.h"
#include "core/faces/frame_writer.h"
#include "core/faces/json_cursor.h"

namespace sluice {

namespace {

struct Member {
  std::string_view name;
  std::string_view otherwise;  // its value if the envelope lacks it; empty: it varies
};

constexpr std::array kMembers = {
    Member{"status", {}},
    Member{"background", "false"},
    Member{"error", {}},
    Member{"incomplete_details", {}},
    Member{"instructions", "null"},
    Member{"max_output_tokens", "null"},
    Member{"metadata", "{}"},
    Member{"model", {}},
    Member{"output", {}},
    Member{"parallel_tool_calls", "true"},
    Member{"previous_response_id", "null"},
    Member{"reasoning", R"({"effort":null,"summary":null})"},
    Member{"service_tier", {}},
    Member{"store", "true"},
    Member{"temperature", "null"},
    Member{"text", R"({"format":{"type":"text"}})"},
    Member{"tool_choice", R"("auto")"},
    Member{"tools", "[]"},
    Member{"top_p", "null"},
    Member{"truncation", R"("disabled")"},
    Member{"usage", {}},
    Member{"user", "null"},
};

// Members that are made from other options.
constexpr std::array<std::string_view, 3> kOwn = {"id", "object", "created_at"};

bool is_listed(std::string_view name) {
  const auto is_name = [name](const Member& member) { return member.name == name; };
  return std::ranges::any_of(kMembers, is_name) || std::ranges::find(kOwn, name) != kOwn.end();
}

void append_name(std::string& out, std::string_view name) {
  out.append(",\"").append(name).append("\":");
}

// A count among the details of a usage object; 0 where it is absent.
std::uint64_t detail(const Usage& usage, std::string_view details, std::string_view name) {
  return json_count(json_member(json_member(usage.raw, details), name)).value_or(0);
}

}  // namespace

ResponseObject::ResponseObject(const FaceOptions& options) {
  append_json_string(model_, options.model);
  auto part = constant_.begin();
  part->append("{\"id\":");
  append_json_string(*part, options.id);
  part->append(",\"object\":\"response\",\"created_at\":");
  append_json_number(*part, options.created);
  for (const Member& member : kMembers) {
    append_name(*part, member.name);
    if (member.otherwise.empty()) {
      ++part;
      continue;
    }
    const std::string_view given = json_member(options.envelope, member.name);
    const bool background = member.name == "background" && options.background;
    append_json_line(*part, !given.empty() ? given : background ? "true" : member.otherwise);
  }
  for (JsonCursor given(options.envelope); given.next();) {
    if (is_listed(given.name())) continue;
    append_name(*part, given.name());
    append_json_line(*part, given.value());
  }
  part->push_back('}');
}

void ResponseObject::append(std::string& out, const State& state) const {
  out.append(constant_[0]);
  append_json_string(out, state.status);
  out.append(constant_[1]);
  if (state.error == nullptr) {
    out.append("null");
  } else {
    out.append("{\"code\":");
    append_json_string(out, state.error->error_code);
    append_text_member(out, "message", state.error->error_message);
    out.push_back('}');
  }
  out.append(constant_[2]);
  if (state.incomplete_reason.empty()) {
    out.append("null");
  } else {
    out.append("{\"reason\":");
    append_json_string(out, state.incomplete_reason);
    out.push_back('}');
  }
  out.append(constant_[3]);
  if (state.model.empty()) {
    out.append(model_);
  } else {
    append_json_string(out, state.model);
  }
  out.append(constant_[4]).append(state.output).append(constant_[5]);
  append_text_or_null(out, state.service_tier);
  out.append(constant_[6]);
  if (state.usage == nullptr) {
    out.append("null");
  } else {
    append_response_usage(out, *state.usage);
  }
  out.append(constant_[7]);
}

void append_response_usage(std::string& out, const Usage& usage) {
  const std::optional<std::uint64_t> total = json_count(json_member(usage.raw, "total_tokens"));
  out.append("{\"input_tokens\":");
  append_json_number(out, usage.prompt_tokens);
  out.append(",\"input_tokens_details\":{\"cached_tokens\":");
  append_json_number(out, detail(usage, "prompt_tokens_details", "cached_tokens"));
  out.append("},\"output_tokens\":");
  append_json_number(out, usage.completion_tokens);
  out.append(",\"output_tokens_details\":{\"reasoning_tokens\":");
  append_json_number(out, detail(usage, "completion_tokens_details", "reasoning_tokens"));
  out.append("},\"total_tokens\":");
  append_json_number(out, total.value_or(usage.prompt_tokens + usage.completion_tokens));
  out.push_back('}');
}

bool append_response_logprobs(std::string& out, std::string_view chat_logprobs, bool is_first) {
  bool any = false;
  for (JsonCursor tokens(json_member(chat_logprobs, "content")); tokens.next(); any = true) {
    const std::string_view members = json_members(tokens.value());
    if (!is_first || any) out.push_back(',');
    out.push_back('{');
    append_json_line(out, members);
    // A client of Responses takes it for an array.
    if (json_member(tokens.value(), "top_logprobs").empty()) {
      out.append(members.empty() ? "\"top_logprobs\":[]" : ",\"top_logprobs\":[]");
    }
    out.push_back('}');
  }
  return any;
}

}  // namespace sluice
