// Fuzzes the writer of JSON strings: any valid text is read back unchanged, without a raw control
// character.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/json_writer.h"
#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"
#include "fuzz.h"

namespace {

using namespace sluice;

std::string unescaped(std::string_view json) {
  std::string out;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '\\') {
      out.push_back(json[i]);
      continue;
    }
    const char c = json[++i];
    const std::size_t short_form = std::string_view("bfnrt").find(c);
    if (c == 'u') {
      append_utf8(
          static_cast<std::uint32_t>(std::stoul(std::string(json.substr(i + 1, 4)), nullptr, 16)),
          out);
      i += 4;
    } else {
      out.push_back(short_form == std::string_view::npos ? c : "\b\f\n\r\t"[short_form]);
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string scratch;
  Utf8Decoder decoder;
  std::string text(decoder.decode(FuzzInput(data, size).rest(), scratch));
  text.append(decoder.finish());
  std::string json;
  append_json_string(json, text);
  require(is_json(json), "a string is JSON");
  for (const char c : json) require(static_cast<std::uint8_t>(c) >= 0x20, "no control character");
  const std::string_view content = std::string_view(json).substr(1, json.size() - 2);
  require(unescaped(content) == text, "it comes back");
  std::string escaped;
  append_json_escaped(escaped, text);
  require(escaped == content, "a part is the same without quotes");
  return 0;
}
