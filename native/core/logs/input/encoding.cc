#include "core/logs/input/encoding.h"

#include <utility>

#include "core/base/utf8.h"

namespace sluice {
namespace {

constexpr char kNoUtf8 = '\xFF';

std::uint32_t byte_of(char c) {
  return static_cast<std::uint8_t>(c);
}

}  // namespace

std::string_view LogDecoder::decode(std::string_view bytes, std::string& scratch) {
  scratch.clear();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const std::uint32_t byte = byte_of(bytes[at]);
    if (encoding_ == Encoding::kBytes) return bytes;
    if (!std::exchange(holding_, !holding_)) {
      held_ = byte;
      if (encoding_ != Encoding::kUnknown || byte >= 0xFE) continue;
      holding_ = false;
      encoding_ = Encoding::kBytes;
    } else if (encoding_ == Encoding::kUnknown) {
      const std::uint32_t mark = held_ << 8 | byte;
      if (mark == 0xFFFE)
        encoding_ = Encoding::kLittleEndian;
      else if (mark == 0xFEFF)
        encoding_ = Encoding::kBigEndian;
      else
        return plain_after_held(bytes.substr(at), scratch);
    } else {
      const bool little = encoding_ == Encoding::kLittleEndian;
      take_unit(little ? byte << 8 | held_ : held_ << 8 | byte, scratch);
    }
  }
  return encoding_ == Encoding::kBytes ? bytes : scratch;
}

/// The first byte looked like one of a mark, and the second did not.
std::string_view LogDecoder::plain_after_held(std::string_view rest, std::string& scratch) {
  encoding_ = Encoding::kBytes;
  scratch.assign(1, static_cast<char>(held_)).append(rest);
  return scratch;
}

void LogDecoder::take_unit(std::uint32_t unit, std::string& out) {
  const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (high_surrogate_ != 0) {
    const std::uint32_t high = high_surrogate_;
    high_surrogate_ = 0;
    if (low) return append_utf8(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00), out);
    out.push_back(kNoUtf8);
  }
  if (unit >= 0xD800 && unit <= 0xDBFF)
    high_surrogate_ = unit;
  else if (low)
    out.push_back(kNoUtf8);
  else
    append_utf8(unit, out);
}

std::string_view LogDecoder::finish(std::string& scratch) {
  scratch.clear();
  if (holding_ && encoding_ == Encoding::kUnknown)
    scratch.push_back(static_cast<char>(held_));
  else if (holding_ || high_surrogate_ != 0)
    scratch.push_back(kNoUtf8);
  *this = LogDecoder();
  return scratch;
}

}  // namespace sluice
