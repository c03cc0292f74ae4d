// Fuzzes the parser of server-sent events: the events are those of the HTML standard, for any cuts
// of the stream.
//
// The first byte of the input chooses the cuts, the rest is the stream.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/sse/parser.h"
#include "fuzz.h"

namespace {

using namespace sluice;

using Seen = std::vector<std::string>;

std::string event_text(std::string_view type, std::string_view data, std::string_view id) {
  std::string text("event");
  for (const std::string_view part : {type, data, id}) text.append(1, '\1').append(part);
  return text;
}

class Recorder final : public SseSink {
 public:
  Seen seen;

  void on_event(const SseEvent& event) override {
    seen.push_back(event_text(event.type, event.data, event.last_event_id));
    event.data.assign("changed");
  }
  void on_retry(std::uint64_t retry_ms) override {
    seen.push_back("retry " + std::to_string(retry_ms));
  }
};

// By the standard, on the whole stream. Lines without an end are not lines yet.
Seen events_by_standard(std::string_view stream) {
  Seen seen;
  std::string data;
  std::string type;
  std::string id;
  bool has_data = false;
  if (stream.starts_with("\xEF\xBB\xBF")) stream.remove_prefix(3);
  for (;;) {
    const std::size_t end = stream.find_first_of("\r\n");
    if (end == std::string_view::npos) return seen;
    const std::string_view line = stream.substr(0, end);
    stream.remove_prefix(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1));
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    std::string_view value;
    if (colon != std::string_view::npos) value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (line.empty()) {
      if (has_data) {
        data.pop_back();
        seen.push_back(event_text(type, data, id));
      }
      data.clear();
      type.clear();
      has_data = false;
    } else if (name == "data") {
      data.append(value).append(1, '\n');
      has_data = true;
    } else if (name == "event") {
      type = value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
      id = value;
    } else if (name == "retry" && !value.empty() &&
               value.find_first_not_of("0123456789") == std::string_view::npos) {
      // Beyond 64 bits strtoull gives the largest number.
      const std::string digits(value);
      seen.push_back("retry " + std::to_string(std::strtoull(digits.c_str(), nullptr, 10)));
    }
  }
}

Seen parse(std::string_view stream, std::size_t piece, std::size_t event_bytes_max, bool flush) {
  SseParser parser(event_bytes_max);
  Recorder recorder;
  in_pieces(stream, piece, [&](std::string_view part) { parser.push(part, recorder); });
  if (flush) parser.flush(recorder);
  recorder.seen.push_back(parser.status() == SseParser::Status::kOk ? "ok" : "too large");
  return recorder.seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t piece = input.below(17) + 1;
  const std::string_view stream = input.rest();
  const std::size_t whole = stream.size() + 1;
  for (const std::size_t event_bytes_max : {std::size_t{1} << 20, std::size_t{40}}) {
    for (const bool flush : {false, true}) {
      require(parse(stream, whole, event_bytes_max, flush) ==
                  parse(stream, piece, event_bytes_max, flush),
              "cuts make no difference");
    }
  }
  Seen expected = events_by_standard(stream);
  expected.emplace_back("ok");
  require(parse(stream, whole, SseParser::kEventBytesMaxDefault, false) == expected,
          "the events are those of the standard");
  return 0;
}
