// The head of an HTTP/1.x response (RFC 9112). Any thread; plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// The status and headers of a response.
struct UpstreamHead {
  int status = 0;
  std::string content_type = {};      ///< As sent; empty if absent.
  std::string retry_after = {};       ///< Likewise.
  std::string retry_after_ms = {};    ///< Likewise.
  std::string location = {};          ///< Likewise.
  std::string content_encoding = {};  ///< Likewise. Also transfer codings other than `chunked`.

  friend bool operator==(const UpstreamHead&, const UpstreamHead&) = default;
};

/// Stores a header of the response in the member of its name, if there is one. The last one counts.
void store_header(std::string_view name, std::string_view value, UpstreamHead& head);

/// How the end of a response's body is found (RFC 9112, 6.3).
enum class BodyFraming : std::uint8_t {
  kNone,        ///< There is no body.
  kLength,      ///< By its length.
  kChunked,     ///< By the chunked transfer coding.
  kUntilClose,  ///< By the close of the connection.
};

struct ResponseHead {
  UpstreamHead head;
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t length = 0;  ///< With kLength.
  bool keeps_alive = false;  ///< The connection may serve another request after the body.
};

struct HeadResult {
  enum class Status : std::uint8_t { kMore, kWhole, kBad };
  Status status;
  std::size_t size = 0;  ///< Bytes of the head, with kWhole.
};

/// Parses the head at the front of `bytes`; accepts lines that end in LF only and folded header
/// values. Not valid: other protocols, more than 512 headers, contradictory or malformed lengths,
/// and an upgrade (101), for which no request asks.
/// @param seen bytes at the front that an earlier call has seen, for which it returned kMore.
/// @param parsed set if the head is whole; also of an interim (1xx) response.
HeadResult parse_response_head(std::string_view bytes, std::size_t seen, ResponseHead& parsed);

}  // namespace sluice
