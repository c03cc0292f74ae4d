// A log sink for tests.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/logs/parser.h"

namespace sluice {

using Seen = std::vector<std::string>;

/// Events as one line each: level, number of lines, flags, message with its line ends as `|`.
class LogRecorder final : public LogSink {
 public:
  std::vector<std::string> seen;
  std::vector<std::string> texts;
  std::vector<std::string> summaries;
  std::vector<LogEvent> events;  // Their views are no longer valid.

  void on_event(const LogEvent& event) override {
    constexpr std::string_view kLetters = "?tdiweF";
    std::string line(1, kLetters[static_cast<std::size_t>(event.level)]);
    std::size_t lines = 1;
    for (const char c : event.text) lines += c == '\n' ? 1U : 0U;
    line += std::to_string(lines);
    if (event.malformed) line += 'm';
    if (event.truncated) line += 't';
    line += ' ';
    for (const char c : event.message) line += c == '\n' ? '|' : c;
    seen.push_back(line);
    texts.emplace_back(event.text);
    summaries.emplace_back(event.summary);
    events.push_back(event);
  }
};

/// The events of one source's whole input.
inline LogRecorder record(std::string_view input, const LogParser::Options& options = {}) {
  LogParser parser(options, {});
  LogRecorder recorder;
  parser.push(1, input, 0, 0, recorder);
  parser.end(0, recorder);
  return recorder;
}

}  // namespace sluice
