#include "core/base/utf8.h"

#include <cstring>

namespace sluice {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

constexpr bool is_high_surrogate(std::uint32_t code_point) {
  return code_point >= 0xD800 && code_point <= 0xDBFF;
}

constexpr bool is_low_surrogate(std::uint32_t code_point) {
  return code_point >= 0xDC00 && code_point <= 0xDFFF;
}

/// The properties of a lead byte. `needed` is the number of continuation bytes; zero for a byte
/// that cannot start a multi-byte character.
struct Lead {
  std::uint8_t needed = 0;
  std::uint8_t lower = 0x80;
  std::uint8_t upper = 0xBF;
  std::uint8_t bits = 0;
};

/// The table of the WHATWG "UTF-8 decoder": the second byte's range excludes overlong forms,
/// surrogates and everything above U+10FFFF.
constexpr Lead classify_lead(std::uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1, 0x80, 0xBF, static_cast<std::uint8_t>(byte & 0x1F)};
  if (byte >= 0xE0 && byte <= 0xEF) {
    const std::uint8_t lower = byte == 0xE0 ? 0xA0 : 0x80;
    const std::uint8_t upper = byte == 0xED ? 0x9F : 0xBF;
    return {2, lower, upper, static_cast<std::uint8_t>(byte & 0x0F)};
  }
  if (byte >= 0xF0 && byte <= 0xF4) {
    const std::uint8_t lower = byte == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t upper = byte == 0xF4 ? 0x8F : 0xBF;
    return {3, lower, upper, static_cast<std::uint8_t>(byte & 0x07)};
  }
  return {};
}

std::size_t ascii_prefix(std::string_view bytes, std::size_t from) {
  std::size_t at = from;
  while (at + sizeof(std::uint64_t) <= bytes.size()) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if ((word & kHighBits) != 0) break;
    at += sizeof word;
  }
  while (at < bytes.size() && static_cast<std::uint8_t>(bytes[at]) < 0x80) ++at;
  return at;
}

}  // namespace

void append_utf8(std::uint32_t code_point, std::string& out) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::size_t valid_utf8_prefix(std::string_view bytes) {
  std::size_t at = 0;
  for (;;) {
    at = ascii_prefix(bytes, at);
    if (at == bytes.size()) return at;
    const Lead lead = classify_lead(static_cast<std::uint8_t>(bytes[at]));
    if (lead.needed == 0 || bytes.size() - at <= lead.needed) return at;
    const auto second = static_cast<std::uint8_t>(bytes[at + 1]);
    if (second < lead.lower || second > lead.upper) return at;
    for (std::size_t i = 2; i <= lead.needed; ++i) {
      if ((static_cast<std::uint8_t>(bytes[at + i]) & 0xC0) != 0x80) return at;
    }
    at += std::size_t{1} + lead.needed;
  }
}

std::string_view Utf8Decoder::decode(std::string_view bytes, std::string& scratch,
                                     Surrogates surrogates) {
  std::size_t valid = holding() ? 0 : valid_utf8_prefix(bytes);
  if (valid == bytes.size()) return bytes;
  scratch.assign(bytes.substr(0, valid));
  while (valid < bytes.size()) {
    take_byte(static_cast<std::uint8_t>(bytes[valid++]), scratch, surrogates);
    if (holding()) continue;
    // Back on a boundary: copy the well-formed run that follows in one go.
    const std::size_t run = valid_utf8_prefix(bytes.substr(valid));
    scratch.append(bytes.substr(valid, run));
    valid += run;
  }
  return scratch;
}

std::string_view Utf8Decoder::finish() {
  const bool incomplete = holding();
  *this = Utf8Decoder();
  return incomplete ? kReplacementCharacter : std::string_view();
}

void Utf8Decoder::take_byte(std::uint8_t byte, std::string& out, Surrogates surrogates) {
  if (needed_ == 0) return take_lead(byte, out, surrogates);
  if (byte < lower_ || byte > upper_) {
    // The held bytes are one maximal subpart; this byte starts afresh.
    needed_ = 0;
    drop_high_surrogate(out);
    out.append(kReplacementCharacter);
    return take_lead(byte, out, surrogates);
  }
  lower_ = 0x80;
  upper_ = 0xBF;
  code_point_ = code_point_ << 6 | (byte & 0x3F);
  if (--needed_ == 0) take_code_point(code_point_, out);
}

void Utf8Decoder::take_lead(std::uint8_t byte, std::string& out, Surrogates surrogates) {
  if (byte < 0x80) return take_code_point(byte, out);
  const Lead lead = classify_lead(byte);
  if (lead.needed == 0) {
    drop_high_surrogate(out);
    out.append(kReplacementCharacter);
    return;
  }
  code_point_ = lead.bits;
  needed_ = lead.needed;
  lower_ = lead.lower;
  upper_ = byte == 0xED && surrogates == Surrogates::kJoin ? 0xBF : lead.upper;
}

void Utf8Decoder::take_code_point(std::uint32_t code_point, std::string& out) {
  if (high_surrogate_ != 0 && is_low_surrogate(code_point)) {
    append_utf8(0x10000 + ((high_surrogate_ - 0xD800) << 10) + (code_point - 0xDC00), out);
    high_surrogate_ = 0;
    return;
  }
  drop_high_surrogate(out);
  if (is_high_surrogate(code_point)) {
    high_surrogate_ = code_point;
  } else if (is_low_surrogate(code_point)) {
    out.append(kReplacementCharacter);
  } else {
    append_utf8(code_point, out);
  }
}

void Utf8Decoder::drop_high_surrogate(std::string& out) {
  if (high_surrogate_ == 0) return;
  high_surrogate_ = 0;
  out.append(kReplacementCharacter);
}

}  // namespace sluice
