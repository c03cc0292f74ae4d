#include "core/faces/json_cursor.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice {
namespace {

std::vector<std::string> visit(std::string_view json) {
  std::vector<std::string> seen;
  for (JsonCursor cursor(json); cursor.next();) {
    seen.push_back(std::string(cursor.name()) + "=" + std::string(cursor.value()));
  }
  return seen;
}

using Seen = std::vector<std::string>;

TEST(JsonCursor, VisitsMembersAndElementsAsSpans) {
  EXPECT_EQ(visit(R"( { "a" : 1 , "b":"x,}\"\\","c":{"d":[1,{"e":"]"}]},"f\"":null } )"),
            (Seen{"a=1", R"(b="x,}\"\\")", R"(c={"d":[1,{"e":"]"}]})", "f\\\"=null"}));
  EXPECT_EQ(visit("[1 , \"a\",[],{} ]"), (Seen{"=1", "=\"a\"", "=[]", "={}"}));
  EXPECT_EQ(visit("{}"), Seen{});
  EXPECT_EQ(visit("[ ]"), Seen{});
}

TEST(JsonCursor, EndsInInvalidJson) {
  for (const char* text : {"", " ", "1", "\"a\"", "{", "[", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[",
                           "{\"a\\", "{a:1}", "[\"\\"}) {
    EXPECT_EQ(visit(text), Seen{}) << text;
  }
  EXPECT_EQ(visit("[1 2]"), Seen{"=1"});
}

TEST(JsonMember, IsEmptyWhereThereIsNone) {
  EXPECT_EQ(json_member(R"({"a":1,"b":[2]})", "b"), "[2]");
  EXPECT_EQ(json_member(R"({"a":{"b":1}})", "b"), "");
  EXPECT_EQ(json_member("null", "b"), "");
}

TEST(JsonCount, TakesWholeNumbersAlone) {
  EXPECT_EQ(json_count("12"), 12u);
  for (const char* text : {"", "-1", "1.5", "1e3", "null", "\"1\"", "99999999999999999999"}) {
    EXPECT_EQ(json_count(text), std::nullopt) << text;
  }
}

TEST(IsJson, AcceptsTheInputOfJsonParse) {
  for (const char* text : {"{}", " [1,2.5e-3]\n", "null", "\"\\ud800\"", "{\"a\":{\"b\":[]}}",
                           "123456789012345678901234567890"}) {
    EXPECT_TRUE(is_json(text)) << text;
  }
  for (const char* text : {"", " ", "{", "{}{}", "{a:1}", "[1,]", "NaN", "'a'", "{} x", "\"\n\""}) {
    EXPECT_FALSE(is_json(text)) << text;
  }
  EXPECT_FALSE(is_json(std::string_view("{}\0", 3)));
  EXPECT_TRUE(is_json(std::string(100'000, '[') + std::string(100'000, ']')));
}

}  // namespace
}  // namespace sluice
