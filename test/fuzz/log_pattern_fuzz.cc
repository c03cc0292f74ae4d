// Fuzzes the patterns: the first line of the input is a pattern, the rest is a line to match.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/logs/pattern/pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos) return 0;
  const std::string_view line = input.substr(end + 1);
  for (const bool ignore_case : {false, true}) {
    std::string problem;
    auto pattern = sluice::LogPattern::compile(input.substr(0, end), ignore_case, problem);
    if (pattern.has_value() != problem.empty()) std::abort();
    if (!pattern.has_value()) return 0;
    // A pattern keeps no state between lines.
    if (pattern->matches(line) != pattern->matches(line)) std::abort();
  }
  return 0;
}
