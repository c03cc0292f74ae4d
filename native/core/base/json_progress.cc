#include "core/base/json_progress.h"

#include "core/base/ascii.h"

namespace sluice {

void JsonProgress::take(std::string_view piece) {
  for (const char c : piece) {
    if (is_escaped_) {
      is_escaped_ = false;
      continue;
    }
    if (in_string_) {
      is_escaped_ = c == '\\';
      in_string_ = c != '"';
      is_whole_ = !in_string_ && depth_ == 0;
      continue;
    }
    if (is_space(c)) continue;
    const bool opens = c == '"' || c == '{' || c == '[';
    if (!has_begun_) can_end_ = opens;
    has_begun_ = true;
    is_whole_ = false;
    if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
      is_whole_ = depth_ == 0;
    }
  }
}

}  // namespace sluice
