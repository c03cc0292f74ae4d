// Incremental reader of one HTTP/1.x response (RFC 9112).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/upstream/chunked_body.h"
#include "core/upstream/response_head.h"

namespace sluice {

/// Reads one response: skips interim (1xx) ones, and finds head, body and end. Bytes of the body
/// are not kept; only an incomplete head is. Not thread-safe.
class ResponseReader {
 public:
  enum class Status : std::uint8_t {
    kMore,  ///< The response continues.
    kEnd,   ///< The response is complete. Later bytes are dropped and prevent `reusable`.
    kBad,   ///< Not a valid response, or its head exceeds 64 KiB, interim ones included. Permanent.
  };

  /// What a piece of input contains.
  struct Part {
    std::optional<UpstreamHead> head;  ///< Complete with this piece.
    std::string_view body;             ///< Decoded; points into the piece or into `scratch`.
  };

  /// @param scratch overwritten; holds the decoded body of a chunked response.
  Status push(std::string_view bytes, std::string& scratch, Part& part);

  /// The connection was closed. kMore: amid the response.
  [[nodiscard]] Status finish();

  [[nodiscard]] bool has_head() const { return has_head_; }

  /// Whether the connection can serve another request: the response is complete, nothing followed
  /// it, and its head permits it.
  [[nodiscard]] bool reusable() const {
    return status_ == Status::kEnd && keeps_alive_ && !has_excess_;
  }

 private:
  std::string_view take_head(std::string_view bytes, Part& part);
  void begin_body(const ResponseHead& parsed);
  std::string_view take_body(std::string_view bytes, std::string& scratch, Part& part);

  std::string partial_;  // a head that is incomplete
  std::size_t head_bytes_ = 0;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
  Status status_ = Status::kMore;
  BodyFraming framing_ = BodyFraming::kNone;
  bool has_head_ = false;
  bool keeps_alive_ = false;
  bool has_excess_ = false;
};

}  // namespace sluice
