#include "core/sse/parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "split_input.h"

namespace sluice {
namespace {

using std::string_literals::operator""s;

/// Writes down what it is told, one string a call: "type|data|id" or "retry 5".
class Recorder final : public SseSink {
 public:
  std::vector<std::string> seen;

  void on_event(const SseEvent& event) override {
    seen.push_back(std::string(event.type) + "|" + event.data + "|" +
                   std::string(event.last_event_id));
    event.data.assign("scribbled over");  // The receiver may do this, without effect.
  }
  void on_retry(std::uint64_t retry_ms) override {
    seen.push_back("retry " + std::to_string(retry_ms));
  }
};

using Seen = std::vector<std::string>;

Seen parse_pieces(const Pieces& pieces) {
  SseParser parser;
  Recorder recorder;
  for (const std::string_view piece : pieces) {
    EXPECT_EQ(parser.push(piece, recorder), SseParser::Status::kOk);
  }
  return recorder.seen;
}

struct Case {
  std::string input;
  Seen expected;
};

std::vector<Case> cases() {
  return {
      // The examples of the HTML standard, section 9.2.6.
      {"data: YHOO\ndata: +2\ndata: 10\n\n", {"|YHOO\n+2\n10|"}},
      {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
       {"|first event|1", "|second event|"}},
      {"data\n\ndata\ndata\n\ndata:", {"||", "|\n|"}},
      {"data:test\n\ndata: test\n\n", {"|test|", "|test|"}},
      {"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
       {"add|73857293|", "remove|2153|"}},
      // Line ends: CR, LF, CRLF, and all three in one stream.
      {"data: a\r\rdata: b\r\n\r\ndata: c\n\ndata: d\r\n\rdata: e\n\r\n",
       {"|a|", "|b|", "|c|", "|d|", "|e|"}},
      {"data: a\r\n\ndata: b\n\r", {"|a|", "|b|"}},
      {"\n\n\r\r\r\n\r\ndata: x\n\n", {"|x|"}},
      // A byte order mark counts at the very start only, and only one.
      {"\xEF\xBB\xBF"
       "data: x\n\n",
       {"|x|"}},
      {"\xEF\xBB\xBF\xEF\xBB\xBF"
       "data: x\n\n",
       {}},
      {"\xEF\xBB"
       "data: x\n\ndata: y\n\n",
       {"|y|"}},
      {"data: x\n\n\xEF\xBB\xBF"
       "data: y\n\n",
       {"|x|"}},
      {"\xEF\xBB\xBF\ndata: x\n\n", {"|x|"}},
      // Fields: one space is stripped, names are exact, the unknown is ignored.
      {"data:  two spaces \ndata:\ndata::colon\n\n", {"| two spaces \n\n:colon|"}},
      {"Data: x\n data: x\ndata : x\ndatax: x\n\n", {}},
      {"event: ping\n\ndata: x\n\n", {"|x|"}},
      {"event: a\nevent: b\ndata: x\n\n", {"b|x|"}},
      {"event\ndata: x\n\n", {"|x|"}},
      // Ids persist, may be set without data, are cleared by an empty one; NUL makes them void.
      {"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\nid:\ndata: d\n\n",
       {"|a|1", "|b|1", "|c|2", "|d|"}},
      {"id: 1\ndata: a\n\nid: 2\0x\ndata: b\n\n"s, {"|a|1", "|b|1"}},
      {"data: a\0b\n\n"s, {"|a\0b|"s}},
      // Retry: digits only.
      {"retry: 2000\nretry: 0\nretry:\nretry: -1\nretry: 1.5\nretry: 1e3\nretry: 7x\ndata: x\n\n",
       {"retry 2000", "retry 0", "|x|"}},
      {"retry: 99999999999999999999\n", {"retry 18446744073709551615"}},
      // Comments, and ill-formed UTF-8, which is passed on unchanged.
      {":\n: comment\n:data: x\ndata: y\n:\n\n", {"|y|"}},
      {"data: \xFF\xF0\x9F\n\ndata: \x98\x80\n\n", {"|\xFF\xF0\x9F|", "|\x98\x80|"}},
      // The end of the stream discards an event without its blank line.
      {"data: a\n\ndata: b\n", {"|a|"}},
  };
}

TEST(SseParser, ParsesTheTableForAnyCuts) {
  for (const Case& each : cases()) {
    for (const Pieces& pieces : every_split(each.input)) {
      ASSERT_EQ(parse_pieces(pieces), each.expected) << each.input;
    }
  }
}

TEST(SseParser, RandomStreamsParseAlikeForAnyCuts) {
  std::mt19937 random(7);  // A fixed seed, so that a failure repeats.
  const std::vector<std::string> words = {"data",         ":",     " ", "\n",   "\r",    "\r\n",
                                          "id",           "event", "x", "\n\n", "retry", "5",
                                          "\xEF\xBB\xBF", "\0"s};
  std::uniform_int_distribution<std::size_t> pick(0, words.size() - 1);
  for (int round = 0; round < 500; ++round) {
    std::string input;
    for (int i = 0; i < 80; ++i) input += words[pick(random)];
    const Seen expected = parse_pieces({input});
    ASSERT_EQ(parse_pieces(random_split(input, 9, random)), expected) << input;
    ASSERT_EQ(parse_pieces(random_split(input, 1, random)), expected) << input;
  }
}

TEST(SseParser, DispatchesAtTheCarriageReturnWithoutWaitingForALineFeed) {
  SseParser parser;
  Recorder recorder;
  parser.push("data: x\r\r", recorder);
  EXPECT_EQ(recorder.seen, Seen{"|x|"});
  parser.push("\ndata: y\r\n\r\n", recorder);
  EXPECT_EQ(recorder.seen, (Seen{"|x|", "|y|"}));
}

TEST(SseParser, FlushDispatchesTheUnclosedEvent) {
  for (const std::string_view input : {"data: x", "data: x\n", "data: x\r", "data: x\r\n"}) {
    SseParser parser;
    Recorder recorder;
    parser.push(input, recorder);
    EXPECT_TRUE(recorder.seen.empty());
    parser.flush(recorder);
    EXPECT_EQ(recorder.seen, Seen{"|x|"});
    parser.flush(recorder);
    EXPECT_EQ(recorder.seen.size(), 1U) << "a second flush finds nothing";
  }
}

SseParser::Status status_of(const Pieces& pieces, std::size_t event_bytes_max, Seen& seen) {
  SseParser parser(event_bytes_max);
  Recorder recorder;
  for (const std::string_view piece : pieces) parser.push(piece, recorder);
  seen = recorder.seen;
  return parser.status();
}

TEST(SseParser, BoundsAnEventForAnyCuts) {
  struct CapCase {
    std::string input;
    SseParser::Status status;
    Seen expected;
  };
  constexpr std::size_t kMax = 12;
  const std::vector<CapCase> table = {
      {"data: 123456\n\ndata: 654321\n\n", SseParser::Status::kOk, {"|123456|", "|654321|"}},
      {"data: x\n\ndata: 1234567\n\ndata: y\n\n", SseParser::Status::kEventTooLarge, {"|x|"}},
      {"data: 1\ndata:\n\n", SseParser::Status::kOk, {"|1\n|"}},
      {"data: 1\ndata: 2\n\n", SseParser::Status::kEventTooLarge, {}},
      {"data: 12345678", SseParser::Status::kEventTooLarge, {}},
      {": 3456789012\n: 3456789012\n: 3456789012\ndata: x\n\n", SseParser::Status::kOk, {"|x|"}},
      {": 34567890123\n", SseParser::Status::kEventTooLarge, {}},
      {"event: 12345\ndata: x\n\n", SseParser::Status::kEventTooLarge, {}},
  };
  for (const CapCase& each : table) {
    for (const Pieces& pieces : every_split(each.input)) {
      Seen seen;
      ASSERT_EQ(status_of(pieces, kMax, seen), each.status) << each.input;
      ASSERT_EQ(seen, each.expected) << each.input;
    }
  }
}

TEST(SseParser, AcceptsAnEventOfTheDefaultLimitByteByByte) {
  SseParser parser;
  Recorder recorder;
  const std::string text(SseParser::kEventBytesMaxDefault - 6, 'x');
  const std::string input = "data: " + text + "\n\n";
  for (const char& byte : input) parser.push({&byte, 1}, recorder);
  ASSERT_EQ(recorder.seen.size(), 1U);
  EXPECT_EQ(recorder.seen[0].size(), text.size() + 2);
  EXPECT_EQ(parser.push("data: x\n\n", recorder), SseParser::Status::kOk);
  const std::string longer = "data: x" + text + "\n\n";
  EXPECT_EQ(parser.push(longer, recorder), SseParser::Status::kEventTooLarge);
}

// Millions of lines with one kind of line end in a single piece. A parser that searched for the
// other kind anew at every line would need 10^12 steps, and this test would never end.
TEST(SseParser, WorkIsLinearWhicheverLineEndIsUsed) {
  for (const std::string_view line : {":\r", ":\n", "\r", "\n"}) {
    std::string input;
    for (int i = 0; i < 2'000'000; ++i) input += line;
    SseParser parser;
    Recorder recorder;
    EXPECT_EQ(parser.push(input, recorder), SseParser::Status::kOk);
    EXPECT_TRUE(recorder.seen.empty());
  }
}

}  // namespace
}  // namespace sluice
