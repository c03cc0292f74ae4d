// Fuzzes the decoder of chunked bodies: the result does not depend on cuts, and an encoded body is
// decoded to itself.
//
// The first byte of the input chooses the cuts, the rest is the body: once as a chunked body, once
// as a body to encode.
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/upstream/chunked_body.h"
#include "fuzz.h"

namespace {

using namespace sluice;

struct Decoded {
  ChunkDecoder::Status status = ChunkDecoder::Status::kMore;
  bool excess = false;
  std::string body;

  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view bytes, std::size_t piece) {
  ChunkDecoder decoder;
  Decoded decoded;
  in_pieces(bytes, piece, [&](std::string_view part) {
    const ChunkDecoder::Status status = decoder.push(part, decoded.body);
    require(status == decoder.status(), "the status is that of the last call");
  });
  decoded.status = decoder.status();
  decoded.excess = decoder.has_excess();
  return decoded;
}

std::string encode(std::string_view body, std::size_t chunk) {
  std::string out;
  in_pieces(body, chunk, [&](std::string_view part) {
    char digits[16];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, part.size(), 16);
    require(error == std::errc{}, "sizes fit");
    out.append(digits, end).append(part.size() % 2 == 0 ? "\r\n" : ";name=\"value\"\r\n");
    out.append(part).append("\r\n");
  });
  return out.append("0\r\nTrailer: value\r\n\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(17) + 1;
  const std::string_view bytes = input.rest();
  const Decoded whole = decode(bytes, bytes.size() + 1);
  const Decoded cut = decode(bytes, piece);
  require(whole.status == cut.status && whole.body == cut.body, "cuts make no difference");
  require(whole.excess == cut.excess, "excess is found in any piece");
  require(whole.body.size() <= bytes.size(), "a body is no longer than its encoding");

  const std::string encoded = encode(bytes, piece * 3);
  const Decoded back = decode(encoded, piece);
  require(back == Decoded{ChunkDecoder::Status::kEnd, false, std::string(bytes)},
          "an encoded body comes back");
  require(decode(encoded + "x", piece).excess, "bytes behind the end are excess");
  return 0;
}
