#include "core/upstream/answer_body.h"

#include <array>

#include "core/base/ascii.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 4> kSseFields{"data", "event", "id", "retry"};

}  // namespace

BodyKind body_kind(std::string_view bytes) {
  const std::string_view mark = bytes.substr(0, kByteOrderMark.size());
  if (mark.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(mark)) {
    return BodyKind::kUnknown;
  }
  if (mark == kByteOrderMark) bytes.remove_prefix(mark.size());
  const std::size_t start = bytes.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return BodyKind::kUnknown;
  bytes.remove_prefix(start);
  if (bytes.front() == '{' || bytes.front() == '[') return BodyKind::kJson;
  if (bytes.front() == ':') return BodyKind::kEvents;
  for (const std::string_view field : kSseFields) {
    const std::string_view name = bytes.substr(0, field.size());
    if (!field.starts_with(name)) continue;
    if (name.size() < field.size() || bytes.size() == field.size()) return BodyKind::kUnknown;
    if (bytes[field.size()] == ':') return BodyKind::kEvents;
  }
  return BodyKind::kOther;
}

std::string media_type(std::string_view header) {
  std::string type(header.substr(0, header.find(';')));
  for (char& c : type) c = to_lower(c);
  constexpr std::string_view kBlank = " \t";
  const std::size_t from = type.find_first_not_of(kBlank);
  if (from == std::string::npos) return {};
  return type.substr(from, type.find_last_not_of(kBlank) - from + 1);
}

bool is_identity_encoding(std::string_view encoding) {
  return encoding.empty() || equals_ignoring_case(encoding, "identity");
}

}  // namespace sluice
