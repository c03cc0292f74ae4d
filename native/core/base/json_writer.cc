#include "core/base/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace sluice {

namespace {

constexpr char kHex[] = "0123456789abcdef";

// What follows the reverse solidus for each byte below 0x5d; 0: as it is, 'u': \u00XX.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c) table[c] = 'u';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  table['"'] = '"';
  table['\\'] = '\\';
  return table;
}

constexpr std::array<char, 256> kEscapes = make_escapes();

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  append_json_escaped(out, text);
  out.push_back('"');
}

void append_json_escaped(std::string& out, std::string_view text) {
  std::size_t plain_from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    out.append(text.substr(plain_from, i - plain_from));
    plain_from = i + 1;
    out.push_back('\\');
    out.push_back(escape);
    if (escape == 'u') {
      out.append("00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  out.append(text.substr(plain_from));
}

void append_json_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), result.ptr);
}

void append_json_decimal(std::string& out, double value) {
  // With 64 bits the product is exact below, so that it is rounded as the general way rounds.
  constexpr bool kIsExact = std::numeric_limits<long double>::digits >= 64;
  constexpr double kProductMax = 1e15;
  if (kIsExact && !std::signbit(value) && value < kProductMax) {
    const auto thousandths =
        static_cast<std::uint64_t>(std::llrintl(static_cast<long double>(value) * 1000));
    append_json_number(out, thousandths / 1000);
    const auto rest = static_cast<unsigned>(thousandths % 1000);
    out.push_back('.');
    for (const unsigned unit : {100U, 10U, 1U}) {
      out.push_back(static_cast<char>('0' + rest / unit % 10));
    }
    return;
  }
  std::array<char, 340> digits;  // the longest double in fixed notation, with three decimals
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                    std::chars_format::fixed, 3);
  out.append(digits.data(), result.ptr);
}

}  // namespace sluice
