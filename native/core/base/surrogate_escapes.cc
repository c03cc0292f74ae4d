#include "core/base/surrogate_escapes.h"

#include <charconv>
#include <cstdint>
#include <string_view>

#include "core/base/utf8.h"

namespace sluice {
namespace {

constexpr std::size_t kEscapeBytes = 6;  // \uXXXX

/// The code unit of the `\uXXXX` at `at`, or zero if there is none.
std::uint32_t code_unit_at(std::string_view json, std::size_t at) {
  if (json.size() < kEscapeBytes || at > json.size() - kEscapeBytes) return 0;
  if (json[at] != '\\' || json[at + 1] != 'u') return 0;
  std::uint32_t unit = 0;
  const char* const digits_end = json.data() + at + kEscapeBytes;
  const auto [end, error] = std::from_chars(json.data() + at + 2, digits_end, unit, 16);
  return error == std::errc() && end == digits_end ? unit : 0;
}

/// The length of the escape at `at`: both halves of a pair count as one. `lone` is set to a half
/// that has no partner, else to zero.
std::size_t measure_escape(std::string_view json, std::size_t at, std::uint32_t& lone) {
  const std::uint32_t unit = code_unit_at(json, at);
  lone = 0;
  if (unit == 0) return 2;
  if (unit < 0xD800 || unit > 0xDFFF) return kEscapeBytes;
  const std::uint32_t next = unit <= 0xDBFF ? code_unit_at(json, at + kEscapeBytes) : 0;
  if (next >= 0xDC00 && next <= 0xDFFF) return 2 * kEscapeBytes;
  lone = unit;
  return kEscapeBytes;
}

}  // namespace

bool unescape_lone_surrogates(std::string& json) {
  // Read and write positions of the compaction: the output never overtakes the input, since a
  // half shrinks from six bytes to three.
  std::size_t read = 0;
  std::size_t written = 0;
  const auto copy_until = [&](std::size_t end) {
    if (written == read) {
      written = read = end;
      return;
    }
    while (read < end) json[written++] = json[read++];
  };
  std::string raw;
  std::size_t at = json.find('\\');
  while (at != std::string::npos) {
    std::uint32_t lone = 0;
    const std::size_t length = measure_escape(json, at, lone);
    if (lone != 0) {
      copy_until(at);
      raw.clear();
      append_utf8(lone, raw);
      for (const char c : raw) json[written++] = c;
      read = at + length;
    }
    at = at + length < json.size() ? json.find('\\', at + length) : std::string::npos;
  }
  if (written == read) return false;
  copy_until(json.size());
  json.resize(written);
  return true;
}

}  // namespace sluice
