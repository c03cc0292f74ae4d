// Fuzzes the reader of HTTP responses: the result does not depend on cuts, and a written response
// is read back.
//
// The first byte of the input chooses the cuts, the rest is the response; it is also the body of a
// valid response.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/upstream/response_reader.h"
#include "fuzz.h"

namespace {

using namespace sluice;

struct Response {
  ResponseReader::Status status = ResponseReader::Status::kMore;
  std::optional<UpstreamHead> head;
  std::string body;
  bool reusable = false;

  friend bool operator==(const Response&, const Response&) = default;
};

Response read(std::string_view bytes, std::size_t piece) {
  ResponseReader reader;
  Response response;
  std::string scratch;
  in_pieces(bytes, piece, [&](std::string_view part) {
    ResponseReader::Part found;
    response.status = reader.push(part, scratch, found);
    if (found.head) {
      require(!response.head, "there is one head");
      require(found.head->status >= 200, "interim responses are skipped");
      response.head = found.head;
    }
    require(response.head || found.body.empty(), "the head comes first");
    response.body += found.body;
  });
  require(reader.has_head() == response.head.has_value(), "a head is given");
  response.reusable = reader.reusable();
  if (response.status != ResponseReader::Status::kEnd) {
    require(!response.reusable, "only after a complete response");
  }
  return response;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(17) + 1;
  const std::string_view bytes = input.rest();
  const Response whole = read(bytes, bytes.size() + 1);
  require(whole == read(bytes, piece), "cuts make no difference");
  require(whole.body.size() <= bytes.size(), "a body is no longer than its response");

  const std::string head = "HTTP/1.1 200 OK\r\ncontent-type: x\r\ncontent-length: ";
  const std::string sized = head + std::to_string(bytes.size()) + "\r\n\r\n" + std::string(bytes);
  const Response back = read("HTTP/1.1 100 Continue\r\n\r\n" + sized, piece);
  const UpstreamHead expected{.status = 200, .content_type = "x"};
  require(back == Response{ResponseReader::Status::kEnd, expected, std::string(bytes), true},
          "a body with its length comes back");
  require(!read(sized + "x", piece).reusable, "bytes behind the end are excess");
  return 0;
}
