// Spans of JSON text that are passed on as they came. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/utf8.h"

namespace sluice {

/// The end of the member of an object whose name begins at `from` with its quote, and whose value
/// is no object or array. `json` must be valid.
std::size_t scalar_member_end(std::string_view json, std::size_t from);

/// `text` as valid UTF-8, on its own. The view is `text` or `scratch`, whose content is replaced.
std::string_view whole_text(std::string_view text, Utf8Decoder::Surrogates surrogates,
                            std::string& scratch);

/// Follows a JSON text that comes in pieces, up to the end of its value.
class JsonProgress {
 public:
  void take(std::string_view piece);

  /// Whether anything but white space has come.
  [[nodiscard]] bool has_begun() const { return has_begun_; }
  /// Whether an object, array or string has come to its end. False for text that is no JSON, and
  /// for a number or word, whose end cannot be known.
  [[nodiscard]] bool is_whole() const { return is_whole_ && can_end_; }

 private:
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool is_escaped_ = false;
  bool has_begun_ = false;
  bool can_end_ = false;  // begins as an object, array or string
  bool is_whole_ = false;
};

}  // namespace sluice
