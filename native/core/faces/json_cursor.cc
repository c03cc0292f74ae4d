#include "core/faces/json_cursor.h"

#include <rapidjson/reader.h>

#include <algorithm>
#include <charconv>

#include "core/base/surrogate_escapes.h"

namespace sluice {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

}  // namespace

void JsonCursor::enter() {
  skip_space();
  in_object_ = at_ < json_.size() && json_[at_] == '{';
  if (!in_object_ && !(at_ < json_.size() && json_[at_] == '[')) at_ = json_.size();
}

void JsonCursor::skip_space() {
  at_ = std::min(json_.find_first_not_of(kSpace, at_), json_.size());
}

bool JsonCursor::skip(char expected) {
  skip_space();
  if (at_ >= json_.size() || json_[at_] != expected) return false;
  ++at_;
  skip_space();
  return true;
}

bool JsonCursor::next() {
  name_ = value_ = {};
  // The bracket that opens, or the comma after the previous value.
  if (at_ >= json_.size() || std::string_view("{[,").find(json_[at_]) == std::string_view::npos) {
    return false;
  }
  ++at_;
  skip_space();
  if (in_object_) {
    const std::string_view quoted = take_string();
    if (quoted.size() < 2 || !skip(':')) return false;
    name_ = quoted.substr(1, quoted.size() - 2);
  }
  value_ = take_value();
  skip_space();
  return !value_.empty();
}

std::string_view JsonCursor::take_string() {
  if (at_ >= json_.size() || json_[at_] != '"') return {};
  const std::size_t from = at_++;
  while (at_ < json_.size() && json_[at_] != '"') at_ += json_[at_] == '\\' ? 2 : 1;
  if (at_ >= json_.size()) {
    at_ = json_.size();
    return {};
  }
  ++at_;
  return json_.substr(from, at_ - from);
}

std::string_view JsonCursor::take_value() {
  if (at_ >= json_.size()) return {};
  const std::size_t from = at_;
  switch (json_[at_]) {
    case '"':
      return take_string();
    case '{':
    case '[':
      return skip_nested() ? json_.substr(from, at_ - from) : std::string_view();
    default:
      at_ = std::min(json_.find_first_of(",]} \t\r\n", at_), json_.size());
      return json_.substr(from, at_ - from);
  }
}

// Moves past the object or array that begins here. False if it does not end.
bool JsonCursor::skip_nested() {
  std::size_t depth = 0;
  do {
    at_ = std::min(json_.find_first_of("\"{}[]", at_), json_.size());
    if (at_ == json_.size()) return false;
    const char c = json_[at_];
    if (c == '"') {
      if (take_string().empty()) return false;
      continue;
    }
    if (c == '{' || c == '[') {
      ++depth;
    } else {
      --depth;
    }
    ++at_;
  } while (depth > 0);
  return true;
}

std::string_view json_member(std::string_view object, std::string_view name) {
  for (JsonCursor members(object); members.next();) {
    if (members.name() == name) return members.value();
  }
  return {};
}

std::optional<std::uint64_t> json_count(std::string_view value) {
  std::uint64_t count = 0;
  const char* const end = value.data() + value.size();
  const auto result = std::from_chars(value.data(), end, count);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return count;
}

std::string_view json_members(std::string_view object) {
  const std::string_view text = trimmed(object);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return {};
  return trimmed(text.substr(1, text.size() - 2));
}

void append_json_line(std::string& out, std::string_view json) {
  const std::size_t from = out.size();
  out.append(json);
  for (std::size_t at = out.find_first_of("\r\n", from); at != std::string::npos;
       at = out.find_first_of("\r\n", at + 1)) {
    out[at] = ' ';
  }
}

bool is_json(std::string_view text) {
  // Iterative: nesting must not exhaust the thread's stack.
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                              rapidjson::kParseNumbersAsStringsFlag;
  std::string copy(text);
  // JavaScript takes a lone half of a surrogate pair, RapidJSON does not.
  unescape_lone_surrogates(copy);
  rapidjson::InsituStringStream stream(copy.data());
  rapidjson::BaseReaderHandler<> handler;
  rapidjson::Reader reader;
  // RapidJSON takes a NUL for the end of the text.
  return !reader.Parse<kFlags>(stream, handler).IsError() && stream.Tell() == copy.size();
}

}  // namespace sluice
