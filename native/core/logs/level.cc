#include "core/logs/level.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/ascii.h"

namespace sluice {
namespace {

struct LevelName {
  std::string_view name;
  LogLevel level;
};

constexpr std::array kLevelNames = {
    LevelName{"error", LogLevel::kError},      LevelName{"info", LogLevel::kInfo},
    LevelName{"warn", LogLevel::kWarn},        LevelName{"debug", LogLevel::kDebug},
    LevelName{"warning", LogLevel::kWarn},     LevelName{"fatal", LogLevel::kFatal},
    LevelName{"notice", LogLevel::kInfo},      LevelName{"trace", LogLevel::kTrace},
    LevelName{"critical", LogLevel::kFatal},   LevelName{"crit", LogLevel::kFatal},
    LevelName{"err", LogLevel::kError},        LevelName{"severe", LogLevel::kError},
    LevelName{"panic", LogLevel::kFatal},      LevelName{"alert", LogLevel::kFatal},
    LevelName{"emerg", LogLevel::kFatal},      LevelName{"emergency", LogLevel::kFatal},
    LevelName{"information", LogLevel::kInfo}, LevelName{"verbose", LogLevel::kDebug},
    LevelName{"silly", LogLevel::kTrace},      LevelName{"fine", LogLevel::kDebug},
    LevelName{"log", LogLevel::kInfo},
};

constexpr std::size_t kLevelNameBytesMax = 11;
constexpr std::size_t kWordsMax = 6;

constexpr bool is_word(char c) {
  return is_upper(c) || is_lower(c) || is_digit(c) || c == '_' || c == '.' || c == '$' ||
         c == '#' || c == '@';
}
constexpr bool is_separator(char c) {
  return c == ' ' || c == '\t' || c == '-' || c == '|' || c == ':' || c == ',' || c == ';';
}

bool all(std::string_view text, bool (*is)(char)) {
  for (const char c : text) {
    if (!is(c)) return false;
  }
  return !text.empty();
}

std::size_t word_end(std::string_view text, std::size_t at) {
  while (at < text.size() && is_word(text[at])) ++at;
  return at;
}

std::size_t skip_separators(std::string_view text, std::size_t at) {
  while (at < text.size() && is_separator(text[at])) ++at;
  return at;
}

/// Written in small letters these name a level even where nothing sets them off.
bool is_common(std::string_view word) {
  constexpr std::array<std::string_view, 7> kCommon = {"error", "info",  "warn", "warning",
                                                       "debug", "trace", "fatal"};
  return std::find(kCommon.begin(), kCommon.end(), word) != kCommon.end();
}

/// The level of a bracket's content: `error`, `core:error`, `ERROR/MainProcess`.
LogLevel level_in_bracket(std::string_view content) {
  std::size_t at = 0;
  while (at < content.size()) {
    const std::size_t end = word_end(content, at);
    const LogLevel level = level_of_word(content.substr(at, end - at));
    if (level != LogLevel::kNone) return level;
    at = end == at ? at + 1 : end;
  }
  return LogLevel::kNone;
}

}  // namespace

LogLevel level_of_word(std::string_view word) {
  if (word.size() < 3 || word.size() > kLevelNameBytesMax) return LogLevel::kNone;
  std::array<char, kLevelNameBytesMax> lower{};
  for (std::size_t i = 0; i < word.size(); ++i) {
    lower[i] = is_upper(word[i]) ? static_cast<char>(word[i] + ('a' - 'A')) : word[i];
  }
  const std::string_view name(lower.data(), word.size());
  for (const LevelName& known : kLevelNames) {
    if (known.name == name) return known.level;
  }
  return LogLevel::kNone;
}

LogLevel level_of_number(double number) {
  if (number >= 0 && number < 8) {
    constexpr std::array kSeverities = {
        LogLevel::kFatal, LogLevel::kFatal, LogLevel::kFatal, LogLevel::kError,
        LogLevel::kWarn,  LogLevel::kInfo,  LogLevel::kInfo,  LogLevel::kDebug,
    };
    return kSeverities[static_cast<std::size_t>(number)];
  }
  if (number >= 60) return LogLevel::kFatal;
  if (number >= 50) return LogLevel::kError;
  if (number >= 40) return LogLevel::kWarn;
  if (number >= 30) return LogLevel::kInfo;
  if (number >= 20) return LogLevel::kDebug;
  return number >= 8 ? LogLevel::kTrace : LogLevel::kNone;
}

LogLevelMatch find_level(std::string_view text) {
  std::size_t at = skip_separators(text, 0);
  bool first = true;
  for (std::size_t words = 0; words < kWordsMax && at < text.size(); ++words) {
    const char c = text[at];
    if (c == '[' || c == '(' || c == '<') {
      const char closing = c == '[' ? ']' : (c == '(' ? ')' : '>');
      const std::size_t end = text.substr(0, at + 128).find(closing, at + 1);
      if (end == std::string_view::npos) return {};
      const LogLevel level = level_in_bracket(text.substr(at + 1, end - at - 1));
      at = skip_separators(text, end + 1);
      if (level != LogLevel::kNone) return {level, at};
      continue;
    }
    const std::size_t end = word_end(text, at);
    if (end == at) return {};
    const std::string_view word = text.substr(at, end - at);
    const char after = end < text.size() ? text[end] : ' ';
    const std::size_t next = skip_separators(text, end);
    if (after == '=' && (word == "level" || word == "lvl" || word == "severity")) {
      const std::size_t value_end = word_end(text, end + 1);
      return {level_of_word(text.substr(end + 1, value_end - end - 1)),
              skip_separators(text, value_end)};
    }
    const LogLevel level =
        is_separator(after) || after == '[' || after == '/' ? level_of_word(word) : LogLevel::kNone;
    const bool set_off = after == ':' || next > end + 1;
    if (level != LogLevel::kNone &&
        (set_off || all(word, is_upper) || (first && is_common(word)))) {
      return {level, next};
    }
    // Numbers, and names set off by punctuation: `app - ERROR`, `12345 ---`, `app | ERROR`.
    const bool before_bracket = first && next < text.size() && text[next] == '[';
    if (!all(word, is_digit) && !set_off && !before_bracket) return {};
    first = false;
    at = next;
  }
  return {};
}

}  // namespace sluice
