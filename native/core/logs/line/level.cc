#include "core/logs/line/level.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/ascii.h"

namespace sluice {
namespace {

struct LevelName {
  std::string_view name;
  LogLevel level;
  bool upper_only = false;  ///< In small letters it is an ordinary word.
};

constexpr std::array kLevelNames = {
    LevelName{"error", LogLevel::kError},        LevelName{"info", LogLevel::kInfo},
    LevelName{"warn", LogLevel::kWarn},          LevelName{"debug", LogLevel::kDebug},
    LevelName{"warning", LogLevel::kWarn},       LevelName{"fatal", LogLevel::kFatal},
    LevelName{"notice", LogLevel::kInfo},        LevelName{"trace", LogLevel::kTrace},
    LevelName{"critical", LogLevel::kFatal},     LevelName{"crit", LogLevel::kFatal},
    LevelName{"err", LogLevel::kError},          LevelName{"severe", LogLevel::kError},
    LevelName{"panic", LogLevel::kFatal},        LevelName{"alert", LogLevel::kFatal},
    LevelName{"emerg", LogLevel::kFatal},        LevelName{"emergency", LogLevel::kFatal},
    LevelName{"information", LogLevel::kInfo},   LevelName{"verbose", LogLevel::kDebug},
    LevelName{"silly", LogLevel::kTrace},        LevelName{"fine", LogLevel::kDebug, true},
    LevelName{"log", LogLevel::kInfo},           LevelName{"fail", LogLevel::kError},
    LevelName{"dbug", LogLevel::kDebug},         LevelName{"trce", LogLevel::kTrace},
    LevelName{"wrn", LogLevel::kWarn},           LevelName{"inf", LogLevel::kInfo, true},
    LevelName{"dbg", LogLevel::kDebug},          LevelName{"ftl", LogLevel::kFatal},
    LevelName{"vrb", LogLevel::kDebug},          LevelName{"trc", LogLevel::kTrace},
    LevelName{"finer", LogLevel::kTrace, true},  LevelName{"finest", LogLevel::kTrace, true},
    LevelName{"config", LogLevel::kDebug, true}, LevelName{"failure", LogLevel::kError, true},
    LevelName{"informational", LogLevel::kInfo},
};

struct PhpLevel {
  std::string_view name;
  LogLevel level;
};

constexpr std::array kPhpLevels = {
    PhpLevel{"Fatal error:", LogLevel::kFatal},
    PhpLevel{"Parse error:", LogLevel::kFatal},
    PhpLevel{"Recoverable fatal error:", LogLevel::kError},
    PhpLevel{"Warning:", LogLevel::kWarn},
    PhpLevel{"Notice:", LogLevel::kInfo},
    PhpLevel{"Deprecated:", LogLevel::kWarn},
};

constexpr std::size_t kLevelNameBytesMax = 13;
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

std::size_t past_separators(std::string_view text, std::size_t at) {
  while (at < text.size() && is_separator(text[at])) ++at;
  return at;
}

/// Written in small letters these name a level even where nothing sets them off.
bool is_common(std::string_view word) {
  constexpr std::array<std::string_view, 7> kCommon = {"error", "info",  "warn", "warning",
                                                       "debug", "trace", "fatal"};
  return std::find(kCommon.begin(), kCommon.end(), word) != kCommon.end();
}

/// Whether the text begins with words in upper case or a dash, and a bracket: `NETWORK  [conn1]`.
bool is_mongo_component(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_upper(text[end]) || text[end] == '_')) ++end;
  if (end == 0 && text.starts_with('-')) end = 1;
  return end > 0 && end < text.size() && text[end] == ' ' &&
         text.find('[', end) == text.find_first_not_of(' ', end) &&
         text.find('[', end) != std::string_view::npos;
}

/// The level after a name: `production.ERROR` of Monolog.
LogLevel level_of_suffix(std::string_view word) {
  const std::size_t dot = word.rfind('.');
  if (dot == std::string_view::npos || !all(word.substr(dot + 1), is_upper)) return LogLevel::kNone;
  return level_of_word(word.substr(dot + 1));
}

}  // namespace

LogLevel level_among_words(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = word_end(text, at);
    const LogLevel level = level_of_word(text.substr(at, end - at));
    if (level != LogLevel::kNone) return level;
    at = end == at ? at + 1 : end;
  }
  return LogLevel::kNone;
}

