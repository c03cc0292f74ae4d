// The end of a JSON text that comes in pieces.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice {

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
