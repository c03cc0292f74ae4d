// Appends JSON text to a caller's string; no other allocation. Input is valid UTF-8. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Appends `text` as a JSON string with its quotes (RFC 8259 section 7): quotation mark, reverse
/// solidus and control characters escaped, so that no raw CR or LF is ever left in a frame.
void append_json_string(std::string& out, std::string_view text);

/// Appends `text` as a part of a JSON string: escaped in the same way, without quotes.
void append_json_escaped(std::string& out, std::string_view text);

/// Appends an unsigned integer.
void append_json_number(std::string& out, std::uint64_t value);

/// Appends a finite number with three decimals (milliseconds, rates).
void append_json_decimal(std::string& out, double value);

}  // namespace sluice
