#include "core/logs/line/json_record.h"

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <array>
#include <charconv>

#include "core/base/ascii.h"
#include "core/base/name_table.h"
#include "core/base/surrogate_escapes.h"
#include "core/base/utf8.h"
#include "core/logs/line/level.h"

namespace sluice {
namespace {

// Deeper than any real record; a hostile one is refused before it costs memory.
constexpr std::size_t kDepthMax = 256;

// Iterative: nesting must not use up the thread's stack.
constexpr unsigned kParseFlags =
    rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;

/// The meaning of a member of the record.
enum class Member : std::uint8_t {
  kNone,
  kLevel,
  kPriority,  // syslog's severity, as a string
  kTime,
  kMessage,
  kError,
  kFields,  // an object that holds the message
  kContent,
  kStream,
  kUnit,
  kProcess,
};

using Named = NamedValue<Member>;

constexpr NameTable kMembers(std::array{
    Named{"level", Member::kLevel},
    Named{"time", Member::kTime},
    Named{"msg", Member::kMessage},
    Named{"message", Member::kMessage},
    Named{"err", Member::kError},
    Named{"error", Member::kError},
    Named{"timestamp", Member::kTime},
    Named{"ts", Member::kTime},
    Named{"@timestamp", Member::kTime},
    Named{"t", Member::kTime},
    Named{"severity", Member::kLevel},
    Named{"lvl", Member::kLevel},
    Named{"levelname", Member::kLevel},
    Named{"log.level", Member::kLevel},
    Named{"exception", Member::kError},
    Named{"event", Member::kMessage},
    Named{"log", Member::kContent},
    Named{"stream", Member::kStream},
    Named{"fields", Member::kFields},
    Named{"s", Member::kLevel},
    // Serilog and .NET
    Named{"@t", Member::kTime},
    Named{"@l", Member::kLevel},
    Named{"@m", Member::kMessage},
    Named{"@mt", Member::kMessage},
    Named{"@x", Member::kError},
    Named{"Timestamp", Member::kTime},
    Named{"Level", Member::kLevel},
    Named{"LogLevel", Member::kLevel},
    Named{"Message", Member::kMessage},
    Named{"RenderedMessage", Member::kMessage},
    Named{"MessageTemplate", Member::kMessage},
    Named{"Exception", Member::kError},
    // PostgreSQL, Monolog, Log4j, ECS, GELF, Google Cloud
    Named{"error_severity", Member::kLevel},
    Named{"level_name", Member::kLevel},
    Named{"datetime", Member::kTime},
    Named{"timeMillis", Member::kTime},
    Named{"asctime", Member::kTime},
    Named{"exc_info", Member::kError},
    Named{"error.message", Member::kError},
    Named{"short_message", Member::kMessage},
    Named{"textPayload", Member::kMessage},
    // journald
    Named{"MESSAGE", Member::kContent},
    Named{"PRIORITY", Member::kPriority},
    Named{"__REALTIME_TIMESTAMP", Member::kTime},
    Named{"_SYSTEMD_UNIT", Member::kUnit},
    Named{"SYSLOG_IDENTIFIER", Member::kUnit},
    Named{"_PID", Member::kProcess},
});

Member find_member(std::string_view name) {
  return kMembers.find(name, Member::kNone);
}

}  // namespace

/// A time as a string: ISO 8601, or a number since 1970.
std::int64_t time_of_string(std::string_view text, const LogTimeContext& context) {
  const LogTime time = match_iso_time(text, context);
  if (time.end != 0) return time.ms;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? epoch_time_ms(number) : kNoTime;
}

/// A level as a word, or as MongoDB's letter.
LogLevel level_of_string(std::string_view text) {
  const bool letter = text.size() == 1 || (text.size() == 2 && text.front() == 'D');
  return letter ? level_of_letter(text.front()) : level_of_word(text);
}

/// Collects the SAX events of RapidJSON in a LogRecord. A handler returns false to stop.
class LogRecordReader::Handler {
 public:
  using Ch = char;

  LogRecord record;

  void begin(const LogTimeContext& context) {
    record = {};
    context_ = context;
    depth_ = 0;
    member_ = Member::kNone;
    inner_ = Member::kNone;
    for (Text* text : {&message_, &error_, &content_, &stream_, &unit_, &process_}) {
      text->value.clear();
      text->found = false;
    }
    error_message_found_ = false;
  }

  void finish() {
    record.message = message_.value;
    record.error = error_.value;
    record.content = content_.view();
    record.stream = stream_.view();
    record.unit = unit_.view();
    record.process = process_.view();
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
    if (depth_ == 1)
      member_ = find_member(name);
    else if (depth_ == 2)
      inner_ = inner_member(name);
    return true;
  }

