// Converts the bytes of a log file to UTF-8 by its byte order mark.
//
// One decoder per source, used by one thread at a time. After `finish` it is as new.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Decodes UTF-16 of either byte order where the input begins with its byte order mark, as Windows
/// programs write it; passes other input on unchanged. A surrogate without its other half becomes a
/// byte that is no UTF-8, so that the line counts as malformed. Where the input is cut makes no
/// difference.
class LogDecoder {
 public:
  /// The text that `bytes` completes: a view of `bytes` or of `scratch`.
  std::string_view decode(std::string_view bytes, std::string& scratch);

  /// Ends the input; returns the text of what was held back.
  std::string_view finish(std::string& scratch);

 private:
  enum class Encoding : std::uint8_t { kUnknown, kBytes, kLittleEndian, kBigEndian };

  std::string_view plain_after_held(std::string_view rest, std::string& scratch);
  void take_unit(std::uint32_t unit, std::string& out);

  Encoding encoding_ = Encoding::kUnknown;
  std::uint32_t high_surrogate_ = 0;  // Zero for none.
  std::uint32_t held_ = 0;            // The first byte of two, if `holding_`.
  bool holding_ = false;
};

}  // namespace sluice
