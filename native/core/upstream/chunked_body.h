// The chunked transfer coding, taken off: RFC 9112 section 7.1. Incremental; extensions and
// trailers are skipped, and a line may end in LF alone, as libcurl has it too. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

class ChunkDecoder {
 public:
  enum class Status : std::uint8_t {
    kMore,  ///< The body goes on.
    kEnd,   ///< The body is complete. Bytes behind it are dropped, see `has_excess`.
    kBad,   ///< This is no chunked body. So it stays.
  };

  /// Appends to `out` what `bytes` has of the body.
  Status push(std::string_view bytes, std::string& out);

  [[nodiscard]] Status status() const;

  /// Whether bytes came behind the end of the body: the connection is out of step.
  [[nodiscard]] bool has_excess() const { return has_excess_; }

 private:
  enum class State : std::uint8_t {
    kSize,          // hexadecimal digits
    kExtension,     // up to the end of that line
    kData,          // `left_` bytes
    kDataEnd,       // the line end behind them
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
