// Fuzzes the encoder of server-sent events: the parser reads back what it has written, one event
// for each call, for any data.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/sse/encoder.h"
#include "core/sse/parser.h"
#include "fuzz.h"

namespace {

using namespace sluice;

class Last final : public SseSink {
 public:
  int events = 0;
  std::string type;
  std::string data;
  std::string id;

  void on_event(const SseEvent& event) override {
    ++events;
    type = event.type;
    data = event.data;
    id = event.last_event_id;
  }
  void on_retry(std::uint64_t) override { require(false, "there is no retry"); }
  void on_unknown_field(std::string_view, std::string_view) override {
    require(false, "there is no other field");
  }
};

std::string with_line_feeds(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && text.substr(i + 1).starts_with('\n')) continue;
    out.push_back(text[i] == '\r' ? '\n' : text[i]);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::string_view id = input.text();
  const std::string_view type = input.text();
  const std::string_view text = input.rest();
  std::string out("data: before\n\n");
  const std::string before = out;
  const bool written = append_sse_event(out, id, type, text);
  using namespace std::string_view_literals;
  const bool injects = id.find_first_of("\r\n\0"sv) != std::string_view::npos ||
                       type.find_first_of("\r\n\0"sv) != std::string_view::npos;
  require(written != injects, "an id or a type that would inject fields is refused");
  SseParser parser;
  Last last;
  parser.push(out, last);
  require(last.events == (written ? 2 : 1), "each call is one event");
  if (!written) {
    require(out == before, "a refusal writes nothing");
    return 0;
  }
  require(last.id == id, "the id is the same");
  require(last.type == type, "the type is the same");
  require(last.data == with_line_feeds(text), "the data are the same, but for their line ends");
  return 0;
}
