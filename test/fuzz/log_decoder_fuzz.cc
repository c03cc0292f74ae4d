// Fuzzes the decoder of log files in UTF-16: the result does not depend on cuts, and other input is
// unchanged.
//
// The first byte of the input chooses the cuts, the second the byte order, the rest is the file.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"
#include "core/logs/input/encoding.h"
#include "fuzz.h"

namespace {

using namespace sluice;

std::string decode(std::string_view bytes, std::size_t piece) {
  LogDecoder decoder;
  std::string out;
  std::string scratch;
  in_pieces(bytes, piece,
            [&](std::string_view part) { out.append(decoder.decode(part, scratch)); });
  return out.append(decoder.finish(scratch));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(7) + 1;
  const std::string_view marks[] = {"", "\xFF\xFE", "\xFE\xFF"};
  const std::string_view mark = marks[input.below(3)];
  const std::string bytes = std::string(mark).append(input.rest());
  const std::string text = decode(bytes, bytes.size() + 1);
  require(decode(bytes, piece) == text, "cuts make no difference");
  const bool is_utf16 = bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF");
  if (!is_utf16) require(text == bytes, "other input stays as it is");
  // Two bytes become at most three in UTF-8.
  require(text.size() <= bytes.size() + bytes.size() / 2 + 3, "text grows by half at most");
  return 0;
}
