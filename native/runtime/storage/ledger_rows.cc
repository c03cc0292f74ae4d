#include "runtime/storage/ledger_rows.h"

#include <optional>
#include <utility>

namespace sluice {

namespace {

constexpr std::int64_t kEventsPerPage = 1000;
constexpr std::size_t kEventColumns = 15;

// Converts a number to an enumerator; `last` is the largest valid one.
template <typename Enum>
bool take_enum(std::int64_t value, Enum last, Enum& into) {
  if (value < 0 || value > static_cast<std::int64_t>(last)) return false;
  into = static_cast<Enum>(value);
  return true;
}

// Reads an event; empty for an invalid row. Columns are in the order of the table.
std::optional<LedgerEvent> event_of(StoreRow& row) {
  const auto integer = [&row](std::size_t i) {
    const auto* const value = std::get_if<std::int64_t>(&row[i]);
    return value == nullptr ? -1 : *value;
  };
  const auto text = [&row](std::size_t i) {
    auto* const value = std::get_if<std::string>(&row[i]);
    return value == nullptr ? std::string() : std::move(*value);
  };
  if (row.size() != kEventColumns) return std::nullopt;
  LedgerEvent event;
  event.id = static_cast<LedgerId>(integer(0));
  event.at = integer(2);
  event.key = text(3);
  event.from = text(4);
  event.to = text(5);
  event.amount = integer(6);
  event.target = static_cast<LedgerId>(integer(7));
  event.time = integer(8);
  event.force = integer(9) != 0;
  event.due = integer(10);
  event.linked = static_cast<std::uint32_t>(integer(13));
  event.metadata = text(14);
  const bool known = take_enum(integer(1), LedgerEventType::kClose, event.type) &&
                     take_enum(integer(11), LedgerCode::kLinkedFailed, event.code) &&
                     take_enum(integer(12), LedgerEventType::kClose, event.refused);
  const bool timely = event.at >= 0 && event.time >= 0 && event.due >= 0;
  return known && timely ? std::optional(std::move(event)) : std::nullopt;
}

StoreRow row_of(const LedgerEvent& event) {
  return {store_number(event.id),
          store_number(static_cast<std::uint64_t>(event.type)),
          event.at,
          event.key,
          event.from,
          event.to,
          event.amount,
          store_number(event.target),
          event.time,
          store_number(event.force ? 1 : 0),
          event.due,
          store_number(static_cast<std::uint64_t>(event.code)),
          store_number(static_cast<std::uint64_t>(event.refused)),
          store_number(event.linked),
          event.metadata};
}

std::string at_event(LedgerId id, std::string_view what) {
  return "event " + std::to_string(id) + " of its ledger cannot be: " + std::string(what);
}

}  // namespace

StoreBatch batch_of(std::span<const LedgerEvent* const> events) {
  static const std::size_t kAdd = store_statement("add_event");
  StoreBatch batch;
  for (const LedgerEvent* event : events) batch.push_back({kAdd, row_of(*event)});
  return batch;
}

StoreBatch batch_of_changed(const std::vector<LedgerEvent>& events) {
  static const std::size_t kReplace = store_statement("replace_event");
  StoreBatch batch;
  for (const LedgerEvent& event : events) batch.push_back({kReplace, row_of(event)});
  return batch;
}

std::string load_ledger(StoreFile& file, Ledger& ledger) {
  const std::size_t events = file.statement("events");
  std::vector<StoreRow> rows;
  do {
    rows.clear();
    const StoreStatus status =
        file.select(events, {store_number(ledger.last_event()), kEventsPerPage}, rows);
    if (status != StoreStatus::kOk) return "its ledger cannot be read";
    for (StoreRow& row : rows) {
      const LedgerId next = ledger.last_event() + 1;
      const std::optional<LedgerEvent> event = event_of(row);
      if (!event) return at_event(next, "it is none");
      const std::string_view reason = ledger.replay(*event);
      if (!reason.empty()) return at_event(event->id, reason);
    }
  } while (!rows.empty());
  const std::string_view end = ledger.replay_end();
  return end.empty() ? "" : at_event(ledger.last_event(), end);
}

}  // namespace sluice
