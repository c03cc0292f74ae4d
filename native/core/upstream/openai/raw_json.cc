#include "core/upstream/openai/raw_json.h"

#include <algorithm>

namespace sluice {
namespace {

/// The position after the string whose opening quote is at `from`.
std::size_t string_end(std::string_view json, std::size_t from) {
  std::size_t at = from + 1;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return std::min(at + 1, json.size());
}

}  // namespace

std::size_t scalar_member_end(std::string_view json, std::size_t from) {
  std::size_t at = json.find(':', string_end(json, from));
  at = json.find_first_not_of(" \t\r\n", at + 1);
  if (at == std::string_view::npos) return json.size();
  if (json[at] == '"') return string_end(json, at);
  return std::min(json.find_first_of(",}] \t\r\n", at), json.size());
}

std::string_view whole_text(std::string_view text, Utf8Decoder::Surrogates surrogates,
                            std::string& scratch) {
  Utf8Decoder decoder;
  const std::string_view decoded = decoder.decode(text, scratch, surrogates);
  if (!decoder.holding()) return decoded;
  if (decoded.data() != scratch.data()) scratch.assign(decoded);
  scratch.append(decoder.finish());
  return scratch;
}

}  // namespace sluice
