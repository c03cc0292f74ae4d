#include "core/base/utf8.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "split_input.h"

namespace sluice {
namespace {

using std::string_literals::operator""s;

std::string decode_pieces(const Pieces& pieces,
                          Utf8Decoder::Surrogates surrogates = Utf8Decoder::Surrogates::kReplace) {
  Utf8Decoder decoder;
  std::string out;
  for (const std::string_view piece : pieces) {
    std::string scratch;
    out += decoder.decode(piece, scratch, surrogates);
    EXPECT_EQ(valid_utf8_prefix(out), out.size()) << "each piece of output is whole characters";
  }
  out += decoder.finish();
  EXPECT_FALSE(decoder.holding());
  return out;
}

// "R" stands for U+FFFD in the expectations below.
std::string with_replacements(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == 'R') {
      out += kReplacementCharacter;
    } else {
      out += c;
    }
  }
  return out;
}

struct Case {
  std::string input;
  std::string expected;
};

std::vector<Case> cases() {
  return {
      {"", ""},
      {"plain", "plain"},
      {"a\0b"s, "a\0b"s},
      {"\u00e9\u20ac\U0001f600", "\u00e9\u20ac\U0001f600"},
      {"\xEF\xBB\xBFx", "\uFEFFx"},  // A BOM is a character like any other to this class.
      // Unicode 15, table 3-8: U+FFFD for non-shortest forms.
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", with_replacements("RRRRRRRRA")},
      // Table 3-9: for surrogates.
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", with_replacements("RRRRRRRRA")},
      // Table 3-10: for other ill-formed sequences.
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", with_replacements("RRRRRARRB")},
      // Table 3-11: for truncated sequences.
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", with_replacements("RRRRA")},
      // Unicode 15, section 3.9, the example below table 3-7.
      {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", with_replacements("aRRRbRcRRd")},
      {"\xF5\x80\x80\x80", with_replacements("RRRR")},
      {"\xF0\x9F\x98", with_replacements("R")},
      {"\xF0\x9F\x98\xC3\xA9", with_replacements("R") + "\u00e9"},
      {"\xC3", with_replacements("R")},
      {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},  // U+10FFFF
      {"eight ascii bytes and then \xE2\x82\xAC, and again more ascii",
       "eight ascii bytes and then \u20ac, and again more ascii"},
  };
}

TEST(Utf8Decoder, DecodesTheTablesOfTheStandardForAnyCuts) {
  for (const Case& each : cases()) {
    for (const Pieces& pieces : every_split(each.input)) {
      EXPECT_EQ(decode_pieces(pieces), each.expected);
    }
  }
}

TEST(Utf8Decoder, HoldsACharacterUntilItIsWhole) {
  Utf8Decoder decoder;
  std::string scratch;
  EXPECT_EQ(decoder.decode("a\xF0\x9F", scratch), "a");
  EXPECT_TRUE(decoder.holding());
  EXPECT_EQ(decoder.decode("\x98", scratch), "");
  EXPECT_EQ(decoder.decode("\x80z", scratch), "\U0001f600z");
  EXPECT_FALSE(decoder.holding());
}

TEST(Utf8Decoder, HandsValidInputThroughWithoutACopy) {
  Utf8Decoder decoder;
  std::string scratch;
  const std::string_view input = "caf\u00e9";
  EXPECT_EQ(decoder.decode(input, scratch).data(), input.data());
}

TEST(Utf8Decoder, JoinsSurrogateHalvesOnRequest) {
  const std::vector<Case> joined = {
      {"\xED\xA0\xBD\xED\xB8\x80", "\U0001f600"},
      {"a\xED\xA0\xBD", with_replacements("aR")},
      {"\xED\xB8\x80z", with_replacements("Rz")},
      {"\xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80", with_replacements("R") + "\U0001f600"},
      {"\xED\xA0\xBDx\xED\xB8\x80", with_replacements("RxR")},
      {"\xED\xA0\xBD\xFF", with_replacements("RR")},
      {"\xED\xA0\xBD\xC3z", with_replacements("RRz")},
      {"\xED\x9F\xBF\xEE\x80\x80", "\uD7FF\uE000"},  // The neighbours of the surrogates.
  };
  for (const Case& each : joined) {
    for (const Pieces& pieces : every_split(each.input)) {
      EXPECT_EQ(decode_pieces(pieces, Utf8Decoder::Surrogates::kJoin), each.expected);
    }
  }
}

TEST(Utf8Decoder, RandomBytesDecodeAlikeForAnyCuts) {
  std::mt19937 random(20260101);  // A fixed seed, so that a failure repeats.
  // Bytes at the edges of the decoder's table, so that many sequences come close to valid.
  const std::string alphabet =
      "a\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xED\xEF\xF0\xF4\xF5\xFF"s;
  std::uniform_int_distribution<std::size_t> pick(0, alphabet.size() - 1);
  for (int round = 0; round < 300; ++round) {
    std::string input;
    for (int i = 0; i < 64; ++i) input += alphabet[pick(random)];
    const std::string expected = decode_pieces({input});
    EXPECT_EQ(decode_pieces(random_split(input, 5, random)), expected);
    EXPECT_EQ(decode_pieces(random_split(input, 1, random)), expected);
  }
}

TEST(AppendUtf8, RoundTripsEveryLengthClass) {
  std::string out;
  for (const std::uint32_t code_point :
       {0x41U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    append_utf8(code_point, out);
  }
  EXPECT_EQ(out, "A\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}

}  // namespace
}  // namespace sluice
