// Logs as text, and a bound that no log reaches.
#pragma once

#include <string>

#include "core/streams/event_log.h"

namespace sluice {

/// Bytes of a log that trims nothing in these tests.
constexpr std::size_t kRoomy = 1 << 20;

/// The kind of an entry in one word.
inline std::string word_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::kText:
      return "text";
    case EntryKind::kReasoning:
      return "reasoning";
    case EntryKind::kRefusal:
      return "refusal";
    case EntryKind::kToolCall:
      return "call";
    case EntryKind::kToolArguments:
      return "arguments";
    case EntryKind::kExtra:
      return "extra";
  }
  return "?";
}

/// The retained text of a log.
inline std::string text_of(const EventLog& log, EntryKind kind = EntryKind::kText) {
  std::string text;
  log.append_text(text, kind);
  return text;
}

}  // namespace sluice
