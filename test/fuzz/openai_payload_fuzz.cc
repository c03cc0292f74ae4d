// Fuzzes the parser of OpenAI-style payloads: a parser that has read other payloads returns the
// results of a new one, although it does not parse payloads that differ from the previous one in
// their text alone.
//
// Each line of the input is a payload. One that begins with an E is an error event; of one that
// begins with a T, the rest replaces the text in the last payload that had one.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../native/core/upstream/openai/payload_text.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kBefore = R"("content":")";
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  sluice::PayloadComparison comparison;
  std::string last;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string line(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const bool is_error_event = line.starts_with('E');
    if (is_error_event) line.erase(0, 1);
    if (line.starts_with('T')) {
      const std::size_t at = last.find(kBefore);
      if (at == std::string::npos) continue;
      const std::size_t from = at + kBefore.size();
      line = last.substr(0, from) + line.substr(1) +
             last.substr(std::min(last.find('"', from), last.size()));
    } else {
      last = line;
    }
    sluice::require(comparison.difference_at(line, is_error_event).empty(),
                    "a parser that has read others gives what a new one gives");
  }
  return 0;
}
