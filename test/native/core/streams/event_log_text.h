// The text of a log, and the size of a log that holds all of it.
#pragma once

#include <string>

#include "core/streams/event_log.h"

namespace sluice {

/// Bytes of a log that trims nothing in these tests.
constexpr std::size_t kRoomy = 1 << 20;

/// The retained text of a log.
inline std::string text_of(const EventLog& log, EntryKind kind = EntryKind::kText) {
  std::string text;
  log.append_text(text, kind);
  return text;
}

}  // namespace sluice
