#include "core/upstream/raw_json.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

TEST(RawJson, TheEndOfAScalarMember) {
  for (const std::string_view member :
       {R"("a":1)", R"("a" : -1.5e3)", R"("a":true)", R"("a": null)", R"("a":"")",
        R"("a\"":"x\\\"}")", R"("a:b":",")", R"("":"\u007d")"}) {
    for (const std::string_view rest : {"", "}", ",\"b\":2}", " \n}"}) {
      const std::string json = "{" + std::string(member) + std::string(rest);
      EXPECT_EQ(scalar_member_end(json, 1), 1 + member.size()) << json;
    }
  }
}

// Where a text that comes byte by byte is whole, as one character for each byte.
std::string progress_of(std::string_view text) {
  JsonProgress progress;
  std::string whole;
  for (std::size_t i = 0; i < text.size(); ++i) {
    progress.take(text.substr(i, 1));
    whole += progress.is_whole() ? '!' : '.';
  }
  return whole;
}

TEST(RawJson, ProgressKnowsTheEndOfObjectsArraysAndStrings) {
  EXPECT_EQ(progress_of(R"({"a":[{}]} )"), ".........!!");
  EXPECT_EQ(progress_of(R"( [1,"]"])"), ".......!");
  EXPECT_EQ(progress_of(R"("a\"b")"), ".....!");
  EXPECT_EQ(progress_of(R"({"\\":"}\""})"), "...........!");
}

TEST(RawJson, ProgressDoesNotKnowTheEndOfOtherText) {
  for (const std::string_view text : {"", " ", "12", "true", "x(\"y\")", "a{}", "{", "\"a"}) {
    JsonProgress progress;
    progress.take(text);
    EXPECT_FALSE(progress.is_whole()) << text;
    EXPECT_EQ(progress.has_begun(), text.find_first_not_of(' ') != std::string_view::npos) << text;
  }
}

TEST(RawJson, ProgressGoesOnBehindAWholeValue) {
  JsonProgress progress;
  progress.take("{}");
  EXPECT_TRUE(progress.is_whole());
  progress.take("{");
  EXPECT_FALSE(progress.is_whole());
  progress.take("}");
  EXPECT_TRUE(progress.is_whole());
}

TEST(RawJson, WholeTextEndsHeldCharacters) {
  std::string scratch;
  EXPECT_EQ(whole_text("a", Utf8Decoder::Surrogates::kReplace, scratch), "a");
  EXPECT_EQ(whole_text("a\xE2\x82", Utf8Decoder::Surrogates::kReplace, scratch), "a\uFFFD");
  EXPECT_EQ(whole_text("a\xED\xA0\xBD", Utf8Decoder::Surrogates::kJoin, scratch), "a\uFFFD");
}

}  // namespace
}  // namespace sluice
