// Fuzzes the JSON readers of the faces: on any text they stay inside it and terminate; on JSON
// every returned value is JSON.
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::string_view text = input.rest();
  const bool valid = is_json(text);
  walk(text, valid, 0);
  if (!valid) return 0;
  std::string line;
  append_json_line(line, text);
  require(line.find_first_of("\r\n") == std::string::npos, "a line has no line ends");
  require(is_json(line), "a line of JSON is JSON");
  return 0;
}
