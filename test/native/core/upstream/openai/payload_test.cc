// Payloads that differ from the previous one in their text alone: the results of a parser that has
// read others equal those of a new one.
#include "core/upstream/openai/payload.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "payload_text.h"

namespace sluice {
namespace {

std::string parsed_text(OpenAiPayloadParser& parser, std::string json) {
  const OpenAiPayload* const payload = parser.parse(json, false);
  if (payload == nullptr || payload->pieces.size() != 1) return "none";
  return std::string(payload->pieces.front().text);
}

std::string chunk(std::string_view text) {
  return R"({"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":")" +
         std::string(text) + R"("},"finish_reason":null}]})";
}

TEST(OpenAiPayloadRepeats, HaveTheirOwnTextAndNoHead) {
  OpenAiPayloadParser parser;
  std::string first = chunk("Hello");
  EXPECT_EQ(parser.parse(first, false)->model, "m");
  std::string next = chunk(" world, and more than before");
  const std::string unchanged = next;
  const OpenAiPayload* const payload = parser.parse(next, false);
  ASSERT_NE(payload, nullptr);
  EXPECT_EQ(next, unchanged) << "it was parsed";
  EXPECT_EQ(payload->pieces.front().text, " world, and more than before");
  EXPECT_EQ(payload->model, "");
  EXPECT_TRUE(payload->choices.front().has_delta);
}

TEST(OpenAiPayloadRepeats, AreThoseOfTheirOwnStream) {
  const auto choice = [](const std::string& index, const std::string& text) {
    return R"({"choices":[{"index":)" + index + R"(,"delta":{"content":")" + text + R"("}}]})";
  };
  OpenAiPayloadParser first;
  OpenAiPayloadParser second;
  EXPECT_EQ(parsed_text(first, choice("0", "a")), "a");
  EXPECT_EQ(parsed_text(second, choice("1", "b")), "b");
  std::string json = choice("0", "c");
  EXPECT_EQ(first.parse(json, false)->choices.front().index, 0);
  json = R"({"error":{"message":"m"}})";
  EXPECT_TRUE(second.parse(json, false)->error);
  json = choice("0", "d");
  const OpenAiPayload* const payload = first.parse(json, false);
  EXPECT_FALSE(payload->error);
  EXPECT_EQ(payload->pieces.front().text, "d");
  json = choice("1", "e");
  EXPECT_EQ(second.parse(json, false)->choices.front().index, 1);
}

TEST(OpenAiPayloadRepeats, WhateverTheTextIs) {
  OpenAiPayloadParser parser;
  for (const std::string text : {"a", "\xc3\xa4", "b", "", "c", "null", "]}", "\xff", "d"}) {
    EXPECT_EQ(parsed_text(parser, chunk(text)), text.empty() ? "none" : text);
  }
  EXPECT_EQ(parsed_text(parser, chunk(R"(a\"b)")), "a\"b");
  EXPECT_EQ(parsed_text(parser, chunk("x")), "x");
  EXPECT_EQ(parsed_text(parser, chunk(R"(\n)")), "\n");
  EXPECT_EQ(parsed_text(parser, chunk(R"(x","role":"user)")), "x");
  EXPECT_EQ(parsed_text(parser, chunk(R"(x","content":"y)")), "y");
  EXPECT_EQ(parsed_text(parser, chunk("z")), "z");
}

TEST(OpenAiPayloadRepeats, ATextThatIsThereTwiceIsTheLastOne) {
  OpenAiPayloadParser parser;
  const auto twice = [](const std::string& text) {
    return R"({"choices":[{"delta":{"content":"a","content":")" + text + R"("}}]})";
  };
  EXPECT_EQ(parsed_text(parser, twice("b")), "b");
  EXPECT_EQ(parsed_text(parser, twice("c")), "c");
  EXPECT_EQ(parsed_text(parser, twice("")), "a");
  EXPECT_EQ(parsed_text(parser, R"({"choices":[{"delta":{"content":"x","content":"c"}}]})"), "c");
}

// Texts, and their possible surroundings.
const std::vector<std::string> kTexts{"a",     "Hello", " world", "\xc3\xa4", R"(\u00e4)",
                                      R"(\n)", R"(\")", "",       "\xff",     R"(\ud83d)",
                                      "x\ty",  "x\"y",  "}",      R"(\\)",    "]}]}"};
const std::vector<std::string> kFronts{
    R"({"choices":[{"index":0,"delta":{"content":")",
    R"({"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":")",
    R"({"model":"n","choices":[{"index":0,"delta":{"role":"assistant","content":")",
    R"({"choices":[{"index":1,"delta":{"reasoning":")",
    R"({"choices":[{"text":")",
    R"({"choices":[{"message":{"content":")",
    R"({"choices":[{"delta":{"content":[{"type":"text","text":")",
    R"({"choices":[{"delta":{"x":")",
    R"({"error":{"message":")",
    R"({"message":")"};
const std::vector<std::string> kBacks{
    R"("}}]})",
    R"("},"finish_reason":null}]})",
    R"("},"finish_reason":"stop"}]})",
    R"("},"logprobs":{"content":[{"token":"a"}]}}]})",
    R"("}}],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
    R"("}}],"usage":null})",
    R"(","content":"b"}}]})",
    R"(","refusal":"b"}}]})",
    R"(","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]})",
    R"("}]}}]})",
    R"("}]})",
    R"("})",
    R"("}},{"index":1,"delta":{"content":"z"}}]})",
    R"("}}]} )",
    R"("}}])"};

TEST(OpenAiPayloadRepeats, EqualTheResultsOfANewParser) {
  std::mt19937 random(15);  // NOLINT: the same payloads every time
  const auto one_of = [&random](const std::vector<std::string>& all) {
    return all[random() % all.size()];
  };
  PayloadComparison comparison;
  std::string front = kFronts[0];
  std::string back = kBacks[0];
  for (int i = 0; i < 30'000; ++i) {
    // Mostly another text, as in a stream.
    if (random() % 8 == 0) front = one_of(kFronts);
    if (random() % 8 == 0) back = one_of(kBacks);
    std::string json = front + one_of(kTexts) + one_of(kTexts) + back;
    if (random() % 32 == 0) json.erase(random() % json.size(), 1);
    EXPECT_EQ(comparison.difference_at(json, random() % 64 == 0), "");
  }
}

}  // namespace
}  // namespace sluice
