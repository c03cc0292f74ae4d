// Levels as logs write them. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/logs/line/event.h"

namespace sluice {

/// The level that a word names in any case (`ERROR`, `warn`, `Critical`); kNone for other words.
LogLevel level_of_word(std::string_view word);

/// The level of a letter in upper case (V, D, I, W, E, F); kNone for others.
LogLevel level_of_letter(char letter);

/// The level of a number: a severity of syslog (0 to 7), else a level of pino or bunyan (10 to 60).
LogLevel level_of_number(double number);

/// A level among the first words of a text.
struct LogLevelMatch {
  LogLevel level = LogLevel::kNone;
  std::size_t end = 0;  ///< Offset after the level and its bracket, colon or dash.
};

/// The first level among the words of a bracket: `error`, `core:error`, `ERROR/MainProcess`.
LogLevel level_among_words(std::string_view text);

/// A level after a timestamp: `ERROR ...`, `[error] ...`, `[main] ERROR ...`,
/// `- name - ERROR - ...`, `12345 ERROR`, `level=error`, `app.ERROR: ...`, `PHP Warning:  ...`.
/// Only bracketed words, numbers, accounts and names set off by punctuation may precede it. In
/// running text only the first word counts, and only in upper case.
LogLevelMatch find_level(std::string_view text);

/// A level of one letter after a timestamp: `1702  2395 D Tag: ...` and `E/Tag( 12): ...` of
/// Android, `I NETWORK  [conn1] ...` of MongoDB.
LogLevelMatch find_letter_level(std::string_view text);

/// A level of PHP at the beginning: `PHP Fatal error:  ...`, `Fatal error: ...`.
LogLevelMatch match_php_level(std::string_view text);

}  // namespace sluice
