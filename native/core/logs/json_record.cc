#include "core/logs/json_record.h"

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <array>
#include <charconv>

#include "core/base/surrogate_escapes.h"
#include "core/base/utf8.h"
#include "core/logs/level.h"

namespace sluice {
namespace {

// Deeper than any honest record; a hostile one is refused before it costs memory.
constexpr std::size_t kDepthMax = 256;

// Iterative: nesting must not use up the thread's stack.
constexpr unsigned kParseFlags =
    rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;

/// What a member of the record is.
enum class Member : std::uint8_t { kNone, kLevel, kTime, kMessage, kError };

struct MemberName {
  std::string_view name;
  Member member;
};

constexpr std::array kMemberNames = {
    MemberName{"level", Member::kLevel},     MemberName{"time", Member::kTime},
    MemberName{"msg", Member::kMessage},     MemberName{"message", Member::kMessage},
    MemberName{"err", Member::kError},       MemberName{"error", Member::kError},
    MemberName{"timestamp", Member::kTime},  MemberName{"ts", Member::kTime},
    MemberName{"@timestamp", Member::kTime}, MemberName{"t", Member::kTime},
    MemberName{"severity", Member::kLevel},  MemberName{"lvl", Member::kLevel},
    MemberName{"levelname", Member::kLevel}, MemberName{"log.level", Member::kLevel},
    MemberName{"exception", Member::kError}, MemberName{"event", Member::kMessage},
};

Member find_member(std::string_view name) {
  for (const MemberName& known : kMemberNames) {
    if (known.name == name) return known.member;
  }
  return Member::kNone;
}

}  // namespace

/// RapidJSON's SAX events, narrowed down to a LogRecord. A handler returns false to stop.
class LogRecordReader::Handler {
 public:
  using Ch = char;

  LogRecord record;

  void begin(const LogTimeContext& context) {
    record = {};
    context_ = context;
    depth_ = 0;
    member_ = Member::kNone;
    in_error_ = false;
    has_error_message_ = false;
    for (std::string* text : {&message_, &error_}) text->clear();
  }

  void finish() {
    record.message = message_;
    record.error = error_;
  }

  bool Null() { return depth_ > 0; }
  bool Bool(bool) { return depth_ > 0; }
  bool Int(int) { return depth_ > 0; }
  bool Uint(unsigned) { return depth_ > 0; }
  bool Int64(std::int64_t) { return depth_ > 0; }
  bool Uint64(std::uint64_t) { return depth_ > 0; }
  bool Double(double) { return depth_ > 0; }

  bool Key(const char* chars, rapidjson::SizeType length, bool) {
    const std::string_view name(chars, length);
    if (depth_ == 1) {
      member_ = find_member(name);
      in_error_ = member_ == Member::kError;
    } else if (depth_ == 2 && in_error_) {
      error_member_is_message_ = name == "message";
      error_member_names_it_ = name == "code" || name == "type";
    }
    return true;
  }

  bool String(const char* chars, rapidjson::SizeType length, bool) {
    take_string({chars, length});
    return depth_ > 0;
  }

  bool RawNumber(const char* chars, rapidjson::SizeType length, bool) {
    if (depth_ != 1 || (member_ != Member::kLevel && member_ != Member::kTime)) return depth_ > 0;
    double number = 0;
    std::from_chars(chars, chars + length, number);
    if (member_ == Member::kLevel) {
      if (record.level == LogLevel::kNone) record.level = level_of_number(number);
    } else if (record.time_ms == kNoTime) {
      record.time_ms = epoch_time_ms(number);
    }
    return true;
  }

  bool StartObject() { return enter(); }
  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool StartArray() { return depth_ > 0 && enter(); }
  bool EndArray(rapidjson::SizeType) { return leave(); }

 private:
  bool enter() {
    // What an array of the error holds is no member of it.
    error_member_is_message_ = false;
    error_member_names_it_ = false;
    return ++depth_ <= kDepthMax;
  }

  bool leave() {
    --depth_;
    return true;
  }

  void take_string(std::string_view text) {
    if (depth_ == 2 && in_error_) {
      if (error_member_is_message_ && !has_error_message_) {
        error_.assign(text);
        has_error_message_ = true;
      } else if (error_member_names_it_ && error_.empty()) {
        error_.assign(text);
      }
      return;
    }
    if (depth_ != 1) return;
    switch (member_) {
      case Member::kLevel:
        if (record.level == LogLevel::kNone) record.level = level_of_word(text);
        break;
      case Member::kTime:
        if (record.time_ms == kNoTime) record.time_ms = match_iso_time(text, context_).ms;
        break;
      case Member::kMessage:
        if (message_.empty()) message_.assign(text);
        break;
      case Member::kError:
        if (error_.empty()) error_.assign(text);
        break;
      case Member::kNone:
        break;
    }
  }

  LogTimeContext context_;
  std::size_t depth_ = 0;
  Member member_ = Member::kNone;  // Of the record, whose value is being read.
  bool in_error_ = false;
  bool error_member_is_message_ = false;
  bool error_member_names_it_ = false;
  bool has_error_message_ = false;
  std::string message_;
  std::string error_;
};

LogRecordReader::LogRecordReader() : handler_(std::make_unique<Handler>()) {}
LogRecordReader::~LogRecordReader() = default;

LogRecord LogRecordReader::read(std::string_view line, const LogTimeContext& context) {
  LogRecord record = parse(line, context);
  if (record.well_formed) return record;
  // JavaScript writes half a surrogate pair as an escape, which RapidJSON refuses.
  unescaped_.assign(line);
  if (!unescape_lone_surrogates(unescaped_)) return record;
  std::string scratch;
  Utf8Decoder decoder;
  unescaped_ = decoder.decode(unescaped_, scratch, Utf8Decoder::Surrogates::kJoin);
  return parse(unescaped_, context);
}

LogRecord LogRecordReader::parse(std::string_view line, const LogTimeContext& context) {
  handler_->begin(context);
  rapidjson::MemoryStream stream(line.data(), line.size());
  rapidjson::Reader reader;
  const bool parsed = !reader.Parse<kParseFlags>(stream, *handler_).IsError();
  handler_->finish();
  handler_->record.well_formed = parsed;
  return handler_->record;
}

}  // namespace sluice
