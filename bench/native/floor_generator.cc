// The least that a server which makes its tokens itself can cost: epoll, and one write a token of
// the very bytes that Sluice sends.
//
// Usage: floor_generator --interval-us 20000 [--port 0]
#include "common.h"
#include "paced_server.h"

namespace {

void append_token(std::string& out, uint64_t seq, int64_t sent_us) {
  thread_local std::string text;
  text.clear();
  sluice::bench::append_token_text(text, seq, sent_us);
  sluice::bench::append_token_chunk(out, seq, text);
}

}  // namespace

int main(int argc, char** argv) {
  const sluice::bench::Arguments arguments(argc, argv);
  sluice::bench::PacedServer server(static_cast<int>(arguments.number("port", 0)),
                                    arguments.number("interval-us", 20'000), append_token);
  server.run();
}
