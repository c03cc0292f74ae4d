// Fuzzes event ids, and the position of a cursor in a log.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/sse/event_id.h"
#include "core/streams/event_log.h"
#include "fuzz.h"

namespace {

using namespace sluice;

constexpr std::uint64_t kMax = (std::uint64_t{1} << 53) - 1;

std::optional<std::uint64_t> number_of(std::string_view digits) {
  if (digits.empty() || digits.size() > 16) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number <= kMax ? std::optional(number) : std::nullopt;
}

void check_id(std::string_view text) {
  const std::optional<EventId> id = parse_event_id(text);
  const std::size_t dash = text.find('-');
  std::optional<std::uint64_t> attempt;
  std::optional<std::uint64_t> seq;
  if (dash != std::string_view::npos) {
    attempt = number_of(text.substr(0, dash));
    seq = number_of(text.substr(dash + 1));
  }
  const bool valid = attempt && seq && *attempt >= 1;
  require(id.has_value() == valid, "ids are two plain numbers");
  if (!id) return;
  require(*id == EventId{*attempt, *seq}, "the numbers are read");
  require(to_string(*id) == text, "an id has one form");
}

void check_cursor(const EventLog& log, std::string_view cursor) {
  const EventLog::Resolved resolved = log.resolve(cursor);
  require(resolved.position.attempt <= log.attempt(), "a position lies in the log");
  std::size_t events = 0;
  EventLog::Position position = resolved.position;
  for (;;) {
    const EventLog::Event event = log.read(position);
    if (event.kind == EventLog::EventKind::kNone) break;
    require(event.id.seq == position.next_seq, "events are dense");
    ++position.next_seq;
    require(++events <= 12, "a replay ends");
  }
  require(log.at_end(position), "a replay reaches the end");
  if (!resolved.gap && !cursor.empty()) {
    require(parse_event_id(cursor).has_value(), "a cursor that is no id has a gap");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = FuzzInput(data, size).rest();
  check_id(text);
  for (const std::size_t bytes_max : {std::size_t{1} << 20, std::size_t{24}}) {
    EventLog log(bytes_max);
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (attempt > 0) log.begin_attempt();
      for (int i = 0; i < 9; ++i) log.append("token");
    }
    log.end(Terminal{});
    check_cursor(log, text);
  }
  return 0;
}
