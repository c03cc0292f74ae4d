// Incremental UTF-8 decoding: bytes that arrive in pieces become text that is valid piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// U+FFFD REPLACEMENT CHARACTER in UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// Decodes UTF-8 as the WHATWG Encoding standard does. A character whose bytes are split over
/// calls is held until it is whole. An ill-formed sequence becomes one U+FFFD per maximal subpart
/// (Unicode 15, section 3.9), so the output never depends on where the input was split.
///
/// One decoder per text stream, on one thread at a time. `finish` ends the stream and resets it.
class Utf8Decoder {
 public:
  /// What the three-byte form of a UTF-16 surrogate (ED A0 80 .. ED BF BF) means.
  enum class Surrogates {
    kReplace,  ///< Ill-formed, as the standard says.
    /// One half of a character: a high half is held until the next character, and with a low
    /// half becomes that one character; a half left alone becomes one U+FFFD.
    kJoin,
  };

  /// The text that `bytes` completes; may be empty. The view is `bytes` itself where that is
  /// possible, else `scratch`, whose content is replaced; it lives as long as those do.
  std::string_view decode(std::string_view bytes, std::string& scratch,
                          Surrogates surrogates = Surrogates::kReplace);

  /// Ends the stream: U+FFFD if a character was left incomplete, else nothing.
  std::string_view finish();

  /// Whether the start of a character is being held.
  [[nodiscard]] bool holding() const { return needed_ > 0 || high_surrogate_ != 0; }

 private:
  void take_byte(std::uint8_t byte, std::string& out, Surrogates surrogates);
  void take_lead(std::uint8_t byte, std::string& out, Surrogates surrogates);
  void take_code_point(std::uint32_t code_point, std::string& out);
  void drop_high_surrogate(std::string& out);

  // The bytes of an incomplete character: value so far, continuation bytes still due, and the
  // range that the next one must lie in.
  std::uint32_t code_point_ = 0;
  std::uint8_t needed_ = 0;
  std::uint8_t lower_ = 0x80;
  std::uint8_t upper_ = 0xBF;
  std::uint32_t high_surrogate_ = 0;  // Zero when none is held.
};

/// Appends the UTF-8 form of `code_point` (at most U+10FFFF). A surrogate gets its three-byte
/// form, which Utf8Decoder::Surrogates::kJoin understands.
void append_utf8(std::uint32_t code_point, std::string& out);

/// The length of the longest prefix of `bytes` that consists of whole, well-formed characters.
std::size_t valid_utf8_prefix(std::string_view bytes);

}  // namespace sluice
