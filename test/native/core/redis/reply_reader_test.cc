// Commands and replies as bytes; the expected ones are of the protocol's specification.
#include "core/redis/reply_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/redis/command_format.h"
#include "core/redis/reply_json.h"

namespace sluice::redis {
namespace {

TEST(RedisCommandFormat, CountsBytesAndKeepsThem) {
  std::string out("before");
  append_command(out, {"SET", "k\r\n", std::string("\0z", 2), "", "\xC3\xA4"});
  EXPECT_EQ(out, std::string("before*5\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\0z\r\n$0\r\n\r\n$2\r\n"
                             "\xC3\xA4\r\n",
                             50));
}

class RedisReplyReader : public testing::Test {
 protected:
  void SetUp() override {
    if (!ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  }

  // All replies as JSON, with the status that ended the reading.
  static std::string read(std::string_view bytes, std::size_t piece) {
    ReplyReader reader;
    std::string seen;
    while (true) {
      Reply reply;
      const ReplyReader::Status status = reader.next(reply);
      if (status == ReplyReader::Status::kReply) {
        append_json(seen, reply);
        seen.push_back('\n');
        continue;
      }
      if (status == ReplyReader::Status::kBad) return seen + "bad";
      if (bytes.empty()) return seen;
      reader.feed(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
  }
};

TEST_F(RedisReplyReader, ReadsEveryKindForAnyCuts) {
  const std::string bytes =
      "+OK\r\n-ERR no\r\n:-7\r\n:9223372036854775807\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*-1\r\n"
      "*0\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n-OOM in\r\n$-1\r\n+end\r\n";
  const std::string expected =
      "\"OK\"\n{\"error\":\"ERR no\"}\n-7\n9223372036854775807\n\"a\\r\\nbc\"\n\"\"\nnull\nnull\n"
      "[]\n[1,[\"x\",{\"error\":\"OOM in\"}],null]\n\"end\"\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece)
    EXPECT_EQ(read(bytes, piece), expected);
}

TEST_F(RedisReplyReader, MovesItemsOfLongArraysCorrectly) {
  // More than is reserved at once, with arrays among them.
  std::string bytes("*5000\r\n");
  for (int i = 0; i < 5000; ++i) bytes += "*2\r\n:" + std::to_string(i) + "\r\n$1\r\nv\r\n";
  ReplyReader reader;
  reader.feed(bytes);
  Reply reply;
  ASSERT_EQ(reader.next(reply), ReplyReader::Status::kReply);
  ASSERT_EQ(reply.items.size(), 5000u);
  for (std::size_t i = 0; i < 5000; ++i) {
    ASSERT_EQ(reply.items[i].items.size(), 2u);
    EXPECT_EQ(reply.items[i].items[0].integer, static_cast<std::int64_t>(i));
  }
}

TEST_F(RedisReplyReader, ReservesNoMemoryForAnnouncedItems) {
  ReplyReader reader;
  reader.feed("*2000000000\r\n:1\r\n");
  Reply reply;
  EXPECT_EQ(reader.next(reply), ReplyReader::Status::kMore);
}

TEST_F(RedisReplyReader, RefusesOtherProtocols) {
  for (const char* const bytes : {"HTTP/1.1 400 Bad Request\r\n", "\x15\x03\x01\r\n", "$x\r\n",
                                  "*99999999999\r\n", ":12a\r\n", "$-5\r\n"}) {
    EXPECT_EQ(read(bytes, 64), "bad") << bytes;
  }
}

TEST_F(RedisReplyReader, BeginsAnewAfterReset) {
  ReplyReader reader;
  Reply reply;
  reader.feed("*2\r\n:1\r\n");
  EXPECT_EQ(reader.next(reply), ReplyReader::Status::kMore);
  reader.reset();
  reader.feed("?");
  EXPECT_EQ(reader.next(reply), ReplyReader::Status::kBad);
  EXPECT_FALSE(reader.problem().empty());
  reader.reset();
  EXPECT_TRUE(reader.problem().empty());
  reader.feed(":3\r\n");
  ASSERT_EQ(reader.next(reply), ReplyReader::Status::kReply);
  EXPECT_EQ(reply.integer, 3);
}

TEST(RedisReply, ComparesTheFirstWordOfErrors) {
  const Reply reply{.kind = Reply::Kind::kError, .text = "OOM command not allowed"};
  EXPECT_TRUE(reply.is_error("OOM"));
  EXPECT_FALSE(reply.is_error("OO"));
  EXPECT_FALSE((Reply{.kind = Reply::Kind::kText, .text = "OOM x"}).is_error("OOM"));
  EXPECT_TRUE((Reply{.kind = Reply::Kind::kError, .text = "OOM"}).is_error("OOM"));
}

TEST(RedisReply, NamesTheScriptOfACall) {
  EXPECT_EQ(script_call("finish", {"k1", "k2"}, {"a"}),
            (Command{"EVALSHA", "finish", "2", "k1", "k2", "a"}));
  EXPECT_EQ(script_call("beat", {}, {}), (Command{"EVALSHA", "beat", "0"}));
}

}  // namespace
}  // namespace sluice::redis
