// Steps over the bytes of a log's line, for the readers of its headers. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/base/ascii.h"

namespace sluice {

// Where a header must be over: a match further on is no header.
inline constexpr std::size_t kHeaderBytesMax = 512;

/// Past the digits at `at`.
inline std::size_t digits_end(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// Past the spaces and tabs at `at`.
inline std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

}  // namespace sluice
