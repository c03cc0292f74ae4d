// The kinds of bodies that upstreams answer with. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// The UTF-8 form of U+FEFF, which may precede a text.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// The kind of a body, by its first bytes.
enum class BodyKind : std::uint8_t {
  kUnknown,  ///< More bytes are needed.
  kJson,
  kEvents,
  kOther,
};

BodyKind body_kind(std::string_view bytes);

/// `text/event-stream; charset=utf-8` without its parameters, in lower case.
std::string media_type(std::string_view header);

/// Whether a Content-Encoding leaves the body as it is.
bool is_identity_encoding(std::string_view encoding);

}  // namespace sluice
