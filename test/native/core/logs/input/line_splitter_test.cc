#include "core/logs/input/line_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "split_input.h"

namespace sluice {
namespace {

using Lines = std::vector<std::pair<std::string, bool>>;

Lines split(const Pieces& pieces, std::size_t line_bytes_max) {
  LogLineSplitter splitter(line_bytes_max);
  Lines lines;
  const auto take = [&lines](const LogLine& line) { lines.emplace_back(line.bytes, line.cut); };
  for (const std::string_view piece : pieces) splitter.push(piece, take);
  splitter.finish(take);
  return lines;
}

struct SplitCase {
  std::string_view input;
  Lines expected;
};

TEST(LogLineSplitter, FindsTheSameLinesForAnyCuts) {
  const std::vector<SplitCase> cases = {
      {"", {}},
      {"a\nbc\n", {{"a", false}, {"bc", false}}},
      {"a\r\nb\r\n", {{"a", false}, {"b", false}}},
      {"a\n\n\r\nb", {{"a", false}, {"", false}, {"", false}, {"b", false}}},
      // A CR that no LF follows is part of the line, but for the last one's.
      {"a\rb\r\r\nc\r", {{"a\rb\r", false}, {"c", false}}},
      // Eight bytes fit; a CRLF is not counted.
      {"12345678\n12345678\r\n123456789\n",
       {{"12345678", false}, {"12345678", false}, {"12345678", true}}},
      // No character is cut in two: 1234567 and the two bytes of U+00E9; U+1F600 has four.
      {"1234567\xC3\xA9\n12345678\xC3\xA9\n123456\xF0\x9F\x98\x80\n",
       {{"1234567", true}, {"12345678", true}, {"123456", true}}},
      {"\xEF\xBB\xBF"
       "a\n\xEF\xBB\xBF"
       "b\n",
       {{"a", false},
        {"\xEF\xBB\xBF"
         "b",
         false}}},
      {"\xEF\xBB\xBF"
       "12345678\n",
       {{"12345678", false}}},
  };
  for (const SplitCase& each : cases) {
    for (const Pieces& pieces : every_split(each.input)) {
      ASSERT_EQ(split(pieces, 8), each.expected) << each.input;
    }
  }
}

TEST(LogLineSplitter, KeepsALongLineUpToTheLimit) {
  LogLineSplitter splitter(10);
  Lines lines;
  const auto take = [&lines](const LogLine& line) { lines.emplace_back(line.bytes, line.cut); };
  const std::string piece(1000, 'x');
  for (int i = 0; i < 100; ++i) splitter.push(piece, take);
  EXPECT_TRUE(lines.empty());
  splitter.push("\nab\n", take);
  EXPECT_EQ(lines, (Lines{{std::string(10, 'x'), true}, {"ab", false}}));
}

}  // namespace
}  // namespace sluice
