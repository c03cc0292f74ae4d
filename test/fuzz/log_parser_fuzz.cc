// Fuzzes the log parser: for any cuts of a log the events are the same, every view of
// them is valid UTF-8, and they keep to their limits.
//
// The first byte of the input chooses options, the second the cuts, the rest is the log.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/logs/parser.h"
#include "fuzz.h"

namespace {

using namespace sluice;

class Checker final : public LogSink {
 public:
  explicit Checker(const LogGrouper::Limits& limits) : limits_(limits) {}

  std::vector<std::string> seen;

  void on_event(const LogEvent& event) override {
    std::string all = std::to_string(event.time_ms) + ' ' +
                      std::to_string(static_cast<int>(event.level)) + ' ' +
                      std::to_string(event.malformed) + std::to_string(event.truncated);
    std::size_t lines = 1;
    for (const char c : event.text) lines += c == '\n' ? 1U : 0U;
    require(event.text.size() <= limits_.bytes, "an event keeps to its bytes");
    require(lines <= limits_.lines, "an event keeps to its lines");
    for (const std::string_view view :
         {event.text, event.message, event.summary, event.container}) {
      require(valid_utf8_prefix(view) == view.size(), "every view is valid UTF-8");
      all.append(1, '\0').append(view);
    }
    seen.push_back(std::move(all));
  }

 private:
  LogGrouper::Limits limits_;
};

LogPatterns patterns_of(bool any) {
  LogPatterns patterns;
  std::string problem;
  if (any) patterns.start.push_back(*LogPattern::compile("^(?<first>\\S)", false, problem));
  return patterns;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  LogParser::Options options;
  if ((data[0] & 1) != 0) options.event = {.lines = 4, .bytes = 80};
  if ((data[0] & 2) != 0) options.formats = kLogJson;
  if ((data[0] & 4) != 0) options.errors.templates.templates = 3;
  options.times.reference_ms = 1'795'233'374'000;
  const std::string_view log(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto parse = [&](std::size_t piece) {
    LogParser parser(options, patterns_of((data[0] & 8) != 0));
    Checker checker(options.event);
    for (std::size_t at = 0; at < log.size(); at += piece) {
      parser.push(1, log.substr(at, piece), 0, 0, checker);
    }
    parser.end(0, checker);
    require(parser.stats().bytes == log.size(), "all bytes count");
    require(parser.stats().events == checker.seen.size(), "all events count");
    for (const LogErrorCount& error : parser.errors().top(10, LogErrors::kEver, 0)) {
      require(valid_utf8_prefix(error.text) == error.text.size(), "templates are valid UTF-8");
      require(valid_utf8_prefix(error.sample) == error.sample.size(), "samples are valid UTF-8");
    }
    return checker.seen;
  };
  require(parse(log.size() + 1) == parse(data[1] % 17 + 1U), "cuts make no difference");
  return 0;
}
