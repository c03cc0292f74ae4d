// Reads JSON text without building a tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// Visits the members of a JSON object, or the elements of an array, as spans of its text.
///
/// The text must be valid JSON: of other text the cursor visits some spans and ends. It holds views
/// of the text, and allocates nothing.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view json) : json_(json) { enter(); }

  /// Moves to the next member or element. False at the end.
  bool next();

  /// The name of the member between its quotes, escapes as they are; empty in an array.
  [[nodiscard]] std::string_view name() const { return name_; }
  /// The value, without space around it.
  [[nodiscard]] std::string_view value() const { return value_; }

 private:
  void enter();
  void skip_space();
  bool skip(char expected);
  std::string_view take_value();
  std::string_view take_string();
  bool skip_nested();

  std::string_view json_;
  std::size_t at_ = 0;
  bool in_object_ = false;
  std::string_view name_;
  std::string_view value_;
};

/// The value of a member of a JSON object; empty if the text is no object, or has no such member.
std::string_view json_member(std::string_view object, std::string_view name);

/// A JSON number that is a count; nullopt for anything else.
std::optional<std::uint64_t> json_count(std::string_view value);

/// The text between the braces of a JSON object, without space around it; empty if it has no
/// members.
std::string_view json_members(std::string_view object);

/// Appends JSON as one line: line ends, which only separate its tokens, become spaces.
void append_json_line(std::string& out, std::string_view json);

/// Whether `text` is one JSON value as JavaScript's `JSON.parse` takes it. The input is UTF-8.
bool is_json(std::string_view text);

}  // namespace sluice
