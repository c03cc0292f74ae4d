// Values of HTTP headers (RFC 9110, 5.6). Any thread; plain functions.
#pragma once

#include <string_view>

namespace sluice {

/// The text without the spaces, tabs and line ends around it.
constexpr std::string_view trim_field(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

/// Calls `take` with each element of a comma-separated list.
template <typename Take>
void each_element(std::string_view list, Take take) {
  while (true) {
    const std::size_t comma = list.find(',');
    take(trim_field(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace sluice
