// Expected bytes are written out by hand from WHATWG HTML 9.2.5 and RFC 8259 section 7.
#include <array>
#include <charconv>
#include <cmath>
#include <random>
#include <vector>

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

TEST(JsonText, RoundsDecimalsAsTheStandardLibraryDoes) {
  std::vector<double> values{0.0,      -0.0,       0.0005, 0.0015, 0.0625, 0.1875, 1.0005, 0.9995,
                             999.9995, 1e14 + 0.5, 1e15,   -1.25,  1e300,  5e-324, 0.4996};
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto bits = static_cast<double>(random() >> 11);
    values.push_back(std::ldexp(bits, -static_cast<int>(random() % 80)));
    values.push_back(static_cast<double>(random() % 10'000'000) / 1e6);
  }
  for (const double value : values) {
    std::array<char, 400> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                   std::chars_format::fixed, 3);
    std::string out;
    append_json_decimal(out, value);
    ASSERT_EQ(out, std::string(digits.data(), end.ptr));
  }
}

}  // namespace
}  // namespace sluice
