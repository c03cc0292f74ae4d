#include "core/logs/pattern/pattern.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

struct PatternCase {
  std::string_view pattern;
  std::vector<std::string_view> matching;
  std::vector<std::string_view> other;
};

// Expected as JavaScript's RegExp.prototype.test answers.
const std::vector<PatternCase> kCases = {
    {"", {"", "a"}, {}},
    {"abc", {"abc", "xabcx"}, {"", "ab", "acb"}},
    {"^\\d{4}-\\d\\d-\\d\\d", {"2026-11-21 x"}, {" 2026-11-21", "2026-1-21", "202-11-21"}},
    {"^a|b$", {"ax", "xb", "a", "b"}, {"xa", "bx"}},
    {"^(?:a|bc)*d$", {"d", "ad", "bcabcd"}, {"abd", "x", "da"}},
    {"^(a(b|c)){2}$", {"abac", "acac"}, {"ab", "abacab"}},
    {"^a{2,3}$", {"aa", "aaa"}, {"a", "aaaa"}},
    {"^a{2,}$", {"aa", "aaaaaa"}, {"a"}},
    {"^a{0}b$", {"b"}, {"ab"}},
    {"^a{,2}$", {"a{,2}"}, {"a", "aa"}},
    {"^x?y+?$", {"y", "xyy"}, {"x", "xxy"}},
    {"^[^\\s:]+: ", {"key: v"}, {"a b: c", ": x", "key:"}},
    {"^[\\]a-c\\-]+$", {"]", "abc-"}, {"d", ""}},
    {"^[-x]$", {"-", "x"}, {"y"}},
    {"^\\[[A-Z]+\\]", {"[WARN] x"}, {"[warn]", "WARN]"}},
    {"\\bat\\b", {"at", "x at y"}, {"bat", "atx"}},
    {"\\Bat", {"bat"}, {"at", " at"}},
    {"^.$", {"x", " "}, {"", "xy"}},
    {"\\t\\x41\\/\\.", {"\tA/."}, {"\tAx."}},
    {"^\xC3\xA9+$", {"\xC3\xA9", "\xC3\xA9\xC3\xA9"}, {"\xC3", "\xC3\xA9\xA9"}},
    {"^\\W\\D\\S$", {"-xz"}, {"axz", "-1z", "-x "}},
    {"(|a)b", {"b", "ab"}, {"a"}},
    {"^(?<year>\\d{4})-(?<_m$1>\\d\\d)", {"2026-11"}, {"26-11"}},
    {"^(?<level>WARN|ERROR)+ ", {"ERROR x", "WARNERROR x"}, {"INFO x"}},
    {"(?<Ã©tÃ©>a)", {"a"}, {"b"}},
    {"(a*)*b", {"b", "aaab"}, {"aaa"}},
};

TEST(LogPattern, MatchesAsJavaScriptDoes) {
  for (const PatternCase& each : kCases) {
    std::string problem;
    auto pattern = LogPattern::compile(each.pattern, false, problem);
    ASSERT_TRUE(pattern.has_value()) << each.pattern << ": " << problem;
    for (const std::string_view line : each.matching) {
      EXPECT_TRUE(pattern->matches(line)) << "/" << each.pattern << "/ on " << line;
    }
    for (const std::string_view line : each.other) {
      EXPECT_FALSE(pattern->matches(line)) << "/" << each.pattern << "/ on " << line;
    }
  }
}

TEST(LogPattern, IgnoresCaseOnRequest) {
  std::string problem;
  auto pattern = LogPattern::compile("^err[o-r]+", true, problem);
  EXPECT_TRUE(pattern->matches("ERROR"));
  EXPECT_TRUE(pattern->matches("Error"));
  EXPECT_FALSE(pattern->matches("ERRAR"));
}

TEST(LogPattern, RefusesPatternsWithoutALinearMatch) {
  for (const std::string_view source : {"(?=a)",
                                        "(?!a)",
                                        "(?<=a)",
                                        "(?<!a)",
                                        "(?<n>a)\\k<n>",
                                        "(?<>a)",
                                        "(?<1>a)",
                                        "(?<n",
                                        "(?P<n>a)",
                                        "(a)\\1",
                                        "\\p{L}",
                                        "a**",
                                        "*a",
                                        "(a",
                                        "a)",
                                        "[a",
                                        "[b-a]",
                                        "a{3,2}",
                                        "a{1001}",
                                        "\\",
                                        "[\xC3\xA9]",
                                        "((a{100}){100}){100}"}) {
    std::string problem;
    EXPECT_FALSE(LogPattern::compile(source, false, problem).has_value()) << source;
    EXPECT_FALSE(problem.empty()) << source;
  }
  std::string problem;
  EXPECT_FALSE(LogPattern::compile(std::string(100'000, '('), false, problem).has_value());
}

TEST(LogPattern, TakesLinearTimeWhereBacktrackingIsExponential) {
  std::string problem;
  auto pattern = LogPattern::compile("^(a+)+(a|aa)*(a*)*$", false, problem);
  ASSERT_TRUE(pattern.has_value()) << problem;
  // A backtracking matcher would not return from this one.
  EXPECT_FALSE(pattern->matches(std::string(4000, 'a') + "b"));
}

}  // namespace
}  // namespace sluice
