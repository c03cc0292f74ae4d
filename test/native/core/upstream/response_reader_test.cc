// Responses of HTTP/1.x, each in every split: RFC 9112, sections 2 to 7.
#include "core/upstream/response_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>
#include <string_view>

namespace sluice {
namespace {

using Status = ResponseReader::Status;

struct Outcome {
  Status status = Status::kMore;
  int code = 0;  // 0: no head
  std::string body = {};
  bool reusable = false;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "status " << static_cast<int>(outcome.status) << ", code " << outcome.code << ", '"
             << outcome.body << "'" << (outcome.reusable ? ", reusable" : "");
}

class Reading {
 public:
  void push(std::string_view bytes) {
    ResponseReader::Part part;
    outcome_.status = reader_.push(bytes, scratch_, part);
    if (part.head) head_ = *part.head;
    outcome_.body += part.body;
  }
  void close() { outcome_.status = reader_.finish(); }

  [[nodiscard]] Outcome outcome() const {
    Outcome whole = outcome_;
    whole.code = head_.status;
    whole.reusable = reader_.reusable();
    return whole;
  }
  [[nodiscard]] const UpstreamHead& head() const { return head_; }

 private:
  ResponseReader reader_;
  std::string scratch_;
  Outcome outcome_;
  UpstreamHead head_;
};

struct Row {
  const char* name;
  std::string bytes;
  Outcome expected;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

class ResponseReaderTest : public testing::TestWithParam<Row> {};

TEST_P(ResponseReaderTest, IsReadAlikeInEverySplit) {
  const auto& [name, bytes, expected] = GetParam();
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    Reading reading;
    reading.push(std::string_view(bytes).substr(0, split));
    reading.push(std::string_view(bytes).substr(split));
    EXPECT_EQ(reading.outcome(), expected) << "split at " << split;
  }
  Reading by_byte;
  for (const char& byte : bytes) by_byte.push({&byte, 1});
  EXPECT_EQ(by_byte.outcome(), expected) << "byte by byte";
}

INSTANTIATE_TEST_SUITE_P(
    Framing, ResponseReaderTest,
    testing::Values(
        Row{"length", kOk + "Content-Length: 5\r\n\r\nhello", {Status::kEnd, 200, "hello", true}},
        Row{"length_not_reached",
            kOk + "content-length: 6\r\n\r\nhello",
            {Status::kMore, 200, "hello"}},
        Row{"length_zero", kOk + "content-length: 0\r\n\r\n", {Status::kEnd, 200, "", true}},
        Row{"length_exceeded",
            kOk + "content-length: 4\r\n\r\nhello",
            {Status::kEnd, 200, "hell", false}},
        Row{"same_length_twice",
            kOk + "content-length: 2, 2\r\ncontent-length:2\r\n\r\nok",
            {Status::kEnd, 200, "ok", true}},
        Row{"different_lengths",
            kOk + "content-length: 2\r\ncontent-length: 3\r\n\r\nok!",
            {Status::kBad}},
        Row{"length_with_sign", kOk + "content-length: +2\r\n\r\nok", {Status::kBad}},
        Row{"length_negative", kOk + "content-length: -2\r\n\r\nok", {Status::kBad}},
        Row{"length_empty", kOk + "content-length:\r\n\r\nok", {Status::kBad}},
        Row{"length_too_large",
            kOk + "content-length: 18446744073709551616\r\n\r\nok",
            {Status::kBad}},
        Row{"chunked",
            kOk + "Transfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            {Status::kEnd, 200, "hello", true}},
        Row{"chunked_trailers",
            kOk + "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nServer-Timing: a\r\nx: "
                  "y\r\n\r\n",
            {Status::kEnd, 200, "ok", true}},
        Row{"chunked_exceeded",
            kOk + "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nH",
            {Status::kEnd, 200, "ok", false}},
        Row{"chunked_bad_size",
            kOk + "transfer-encoding: chunked\r\n\r\ndata: x\r\n",
            {Status::kBad, 200}},
        Row{"chunked_and_length",
            kOk + "content-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            {Status::kEnd, 200, "ok", false}},
        Row{"until_close",
            kOk + "content-type: text/plain\r\n\r\nall that comes",
            {Status::kMore, 200, "all that comes"}},
        Row{"other_coding",
            kOk + "transfer-encoding: gzip\r\n\r\nxyz",
            {Status::kMore, 200, "xyz"}},
        Row{"no_coding_and_length",
            kOk + "transfer-encoding: Identity\r\ncontent-length: 2\r\n\r\nok",
            {Status::kEnd, 200, "ok", true}},
        Row{"no_content",
            "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
            {Status::kEnd, 204, "", true}},
        Row{"not_modified",
            "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
            {Status::kEnd, 304, "", true}},
        Row{"no_content_exceeded",
            "HTTP/1.1 204 No Content\r\n\r\nhello",
            {Status::kEnd, 204, "", false}}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Heads, ResponseReaderTest,
    testing::Values(
        Row{"interim",
            "HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + kOk +
                "content-length: 1\r\n\r\n.",
            {Status::kEnd, 200, ".", true}},
        Row{"upgrade", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", {Status::kBad}},
        Row{"close",
            kOk + "connection: x, Close\r\ncontent-length: 1\r\n\r\n.",
            {Status::kEnd, 200, ".", false}},
        Row{"http_1_0",
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n.",
            {Status::kEnd, 200, ".", false}},
        Row{"http_1_0_keep_alive",
            "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n.",
            {Status::kEnd, 200, ".", true}},
        Row{"no_reason",
            "HTTP/1.1 429\r\ncontent-length: 0\r\n\r\n",
            {Status::kEnd, 429, "", true}},
        Row{"line_feeds",
            "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
            {Status::kEnd, 200, "ok", true}},
        Row{"folded", kOk + "content-length:\r\n 2\r\n\r\nok", {Status::kEnd, 200, "ok", true}},
        Row{"incomplete", kOk + "content-le", {Status::kMore}}, Row{"nothing", "", {Status::kMore}},
        Row{"http_2", "HTTP/2 200\r\n\r\n", {Status::kBad}},
        Row{"http_0_9", "<html>", {Status::kBad}},
        Row{"ssh", "SSH-2.0-OpenSSH\r\n", {Status::kBad}},
        Row{"leading_line_end", "\r\n" + kOk + "\r\n", {Status::kBad}},
        Row{"no_status", "HTTP/1.1 OK\r\n\r\n", {Status::kBad}},
        Row{"status_of_two_digits", "HTTP/1.1 20 OK\r\n\r\n", {Status::kBad}},
        Row{"status_below_100", "HTTP/1.1 099 OK\r\n\r\n", {Status::kBad}},
        Row{"no_colon", kOk + "content-length 5\r\n\r\n", {Status::kBad}},
        Row{"space_before_colon", kOk + "content-length : 5\r\n\r\n", {Status::kBad}},
        Row{"nul", kOk + std::string("x: a\0b\r\n\r\n", 10), {Status::kBad}},
        Row{"bare_carriage_return", kOk + "x: a\rb\r\n\r\n", {Status::kBad}}),
    [](const auto& each) { return each.param.name; });

TEST(ResponseReader, GivesTheHeadersThatAreWanted) {
  Reading reading;
  reading.push(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type:  text/html; charset=utf-8 \r\n"
      "Retry-After: 7\r\nRETRY-AFTER-MS: 6500\r\nLocation: /else where\r\n"
      "Content-Encoding: gzip\r\nDate: now\r\n\r\n");
  EXPECT_EQ(reading.head(), (UpstreamHead{.status = 503,
                                          .content_type = "text/html; charset=utf-8",
                                          .retry_after = "7",
                                          .retry_after_ms = "6500",
                                          .location = "/else where",
                                          .content_encoding = "gzip"}));
}

TEST(ResponseReader, NamesTransferCodingsThatItCannotDecode) {
  Reading reading;
  reading.push(kOk + "transfer-encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n");
  EXPECT_EQ(reading.head().content_encoding, "gzip, chunked");
  Reading plain;
  plain.push(kOk + "transfer-encoding: identity\r\n\r\n.");
  EXPECT_EQ(plain.head().content_encoding, "");
}

TEST(ResponseReader, HeadersOfAnInterimResponseDoNotCount) {
  Reading reading;
  reading.push("HTTP/1.1 102 Processing\r\nretry-after: 9\r\ncontent-length: 5\r\n\r\n");
  reading.push(kOk + "content-type: a\r\n\r\n");
  EXPECT_EQ(reading.head(), (UpstreamHead{.status = 200, .content_type = "a"}));
}

TEST(ResponseReader, ACloseEndsOnlyABodyWithoutAnotherEnd) {
  const std::array<std::pair<std::string, Status>, 5> rows{
      {{kOk + "\r\nbody", Status::kEnd},
       {kOk + "content-length: 5\r\n\r\nbody", Status::kMore},
       {kOk + "transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n", Status::kMore},
       {kOk, Status::kMore},
       {"nonsense", Status::kBad}}};
  for (const auto& [bytes, expected] : rows) {
    Reading reading;
    reading.push(bytes);
    reading.close();
    EXPECT_EQ(reading.outcome().status, expected) << bytes;
    EXPECT_FALSE(reading.outcome().reusable) << bytes;
  }
}

TEST(ResponseReader, AHeadIsBoundedWithItsInterimResponses) {
  const std::string header = "x: " + std::string(1000, 'y') + "\r\n";
  const auto read = [&](int interim, int headers, std::size_t piece) {
    std::string bytes;
    for (int i = 0; i < interim; ++i) bytes += "HTTP/1.1 100 Continue\r\n" + header + "\r\n";
    bytes += kOk;
    for (int i = 0; i < headers; ++i) bytes += header;
    bytes += "content-length: 100000\r\n\r\n" + std::string(100'000, '.');
    Reading reading;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reading.push(std::string_view(bytes).substr(at, piece));
    }
    return reading.outcome().status;
  };
  for (const std::size_t piece : {1'000'000u, 16'384u, 700u}) {
    EXPECT_EQ(read(0, 64, piece), Status::kEnd) << piece;
    EXPECT_EQ(read(0, 66, piece), Status::kBad) << piece;
    EXPECT_EQ(read(30, 33, piece), Status::kEnd) << piece;
    EXPECT_EQ(read(33, 33, piece), Status::kBad) << piece;
    EXPECT_EQ(read(1000, 0, piece), Status::kBad) << piece;
  }
}

}  // namespace
}  // namespace sluice
