#include "core/sse/encoder.h"

#include "core/base/json_writer.h"

namespace sluice {

namespace {

bool is_one_line(std::string_view field) {
  return field.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).push_back('\n');
}

}  // namespace

bool append_sse_event(std::string& out, std::string_view id, std::string_view type,
                      std::string_view data) {
  if (!is_one_line(id) || !is_one_line(type)) return false;
  if (!id.empty()) append_field(out, "id", id);
  if (!type.empty()) append_field(out, "event", type);
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    append_field(out, "data", data.substr(0, end));
    if (end == std::string_view::npos) break;
    const bool crlf = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (crlf ? 2 : 1));
  }
  out.push_back('\n');
  return true;
}

void append_sse_retry(std::string& out, std::uint64_t retry_ms) {
  out.append("retry: ");
  append_json_number(out, retry_ms);
  out.push_back('\n');
}

}  // namespace sluice