  bool String(const char* chars, rapidjson::SizeType length, bool) {
    const std::string_view text(chars, length);
    if (depth_ == 1)
      take_string(text);
    else if (depth_ == 2)
      take_inner_string(text);
    return depth_ > 0;
  }

  bool RawNumber(const char* chars, rapidjson::SizeType length, bool) {
    double number = 0;
    if (depth_ == 2 && member_ == Member::kContent && in_array_) {
      // journald writes bytes that are no UTF-8 as an array of numbers.
      std::uint8_t byte = 0;
      std::from_chars(chars, chars + length, byte);
      if (!content_.found) content_.value.push_back(static_cast<char>(byte));
      return true;
    }
    if (depth_ != 1 || (member_ != Member::kLevel && member_ != Member::kTime)) return depth_ > 0;
    std::from_chars(chars, chars + length, number);
    if (member_ == Member::kLevel) {
      if (record.level == LogLevel::kNone) record.level = level_of_number(number);
    } else if (record.time_ms == kNoTime) {
      record.time_ms = epoch_time_ms(number);
    }
    return true;
  }

  bool StartObject() { return enter(false); }
  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool StartArray() { return depth_ > 0 && enter(true); }
  bool EndArray(rapidjson::SizeType count) {
    if (depth_ == 2 && member_ == Member::kContent && count > 0) content_.found = true;
    return leave();
  }

 private:
  struct Text {
    std::string value;
    bool found = false;

    /// Keeps the first text only.
    void set(std::string_view text) {
      if (found) return;
      value.assign(text);
      found = true;
    }
    [[nodiscard]] std::string_view view() const {
      return found ? std::string_view(value) : std::string_view();
    }
  };

  bool enter(bool array) {
    inner_ = Member::kNone;  // An array inside has no names.
    in_array_ = array;
    return ++depth_ <= kDepthMax;
  }

  bool leave() {
    --depth_;
    return true;
  }

  /// The meaning of a name in the object that `member_` holds.
  [[nodiscard]] Member inner_member(std::string_view name) const {
    if (member_ == Member::kError) {
      if (name == "message") return Member::kMessage;
      return name == "code" || name == "type" ? Member::kError : Member::kNone;
    }
    if (member_ == Member::kFields) return find_member(name);
    if (member_ == Member::kContent && name == "level") return Member::kLevel;  // ECS
    return member_ == Member::kTime && name == "$date" ? Member::kTime : Member::kNone;
  }

  void take_inner_string(std::string_view text) {
    if (member_ == Member::kError && inner_ == Member::kMessage) {
      if (!error_message_found_) error_.found = false;  // It counts more than a code.
      error_message_found_ = true;
      error_.set(text);
    } else if (member_ == Member::kError && inner_ == Member::kError) {
      error_.set(text);
    } else if (member_ == Member::kFields && inner_ == Member::kMessage) {
      message_.set(text);
    } else if (member_ == Member::kFields && inner_ == Member::kError) {
      error_.set(text);
    } else if (member_ == Member::kContent && inner_ == Member::kLevel) {
      record.level = level_of_string(text);
    } else if (member_ == Member::kTime && inner_ == Member::kTime && record.time_ms == kNoTime) {
      record.time_ms = time_of_string(text, context_);
    }
  }

  void take_string(std::string_view text) {
    switch (member_) {
      case Member::kLevel:
        if (record.level == LogLevel::kNone) record.level = level_of_string(text);
        break;
      case Member::kPriority:
        if (text.size() == 1 && is_digit(text[0])) record.level = level_of_number(text[0] - '0');
        break;
      case Member::kTime:
        if (record.time_ms == kNoTime) record.time_ms = time_of_string(text, context_);
        break;
      case Member::kMessage:
        if (!text.empty()) message_.set(text);
        break;
      case Member::kError:
        if (!text.empty()) error_.set(text);
        break;
      case Member::kContent:
        content_.set(text);
        break;
      case Member::kStream:
        stream_.set(text);
        break;
      case Member::kUnit:
        unit_.set(text);
        break;
      case Member::kProcess:
        process_.set(text);
        break;
      case Member::kFields:
      case Member::kNone:
        break;
    }
  }

  LogTimeContext context_;
  std::size_t depth_ = 0;
  Member member_ = Member::kNone;  // Of the record, whose value is being read.
  Member inner_ = Member::kNone;   // Of the object that is the value of `member_`.
  bool in_array_ = false;
  bool error_message_found_ = false;
  Text message_;
  Text error_;
  Text content_;
  Text stream_;
  Text unit_;
  Text process_;
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
  // RapidJSON takes a NUL for the end of its input.
  handler_->record.well_formed = parsed && stream.Tell() == line.size();
  return handler_->record;
}

}  // namespace sluice
