// Fuzzes the incremental UTF-8 decoder: its text is that of the Unicode standard, for any cuts of
// the bytes.
//
// The first byte of the input chooses the cuts, the rest are the bytes.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"
#include "fuzz.h"

namespace {

using namespace sluice;

using Surrogates = Utf8Decoder::Surrogates;

struct Range {
  std::uint8_t from;
  std::uint8_t to;
};
// Table 3-7 of the Unicode standard: well-formed byte sequences.
struct Form {
  std::size_t size;
  std::array<Range, 4> bytes;
};
constexpr Range kTail{0x80, 0xBF};
constexpr std::array<Form, 9> kForms = {{
    {1, {{{0x00, 0x7F}}}},
    {2, {{{0xC2, 0xDF}, kTail}}},
    {3, {{{0xE0, 0xE0}, {0xA0, 0xBF}, kTail}}},
    {3, {{{0xE1, 0xEC}, kTail, kTail}}},
    {3, {{{0xED, 0xED}, {0x80, 0x9F}, kTail}}},
    {3, {{{0xEE, 0xEF}, kTail, kTail}}},
    {4, {{{0xF0, 0xF0}, {0x90, 0xBF}, kTail, kTail}}},
    {4, {{{0xF1, 0xF3}, kTail, kTail, kTail}}},
    {4, {{{0xF4, 0xF4}, {0x80, 0x8F}, kTail, kTail}}},
}};

// One character, or the longest beginning of one.
std::string_view first_of(std::string_view bytes, bool& whole) {
  std::size_t longest = 0;
  for (const Form& form : kForms) {
    std::size_t at = 0;
    while (at < form.size && at < bytes.size()) {
      const auto byte = static_cast<std::uint8_t>(bytes[at]);
      if (byte < form.bytes[at].from || byte > form.bytes[at].to) break;
      ++at;
    }
    if (at == form.size) {
      whole = true;
      return bytes.substr(0, at);
    }
    longest = std::max(longest, at);
  }
  whole = false;
  return bytes.substr(0, std::max<std::size_t>(longest, 1));
}

std::string by_standard(std::string_view bytes, std::size_t& valid_prefix) {
  std::string out;
  bool valid = true;
  valid_prefix = 0;
  while (!bytes.empty()) {
    bool whole = false;
    const std::string_view first = first_of(bytes, whole);
    out.append(whole ? first : kReplacementCharacter);
    valid = valid && whole;
    if (valid) valid_prefix += first.size();
    bytes.remove_prefix(first.size());
  }
  return out;
}

std::string decode(std::string_view bytes, std::size_t piece, Surrogates surrogates) {
  Utf8Decoder decoder;
  std::string out;
  std::string scratch;
  in_pieces(bytes, piece, [&](std::string_view part) {
    out.append(decoder.decode(part, scratch, surrogates));
    require(valid_utf8_prefix(out) == out.size(), "the text is well-formed after each piece");
  });
  out.append(decoder.finish());
  require(!decoder.holding(), "nothing is held after the end");
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(7) + 1;
  const std::string_view bytes = input.rest();
  std::size_t valid_prefix = 0;
  const std::string expected = by_standard(bytes, valid_prefix);
  require(decode(bytes, bytes.size() + 1, Surrogates::kReplace) == expected,
          "as the standard says");
  require(decode(bytes, piece, Surrogates::kReplace) == expected, "cuts make no difference");
  require(valid_utf8_prefix(bytes) == valid_prefix, "the longest valid prefix");
  const std::string joined = decode(bytes, bytes.size() + 1, Surrogates::kJoin);
  require(decode(bytes, piece, Surrogates::kJoin) == joined, "nor with halves of characters");
  require(valid_utf8_prefix(joined) == joined.size(), "joined text is well-formed");
  if (valid_prefix == bytes.size()) require(joined == bytes, "valid text stays as it is");
  return 0;
}
