#include "core/upstream/openai/raw_json.h"

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

TEST(RawJson, WholeTextEndsHeldCharacters) {
  std::string scratch;
  EXPECT_EQ(whole_text("a", Utf8Decoder::Surrogates::kReplace, scratch), "a");
  EXPECT_EQ(whole_text("a\xE2\x82", Utf8Decoder::Surrogates::kReplace, scratch), "a\uFFFD");
  EXPECT_EQ(whole_text("a\xED\xA0\xBD", Utf8Decoder::Surrogates::kJoin, scratch), "a\uFFFD");
}

}  // namespace
}  // namespace sluice
