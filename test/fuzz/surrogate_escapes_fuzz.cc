// Fuzzes the replacement of lone surrogate escapes in JSON.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/surrogate_escapes.h"
#include "core/base/utf8.h"
#include "fuzz.h"

namespace {

using namespace sluice;

// The code unit of `\uXXXX` at the front.
std::optional<std::uint32_t> escape_of(std::string_view text) {
  if (text.size() < 6 || !text.starts_with("\\u")) return std::nullopt;
  std::uint32_t unit = 0;
  for (const char c : text.substr(2, 4)) {
    const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    unit = unit * 16 + static_cast<std::uint32_t>(digit < 16 ? digit : digit - 6);
  }
  return unit;
}

bool is_high(std::uint32_t unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
bool is_low(std::uint32_t unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

std::string expected_of(std::string_view json) {
  std::string out;
  while (!json.empty()) {
    std::size_t size = json.front() == '\\' ? 2 : 1;
    if (const auto unit = escape_of(json)) {
      const auto next = escape_of(json.substr(6));
      size = 6;
      if (is_high(*unit) && next && is_low(*next)) {
        size = 12;
      } else if (is_high(*unit) || is_low(*unit)) {
        append_utf8(*unit, out);
        json.remove_prefix(size);
        continue;
      }
    }
    out.append(json.substr(0, size));
    json.remove_prefix(std::min(size, json.size()));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = FuzzInput(data, size).rest();
  std::string json(input);
  const bool replaced = unescape_lone_surrogates(json);
  require(json == expected_of(input), "halves are replaced, pairs are not");
  require(replaced == (json != input), "the result says whether anything was");
  std::string again = json;
  require(!unescape_lone_surrogates(again) && again == json, "no half is left");
  return 0;
}
