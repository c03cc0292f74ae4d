#include "core/logs/input/encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/logs/recorder.h"
#include "split_input.h"

namespace sluice {
namespace {

std::string decode(const Pieces& pieces) {
  LogDecoder decoder;
  std::string scratch;
  std::string out;
  for (const std::string_view piece : pieces) out += decoder.decode(piece, scratch);
  out += decoder.finish(scratch);
  return out;
}

std::string utf16(std::u16string_view text, bool little) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8);
    const char low = static_cast<char>(unit & 0xFF);
    bytes += little ? std::string{low, high} : std::string{high, low};
  }
  return bytes;
}

TEST(LogDecoder, DecodesUtf16OfEitherOrderForAnyCuts) {
  for (const bool little : {true, false}) {
    const std::string input = utf16(
        u"\xFEFF"
        u"a\u00E9\u20AC\U0001F600\n",
        little);
    for (const Pieces& pieces : every_split(input)) {
      ASSERT_EQ(decode(pieces), "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n");
    }
  }
}

TEST(LogDecoder, HalvesOfCharactersAreNoUtf8) {
  const std::string input = utf16(
                                u"\xFEFF\xD83D"
                                u"a\xDE00\xD83D",
                                true) +
                            "x";
  for (const Pieces& pieces : every_split(input))
    ASSERT_EQ(decode(pieces),
              "\xFF"
              "a\xFF\xFF");
}

TEST(LogDecoder, OtherInputIsUnchanged) {
  for (const std::string_view input :
       {std::string_view("text"), std::string_view("\xFFx"), std::string_view("\xFE"),
        std::string_view("\xEF\xBB\xBF"
                         "a"),
        std::string_view("\xFF\xFF\xFE"), std::string_view("a\0b", 3), std::string_view()}) {
    for (const Pieces& pieces : every_split(input)) EXPECT_EQ(decode(pieces), input);
  }
}

TEST(LogDecoder, AParserReadsAFileOfWindows) {
  const LogRecorder recorder =
      record(utf16(u"\xFEFF"
                   u"2026-11-21 03:56:14 ERROR b\u00F6se\r\n  more\r\nERROR \xD800 half\r\n",
                   true));
  EXPECT_EQ(recorder.seen, (Seen{"e2 b\xC3\xB6se|  more", "e1m \xEF\xBF\xBD half"}));
  EXPECT_EQ(recorder.events[0].time_ms, 1'795'233'374'000);
}

}  // namespace
}  // namespace sluice
