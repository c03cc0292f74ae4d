// Fuzzes the JSON readers of the faces: on any text they stay inside it and end; on JSON every
// value that they give is JSON.
//
// The first byte of the input chooses the cuts, the rest is the text.
#include <cstdint>
#include <string>
#include <string_view>

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

std::size_t end_of(std::string_view text, std::size_t piece, bool& reached) {
  JsonEnd end;
  std::size_t taken = 0;
  in_pieces(text, piece, [&](std::string_view part) {
    if (!end.reached()) taken += end.take(part);
  });
  reached = end.reached();
  return taken;
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
  bool reached = false;
  bool reached_cut = false;
  const std::size_t end = end_of(text, text.size() + 1, reached);
  require(end == end_of(text, piece, reached_cut) && reached == reached_cut,
          "cuts make no difference");
  if (!valid) return 0;
  std::string line;
  append_json_line(line, text);
  require(line.find_first_of("\r\n") == std::string::npos, "a line has no line ends");
  require(is_json(line), "a line of JSON is JSON");
  const std::string_view value = without_space(text);
  if (value.starts_with('{') || value.starts_with('[')) {
    require(reached, "JSON has an end");
    require(without_space(text.substr(0, end)) == value, "which is its last bracket");
  }
  return 0;
}
