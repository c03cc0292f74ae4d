// Expected bytes are written out by hand from WHATWG HTML 9.2.5 and RFC 8259 section 7.
#include "core/sse/encoder.h"

#include <gtest/gtest.h>

#include "core/base/json_writer.h"

namespace sluice {
namespace {

std::string event(std::string_view id, std::string_view type, std::string_view data) {
  std::string out;
  EXPECT_TRUE(append_sse_event(out, id, type, data));
  return out;
}

TEST(SseEncoder, WritesFieldsInOrderAndABlankLine) {
  EXPECT_EQ(event("1-1", "token", "{}"), "id: 1-1\nevent: token\ndata: {}\n\n");
  EXPECT_EQ(event("", "gap", "{}"), "event: gap\ndata: {}\n\n");
  EXPECT_EQ(event("", "", "x"), "data: x\n\n");
}

TEST(SseEncoder, SplitsDataOnEveryLineEnding) {
  EXPECT_EQ(event("", "", "a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(event("", "", ""), "data: \n\n");
  EXPECT_EQ(event("", "", "a\n"), "data: a\ndata: \n\n");
  EXPECT_EQ(event("", "", "\n\r"), "data: \ndata: \ndata: \n\n");
}

TEST(SseEncoder, RefusesLineEndingsAndNulInIdAndType) {
  for (const std::string_view bad :
       {std::string_view("a\nb"), std::string_view("a\rb"), std::string_view("a\0b", 3),
        std::string_view("x\n\ndata: injected")}) {
    std::string out = "before";
    EXPECT_FALSE(append_sse_event(out, bad, "token", "{}"));
    EXPECT_FALSE(append_sse_event(out, "1-1", bad, "{}"));
    EXPECT_EQ(out, "before");
  }
}

TEST(SseEncoder, SetsTheReconnectionTime) {
  std::string out;
  append_sse_retry(out, 2000);
  EXPECT_EQ(out, "retry: 2000\n");
}

TEST(JsonText, EscapesWhatRfc8259Demands) {
  std::string out;
  append_json_string(out, "q\" b\\ \b\f\n\r\t \x01\x1f / \x7f");
  EXPECT_EQ(out, "\"q\\\" b\\\\ \\b\\f\\n\\r\\t \\u0001\\u001f / \x7f\"");
}

TEST(JsonText, LeavesUtf8AsItIs) {
  std::string out;
  append_json_string(out, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
  EXPECT_EQ(out, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
  out.clear();
  append_json_string(out, std::string_view("\0", 1));
  EXPECT_EQ(out, "\"\\u0000\"");
}

TEST(JsonText, WritesNumbers) {
  std::string out;
  append_json_number(out, 18446744073709551615u);
  EXPECT_EQ(out, "18446744073709551615");
  out.clear();
  append_json_decimal(out, 1.5);
  EXPECT_EQ(out, "1.500");
}

}  // namespace
}  // namespace sluice
