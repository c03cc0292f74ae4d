// Steps over the bytes of a log line, for the header readers. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/base/ascii.h"
#include "core/base/utf8.h"

namespace sluice {

// A header ends within these bytes; a match further on is no header.
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

/// Past the separators between a header and its message.
inline std::size_t skip_separators(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(" \t-:|", at);
  return found == std::string_view::npos ? text.size() : found;
}

/// Past the next word and the spaces after it.
inline std::size_t skip_word(std::string_view text, std::size_t at) {
  const std::size_t space = text.find(' ', at);
  return space == std::string_view::npos ? text.size() : skip_spaces(text, space);
}

/// The first `bytes_max` bytes, cut between characters.
inline std::string_view clip_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  text = text.substr(0, bytes_max);
  return text.substr(0, valid_utf8_prefix(text));
}

}  // namespace sluice