LogLevelMatch find_letter_level(std::string_view text) {
  std::size_t at = past_separators(text, 0);
  std::size_t numbers = 0;
  while (at < text.size() && is_digit(text[at])) {
    at = past_separators(text, word_end(text, at));
    ++numbers;
  }
  if (at + 1 >= text.size()) return {};
  const LogLevel level = level_of_letter(text[at]);
  std::size_t end = at + 1;
  if (text[at] == 'D' && is_digit(text[end])) ++end;  // D1 to D5 of MongoDB
  if (level == LogLevel::kNone || end >= text.size()) return {};
  const bool slash = text[end] == '/';
  const std::size_t next = slash ? end + 1 : text.find_first_not_of(' ', end);
  if (next == std::string_view::npos || (!slash && next == end)) return {};
  const bool android = numbers >= 2 || slash;
  return android || is_mongo_component(text.substr(next)) ? LogLevelMatch{level, next}
                                                          : LogLevelMatch();
}

LogLevelMatch match_php_level(std::string_view text) {
  constexpr std::string_view kPhp = "PHP ";
  if (text.empty() || (text.front() != 'P' && text.front() != 'F')) return {};
  const std::size_t begin = text.starts_with(kPhp) ? kPhp.size() : 0;
  for (const PhpLevel& known : kPhpLevels) {
    if (!text.substr(begin).starts_with(known.name)) continue;
    // Without the prefix these words open ordinary sentences of other programs.
    if (begin == 0 && known.level != LogLevel::kFatal) return {};
    return {known.level, past_separators(text, begin + known.name.size())};
  }
  return {};
}

LogLevel level_of_word(std::string_view word) {
  if (word.size() < 3 || word.size() > kLevelNameBytesMax) return LogLevel::kNone;
  std::array<char, kLevelNameBytesMax> lower{};
  for (std::size_t i = 0; i < word.size(); ++i) {
    lower[i] = is_upper(word[i]) ? static_cast<char>(word[i] + ('a' - 'A')) : word[i];
  }
  std::string_view name(lower.data(), word.size());
  // PostgreSQL has DEBUG1 to DEBUG5.
  if (name.size() == 6 && is_digit(name.back()) && name.starts_with("debug")) name.remove_suffix(1);
  for (const LevelName& known : kLevelNames) {
    if (known.name.front() == name.front() && known.name == name)
      return known.upper_only && name == word ? LogLevel::kNone : known.level;
  }
  return LogLevel::kNone;
}

LogLevel level_of_letter(char letter) {
  switch (letter) {
    case 'V':
      return LogLevel::kTrace;
    case 'D':
      return LogLevel::kDebug;
    case 'I':
      return LogLevel::kInfo;
    case 'W':
      return LogLevel::kWarn;
    case 'E':
      return LogLevel::kError;
    case 'F':
      return LogLevel::kFatal;
    default:
      return LogLevel::kNone;
  }
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
  std::size_t at = past_separators(text, 0);
  bool first = true;
  for (std::size_t words = 0; words < kWordsMax && at < text.size(); ++words) {
    const char c = text[at];
    const bool brace = c == '{' && !text.substr(at + 1).starts_with('"');
    if (c == '[' || c == '(' || c == '<' || brace) {
      const char closing = c == '[' ? ']' : (c == '(' ? ')' : (c == '<' ? '>' : '}'));
      const std::size_t end = text.substr(0, at + 128).find(closing, at + 1);
      if (end == std::string_view::npos) return {};
      const LogLevel level = level_among_words(text.substr(at + 1, end - at - 1));
      at = past_separators(text, end + 1);
      if (level != LogLevel::kNone) return {level, at};
      continue;
    }
    const std::size_t end = word_end(text, at);
    if (end == at) return {};
    const std::string_view word = text.substr(at, end - at);
    if (first && word == "PHP") {
      LogLevelMatch php = match_php_level(text.substr(at));
      if (php.end > 0) php.end += at;
      return php;
    }
    const char after = end < text.size() ? text[end] : ' ';
    const std::size_t next = past_separators(text, end);
    if (after == '=' && (word == "level" || word == "lvl" || word == "severity")) {
      const std::size_t value_end = word_end(text, end + 1);
      return {level_of_word(text.substr(end + 1, value_end - end - 1)),
              past_separators(text, value_end)};
    }
    LogLevel level =
        is_separator(after) || after == '[' || after == '/' ? level_of_word(word) : LogLevel::kNone;
    if (after == ':' && level == LogLevel::kNone) level = level_of_suffix(word);
    const bool set_off = after == ':' || next > end + 1;
    if (level != LogLevel::kNone &&
        (set_off || all(word, is_upper) || (first && is_common(word)))) {
      return {level, next};
    }
    // What may come before a level: numbers, names set off by punctuation (`app - ERROR`,
    // `app | ERROR`), `user@database` of PostgreSQL.
    const bool before_bracket = first && next < text.size() && text[next] == '[';
    const bool account = word.find('@') != std::string_view::npos;
    if (!all(word, is_digit) && !set_off && !before_bracket && !account) return {};
    first = false;
    at = next;
  }
  return {};
}

}  // namespace sluice
