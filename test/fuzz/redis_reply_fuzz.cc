// Fuzzes the reader of Redis's replies: for any cuts of the bytes the replies are the same, and
// replies encoded again by the protocol are read as the same replies.
//
// The first byte of the input chooses the cuts, the rest is the stream.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/reply_json.h"
#include "core/redis/reply_reader.h"
#include "fuzz.h"

namespace {

using namespace sluice;
using redis::Reply;
using redis::ReplyReader;

struct Outcome {
  std::vector<Reply> replies;
  std::string text;  // of the replies, and how the reading ended
};

Outcome read(std::string_view stream, std::size_t piece) {
  ReplyReader reader;
  Outcome outcome;
  bool is_bad = false;
  const auto take_replies = [&] {
    Reply reply;
    ReplyReader::Status status = ReplyReader::Status::kMore;
    while ((status = reader.next(reply)) == ReplyReader::Status::kReply) {
      redis::append_json(outcome.text, reply);
      outcome.text.push_back('\n');
      outcome.replies.push_back(std::move(reply));
    }
    is_bad = status == ReplyReader::Status::kBad;
  };
  in_pieces(stream, piece, [&](std::string_view part) {
    if (is_bad) return;
    reader.feed(part);
    take_replies();
  });
  require(is_bad == !reader.problem().empty(), "a bad stream has a problem, and no other");
  outcome.text += is_bad ? "bad" : "more";
  return outcome;
}

void write(std::string& out, const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kNil:
      out += "$-1\r\n";
      break;
    case Reply::Kind::kInteger:
      out += ":" + std::to_string(reply.integer) + "\r\n";
      break;
    case Reply::Kind::kError:
      out += "-" + reply.text + "\r\n";
      break;
    case Reply::Kind::kText:
      out += "$" + std::to_string(reply.text.size()) + "\r\n" + reply.text + "\r\n";
      break;
    case Reply::Kind::kArray:
      out += "*" + std::to_string(reply.items.size()) + "\r\n";
      for (const Reply& item : reply.items) write(out, item);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!ReplyReader::available()) return 0;
  FuzzInput input(data, size);
  const std::size_t piece = input.below(17) + 1;
  const std::string_view stream = input.rest();
  const Outcome whole = read(stream, stream.size() + 1);
  require(whole.text == read(stream, piece).text, "cuts make no difference");
  std::string again;
  for (const Reply& reply : whole.replies) write(again, reply);
  std::string text = whole.text.substr(0, whole.text.rfind('\n') + 1) + "more";
  require(read(again, again.size() + 1).text == text, "what was read is read again");
  return 0;
}
