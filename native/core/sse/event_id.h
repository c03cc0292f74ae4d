// Ids of a job's events: `<attempt>-<seq>`, both decimal. Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// The id `<attempt>-<seq>`: the form of a Redis stream id, so that a replica can use it unchanged.
/// The attempt counts from 1. Within an attempt `seq` counts from 1; 0 means "before the first
/// event" and, as the id of an event, the start of a new attempt.
struct EventId {
  std::uint64_t attempt = 1;
  std::uint64_t seq = 0;

  friend auto operator<=>(const EventId&, const EventId&) = default;
};

/// Reads `<attempt>-<seq>`: digits only, no leading zeros, attempt >= 1, at most 2^53 - 1 each.
/// Anything else is nullopt.
std::optional<EventId> parse_event_id(std::string_view text);

/// Appends `<attempt>-<seq>`.
void append_event_id(std::string& out, EventId id);

std::string to_string(EventId id);

}  // namespace sluice
