// An OpenAI-style upstream: every request is answered with chat deltas at a given rate, each with
// its sending time in its text, until the client disconnects.
//
// Usage: mock_upstream --interval-us 20000 [--port 0]
#include "common.h"
#include "paced_server.h"

namespace {

constexpr std::string_view kDeltaStart =
    "data: {\"id\":\"chatcmpl-9a8b7c6d5e4f\",\"object\":\"chat.completion.chunk\","
    "\"created\":1763683200,\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
constexpr std::string_view kDeltaEnd = "\"},\"finish_reason\":null}]}\n\n";

void append_delta(std::string& out, uint64_t seq, int64_t sent_us) {
  thread_local std::string block;
  block.assign(kDeltaStart);
  sluice::bench::append_token_text(block, seq, sent_us);
  block.append(kDeltaEnd);
  sluice::bench::append_chunk(out, block);
}

}  // namespace

int main(int argc, char** argv) {
  const sluice::bench::Arguments arguments(argc, argv);
  sluice::bench::PacedServer server(static_cast<int>(arguments.number("port", 0)),
                                    arguments.number("interval-us", 20'000), append_delta);
  server.run();
}
