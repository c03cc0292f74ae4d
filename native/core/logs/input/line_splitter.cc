#include "core/logs/input/line_splitter.h"

#include <algorithm>
#include <cstdint>

namespace sluice {
namespace {

/// Where to cut `bytes` to at most `bytes_max` without cutting through a character.
std::size_t cut_position(std::string_view bytes, std::size_t bytes_max) {
  const auto continues = [bytes](std::size_t at) {
    return (static_cast<std::uint8_t>(bytes[at]) & 0xC0) == 0x80;
  };
  std::size_t at = bytes_max;
  // A character has at most three continuation bytes; more of them in a row are no UTF-8.
  for (int i = 0; i < 3 && at > 0 && continues(at); ++i) --at;
  return continues(at) ? bytes_max : at;
}

}  // namespace

void LogLineSplitter::hold(std::string_view part) {
  if (part.empty()) return;
  seen_ += part.size();
  last_is_cr_ = part.back() == '\r';
  // The byte after the limit shows whether a character continues there; the mark does not count.
  const std::size_t held_max = line_bytes_max_ + 1 + kByteOrderMark.size();
  held_.append(part.substr(0, held_max - std::min(held_.size(), held_max)));
}

/// @param held the line, as far as it was kept
/// @param length of the whole line, without the CR at the end of a held one
LogLine LogLineSplitter::trim(std::string_view held, std::size_t length) const {
  if (seen_ == 0 && !held.empty() && held.back() == '\r') {
    held.remove_suffix(1);
    --length;
  }
  if (at_start_ && held.starts_with(kByteOrderMark)) {
    held.remove_prefix(kByteOrderMark.size());
    length -= kByteOrderMark.size();
  }
  if (length <= line_bytes_max_) return {held, false};
  return {held.substr(0, cut_position(held, line_bytes_max_)), true};
}

}  // namespace sluice
