// Chunked bodies, in every split: RFC 9112 section 7.1.
#include "core/upstream/chunked_body.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

using ChunkStatus = ChunkDecoder::Status;

struct Decoded {
  ChunkStatus status;
  std::string body;
  bool operator==(const Decoded&) const = default;
};

Decoded decode_body(std::string_view bytes, std::size_t split) {
  ChunkDecoder decoder;
  std::string body;
  decoder.push(bytes.substr(0, split), body);
  const ChunkStatus status = decoder.push(bytes.substr(split), body);
  return {status, body};
}

void expect_in_every_split(std::string_view bytes, const Decoded& expected) {
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    EXPECT_EQ(decode_body(bytes, split), expected) << "split at " << split;
  }
}

TEST(ChunkDecoder, ReturnsTheBodyAndItsEnd) {
  expect_in_every_split("5\r\nhello\r\nA\r\n, chunked \r\n5\r\nworld\r\n0\r\n\r\n",
                        {ChunkStatus::kEnd, "hello, chunked world"});
}

TEST(ChunkDecoder, ABodyWithoutItsEndContinues) {
  expect_in_every_split("5\r\nhello\r\n", {ChunkStatus::kMore, "hello"});
  expect_in_every_split("5\r\nhel", {ChunkStatus::kMore, "hel"});
  expect_in_every_split("5\r\nhello\r\n0\r\n", {ChunkStatus::kMore, "hello"});
}

TEST(ChunkDecoder, SkipsExtensionsAndTrailers) {
  expect_in_every_split("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\nExpires: never\r\nA: b\r\n\r\n",
                        {ChunkStatus::kEnd, "hello"});
}

TEST(ChunkDecoder, AcceptsLeadingZerosAndBothCases) {
  expect_in_every_split("00000b\r\nhello world\r\n0B\r\nhello world\r\n000\r\n\r\n",
                        {ChunkStatus::kEnd, "hello worldhello world"});
}

TEST(ChunkDecoder, LeavesLineEndsWithinTheDataAlone) {
  expect_in_every_split("6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", {ChunkStatus::kEnd, "\r\n0\r\n\r"});
}

TEST(ChunkDecoder, LooksAtNothingBehindTheEnd) {
  expect_in_every_split("0\r\n\r\nHTTP/1.1 200 OK\r\n", {ChunkStatus::kEnd, ""});
}

TEST(ChunkDecoder, ReportsBytesAfterTheEnd) {
  const std::string_view body = "5\r\nhello\r\n0\r\n\r\n";
  for (std::size_t split = 0; split <= body.size(); ++split) {
    ChunkDecoder decoder;
    std::string out;
    decoder.push(body.substr(0, split), out);
    decoder.push(body.substr(split), out);
    EXPECT_FALSE(decoder.has_excess()) << "split at " << split;
    decoder.push("H", out);
    EXPECT_TRUE(decoder.has_excess()) << "split at " << split;
  }
  ChunkDecoder decoder;
  std::string out;
  decoder.push(std::string(body) + "H", out);
  EXPECT_TRUE(decoder.has_excess());
}

TEST(ChunkDecoder, RefusesInvalidChunks) {
  expect_in_every_split("hello", {ChunkStatus::kBad, ""});
  expect_in_every_split("\r\n", {ChunkStatus::kBad, ""});
  expect_in_every_split("data: 1\r\n", {ChunkStatus::kBad, ""});
  expect_in_every_split("-1\r\n", {ChunkStatus::kBad, ""});
  expect_in_every_split("1\r\nab", {ChunkStatus::kBad, "a"});
  expect_in_every_split("1000000000000000\r\na", {ChunkStatus::kBad, ""});
}

}  // namespace
}  // namespace sluice
