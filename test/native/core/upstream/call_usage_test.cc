#include "core/upstream/call_usage.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr Usage estimate() {
  return {.prompt_tokens = 100, .completion_tokens = 20};
}

TEST(CallUsage, IsTheEstimateWithoutCounts) {
  const Usage usage = complete_usage({}, "\"cost\":1", estimate());
  EXPECT_EQ(usage.prompt_tokens, 100u);
  EXPECT_EQ(usage.completion_tokens, 20u);
  EXPECT_TRUE(usage.estimated);
  EXPECT_EQ(usage.raw, "");
}

TEST(CallUsage, KeepsTheOtherMembersBehindTheCounts) {
  const Usage usage = complete_usage({.prompt_tokens = 7, .completion_tokens = 3},
                                     R"("cost":0.10,"d":{"a":[1]})", estimate());
  EXPECT_FALSE(usage.estimated);
  EXPECT_EQ(
      usage.raw,
      R"({"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"cost":0.10,"d":{"a":[1]}})");
}

struct Case {
  TokenUsage sent;
  const char* raw;
};

TEST(CallUsage, AddsMissingParts) {
  const Case cases[] = {
      {{.prompt_tokens = 7, .total_tokens = 10},
       R"({"prompt_tokens":7,"completion_tokens":3,"total_tokens":10})"},
      {{.completion_tokens = 3, .total_tokens = 10},
       R"({"prompt_tokens":7,"completion_tokens":3,"total_tokens":10})"},
      {{.prompt_tokens = 7, .completion_tokens = 3, .total_tokens = 25},
       R"({"prompt_tokens":7,"completion_tokens":3,"total_tokens":25})"},
      {{.prompt_tokens = 7, .completion_tokens = 3, .is_estimated = true},
       R"({"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"estimated":true})"},
      {{.prompt_tokens = 7},
       R"({"prompt_tokens":7,"completion_tokens":20,"total_tokens":27,"estimated":true})"},
      {{.completion_tokens = 3},
       R"({"prompt_tokens":100,"completion_tokens":3,"total_tokens":103,"estimated":true})"},
      {{.prompt_tokens = 7, .total_tokens = 5},
       R"({"prompt_tokens":7,"completion_tokens":20,"total_tokens":5,"estimated":true})"},
      {{.total_tokens = 10},
       R"({"prompt_tokens":100,"completion_tokens":20,"total_tokens":10,"estimated":true})"},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(complete_usage(each.sent, {}, estimate()).raw, each.raw);
  }
}

}  // namespace
}  // namespace sluice
