#include "core/sse/event_id.h"

#include <charconv>

#include "core/base/json_writer.h"

namespace sluice {

namespace {

// JavaScript clients compare these as numbers.
constexpr std::uint64_t kLargest = (std::uint64_t{1} << 53) - 1;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value > kLargest) return std::nullopt;
  return value;
}

}  // namespace

std::optional<EventId> parse_event_id(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto attempt = parse_number(text.substr(0, dash));
  const auto seq = parse_number(text.substr(dash + 1));
  if (!attempt || !seq || *attempt == 0) return std::nullopt;
  return EventId{*attempt, *seq};
}

void append_event_id(std::string& out, EventId id) {
  append_json_number(out, id.attempt);
  out.push_back('-');
  append_json_number(out, id.seq);
}

std::string to_string(EventId id) {
  std::string out;
  append_event_id(out, id);
  return out;
}

}  // namespace sluice
