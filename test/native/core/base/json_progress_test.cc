#include "core/base/json_progress.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

// The positions at which a text read byte by byte is complete, as one character per byte.
std::string progress_of(std::string_view text) {
  JsonProgress progress;
  std::string whole;
  for (std::size_t i = 0; i < text.size(); ++i) {
    progress.take(text.substr(i, 1));
    whole += progress.is_whole() ? '!' : '.';
  }
  return whole;
}

TEST(JsonProgress, KnowsTheEndOfObjectsArraysAndStrings) {
  EXPECT_EQ(progress_of(R"({"a":[{}]} )"), ".........!!");
  EXPECT_EQ(progress_of(R"( [1,"]"])"), ".......!");
  EXPECT_EQ(progress_of(R"("a\"b")"), ".....!");
  EXPECT_EQ(progress_of(R"({"\\":"}\""})"), "...........!");
}

TEST(JsonProgress, DoesNotKnowTheEndOfOtherText) {
  for (const std::string_view text : {"", " ", "12", "true", "x(\"y\")", "a{}", "{", "\"a"}) {
    JsonProgress progress;
    progress.take(text);
    EXPECT_FALSE(progress.is_whole()) << text;
    EXPECT_EQ(progress.has_begun(), text.find_first_not_of(' ') != std::string_view::npos) << text;
  }
}

TEST(JsonProgress, ContinuesAfterAWholeValue) {
  JsonProgress progress;
  progress.take("{}");
  EXPECT_TRUE(progress.is_whole());
  progress.take("{");
  EXPECT_FALSE(progress.is_whole());
  progress.take("}");
  EXPECT_TRUE(progress.is_whole());
}

}  // namespace
}  // namespace sluice
