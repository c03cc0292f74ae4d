#include "core/replication/field_checks.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"

namespace sluice {

bool is_json_line(std::string_view text) {
  return text.find_first_of("\r\n") == std::string_view::npos &&
         valid_utf8_prefix(text) == text.size() && is_json(text);
}

bool is_object_line(std::string_view text) {
  return text.size() >= 2 && text.front() == '{' && text.back() == '}' && is_json_line(text);
}

bool is_event_type(std::string_view text) {
  constexpr std::size_t kBytesMax = 64;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && text.size() <= kBytesMax &&
         std::all_of(text.begin(), text.end(), is_allowed);
}

}  // namespace sluice
