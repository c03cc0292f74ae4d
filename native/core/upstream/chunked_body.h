// Incremental decoder of the chunked transfer coding (RFC 9112 section 7.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Decodes a chunked body. Skips extensions and trailers, and accepts lines that end in LF only,
/// like libcurl. Not thread-safe.
class ChunkDecoder {
 public:
  enum class Status : std::uint8_t {
    kMore,  ///< The body continues.
    kEnd,   ///< The body is complete. Later bytes are dropped, see `has_excess`.
    kBad,   ///< Not a valid chunked body. Permanent.
  };

  /// Decodes `bytes` and appends their part of the body to `out`.
  Status push(std::string_view bytes, std::string& out);

  [[nodiscard]] Status status() const;

  /// Whether bytes arrived after the end of the body: the connection must not be reused.
  [[nodiscard]] bool has_excess() const { return has_excess_; }

 private:
  enum class State : std::uint8_t {
    kSize,          // hexadecimal digits
    kExtension,     // up to the end of that line
    kData,          // `left_` bytes
    kDataEnd,       // the line end after them
    kTrailerStart,  // of a line: an empty one ends it all
    kTrailer,
    kEnd,
    kBad,
  };

  void take_control(char c);

  State state_ = State::kSize;
  std::uint8_t digits_ = 0;
  bool has_excess_ = false;
  std::uint64_t left_ = 0;
};

}  // namespace sluice
