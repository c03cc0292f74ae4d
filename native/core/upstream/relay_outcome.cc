#include "core/upstream/relay_outcome.h"

#include "core/base/json_writer.h"

namespace sluice {

using Failure = RelayOutcome::Failure;

std::string_view name_of(Failure failure) {
  switch (failure) {
    case Failure::kNone:
      return "none";
    case Failure::kStatus:
      return "status";
    case Failure::kContentType:
      return "content_type";
    case Failure::kInvalid:
      return "invalid";
    case Failure::kReported:
      return "reported";
    case Failure::kIncomplete:
      return "incomplete";
    case Failure::kStalled:
      return "stalled";
    case Failure::kUnreachable:
      return "unreachable";
    case Failure::kDisconnected:
      return "disconnected";
    case Failure::kProtocol:
      return "protocol";
    case Failure::kEncoding:
      return "encoding";
    case Failure::kFinish:
      return "finish";
    case Failure::kChoices:
      return "choices";
  }
  return "none";
}

std::string RelayOutcome::to_json() const {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    out.push_back(out.empty() ? '{' : ',');
    append_json_string(out, name);
    out.push_back(':');
    append_json_string(out, value);
  };
  add("failure", name_of(failure));
  add("text", text);
  add("code", code);
  add("type", type);
  add("location", location);
  add("retry_after", retry_after);
  add("retry_after_ms", retry_after_ms);
  out.append(",\"status\":");
  append_json_number(out, static_cast<std::uint64_t>(status));
  out.append(body_whole ? ",\"body_whole\":true" : ",\"body_whole\":false");
  out.append(",\"failed\":[");
  for (std::size_t i = 0; i < failed.size(); ++i) {
    if (i > 0) out.push_back(',');
    if (failed[i] < 0) {
      out.append("null");
    } else {
      append_json_number(out, static_cast<std::uint64_t>(failed[i]));
    }
  }
  out.append("]}");
  return out;
}

}  // namespace sluice
