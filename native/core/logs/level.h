// Levels as logs write them. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/logs/event.h"

namespace sluice {

/// The level that a word names, in whatever case (`ERROR`, `warn`, `Critical`); kNone for others.
LogLevel level_of_word(std::string_view word);

/// The level of a number: syslog's severities 0 to 7, else pino's and bunyan's 10 to 60.
LogLevel level_of_number(double number);

/// A level among the first words of a text.
struct LogLevelMatch {
  LogLevel level = LogLevel::kNone;
  std::size_t end = 0;  ///< Behind it, and behind the bracket, colon or dash that closes it.
};

/// Looks for a level at the beginning of what follows a timestamp: `ERROR ...`, `[error] ...`,
/// `[main] ERROR ...`, `- name - ERROR - ...`, `12345 ERROR`, `level=error`. Only bracketed words,
/// numbers and names set off by punctuation may come before it; in running text only a word that
/// is all upper case counts, and only the first.
LogLevelMatch find_level(std::string_view text);

}  // namespace sluice
