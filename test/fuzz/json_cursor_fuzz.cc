// Fuzzes the JSON readers of the faces: on any text they stay inside it and end; on JSON every
// value that they give is JSON.
//
// The first byte of the input chooses the cuts, the rest is the text.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/json_progress.h"
#include "core/faces/json_cursor.h"
#include "fuzz.h"

namespace {

using namespace sluice;

bool inside(std::string_view part, std::string_view text) {
  return part.empty() ||
         (part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
}

void walk(std::string_view text, bool valid, int depth) {
  JsonCursor cursor(text);
  for (std::size_t steps = 0; cursor.next(); ++steps) {
    require(steps <= text.size(), "a walk ends");
    require(inside(cursor.name(), text) && inside(cursor.value(), text), "views lie in the text");
    if (valid) require(is_json(cursor.value()), "values of JSON are JSON");
    if (depth < 4) walk(cursor.value(), valid, depth + 1);
  }
  static_cast<void>(json_member(text, "usage"));
  static_cast<void>(json_count(text));
  require(inside(json_members(text), text), "members lie in the text");
}

bool is_whole(std::string_view text, std::size_t piece) {
  JsonProgress progress;
  in_pieces(text, piece, [&](std::string_view part) { progress.take(part); });
  return progress.is_whole();
}

std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t from = text.find_first_not_of(kSpace);
  return from == std::string_view::npos
             ? std::string_view()
             : text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(17) + 1;
  const std::string_view text = input.rest();
  const bool valid = is_json(text);
  walk(text, valid, 0);
  const bool whole = is_whole(text, text.size() + 1);
  require(whole == is_whole(text, piece), "cuts make no difference");
  if (!valid) return 0;
  std::string line;
  append_json_line(line, text);
  require(line.find_first_of("\r\n") == std::string::npos, "a line has no line ends");
  require(is_json(line), "a line of JSON is JSON");
  const std::string_view value = without_space(text);
  if (value.starts_with('{') || value.starts_with('[')) require(whole, "JSON has an end");
  return 0;
}
