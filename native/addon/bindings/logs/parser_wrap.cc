#include "addon/bindings/logs/parser_wrap.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "addon/napi/arguments.h"
#include "addon/napi/flat_array.h"

namespace sluice {
namespace {

constexpr std::uint32_t kMalformedFlag = 1;
constexpr std::uint32_t kTruncatedFlag = 2;
constexpr std::uint32_t kContainerFlag = 4;

/// Milliseconds of any size as nanoseconds.
Nanos nanos_from(double ms) {
  const double nanos = ms * static_cast<double>(kMillisecond);
  return nanos < static_cast<double>(kNever) ? static_cast<Nanos>(nanos) : kNever;
}

/// Appends the events of a least level to a FlatArray.
class ArraySink final : public LogSink {
 public:
  ArraySink(napi_env env, double least) : array_(env), least_(least) {}

  [[nodiscard]] Napi::Value array() const { return array_.value(); }

  void on_event(const LogEvent& event) override {
    const auto level = static_cast<double>(event.level);
    if (level < least_) return;
    array_.append(event.time_ms == kNoTime ? std::numeric_limits<double>::quiet_NaN()
                                           : static_cast<double>(event.time_ms));
    array_.append(level);
    array_.append(static_cast<double>(event.source));
    array_.append(event.text);
    append_message(event);
    array_.append(static_cast<double>((event.malformed ? kMalformedFlag : 0) |
                                      (event.truncated ? kTruncatedFlag : 0) |
                                      (event.container.empty() ? 0 : kContainerFlag)));
    if (!event.container.empty()) array_.append(event.container);
  }

 private:
  /// A message behind an ASCII header has the same offset in UTF-16 as in UTF-8.
  void append_message(const LogEvent& event) {
    const char* const begin = event.message.data();
    const char* const text = event.text.data();
    const bool inside = std::greater_equal<>()(begin, text) &&
                        std::less_equal<>()(begin, text + event.text.size()) &&
                        begin + event.message.size() == text + event.text.size();
    if (!inside || !is_ascii(event.text.substr(0, event.text.size() - event.message.size()))) {
      return array_.append(event.message);
    }
    array_.append(static_cast<double>(event.text.size() - event.message.size()));
  }

  static bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; });
  }

  FlatArray array_;
  double least_;
};

/// Reads [source, ignoreCase, ...]; `problem` names the first pattern refused.
std::vector<LogPattern> patterns_from(napi_env env, napi_value array, std::string& problem) {
  std::vector<LogPattern> patterns;
  const std::vector<napi_value> elements = elements_of(env, array);
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    std::string why;
    const std::string source = text_from(env, elements[i]);
    auto pattern = LogPattern::compile(source, flag_from(env, elements[i + 1]), why);
    if (pattern.has_value())
      patterns.push_back(std::move(*pattern));
    else if (problem.empty())
      problem = "/" + source + "/: " + why;
  }
  return patterns;
}

std::int64_t ms_from(const Napi::CallbackInfo& info, std::size_t index) {
  return static_cast<std::int64_t>(number_from(info.Env(), info[index]));
}

LogParser::SourceId source_from(const Napi::CallbackInfo& info) {
  return static_cast<LogParser::SourceId>(count_from(info.Env(), info[0]));
}

}  // namespace

Napi::Function LogParserWrap::define(Napi::Env env) {
  return DefineClass(env, "LogParser",
                     {
                         InstanceMethod<&LogParserWrap::problem>("problem"),
                         InstanceMethod<&LogParserWrap::push>("push"),
                         InstanceMethod<&LogParserWrap::flush>("flush"),
                         InstanceMethod<&LogParserWrap::end_source>("endSource"),
                         InstanceMethod<&LogParserWrap::forget>("forget"),
                         InstanceMethod<&LogParserWrap::next_deadline_ms>("nextDeadlineMs"),
                         InstanceMethod<&LogParserWrap::stats>("stats"),
                         InstanceMethod<&LogParserWrap::newest_ms>("newestMs"),
                         InstanceMethod<&LogParserWrap::top_errors>("topErrors"),
                     });
}

LogParserWrap::LogParserWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Napi::Env env = info.Env();
  const auto number = [&](const char* name) {
    return number_from(env, member_of(env, info[0], name));
  };
  const auto count = [&](const char* name) { return static_cast<std::size_t>(number(name)); };
  LogParser::Options options;
  options.formats = static_cast<std::uint32_t>(number("formats"));
  options.times.utc_offset_minutes = static_cast<std::int32_t>(number("utcOffsetMinutes"));
  options.times.reference_ms = static_cast<std::int64_t>(number("referenceMs"));
  options.event = {count("maxLines"), count("maxBytes")};
  options.flush = nanos_from(number("flushMs"));
  options.errors.templates.templates = count("maxTemplates");
  options.errors.window_ms_max = static_cast<std::int64_t>(number("maxWindowMs"));
  LogPatterns patterns;
  patterns.start = patterns_from(env, member_of(env, info[0], "start"), problem_);
  patterns.continuation = patterns_from(env, member_of(env, info[0], "continuation"), problem_);
  parser_ = std::make_unique<LogParser>(options, std::move(patterns));
}

Napi::Value LogParserWrap::problem(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), problem_);
}

Napi::Value LogParserWrap::push(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ArraySink sink(env, number_from(env, info[4]));
  parser_->push(source_from(info), bytes_from(env, info[1]), nanos_from(number_from(env, info[2])),
                ms_from(info, 3), sink);
  return sink.array();
}

Napi::Value LogParserWrap::flush(const Napi::CallbackInfo& info) {
  ArraySink sink(info.Env(), number_from(info.Env(), info[2]));
  parser_->flush(nanos_from(number_from(info.Env(), info[0])), ms_from(info, 1), sink);
  return sink.array();
}

Napi::Value LogParserWrap::end_source(const Napi::CallbackInfo& info) {
  ArraySink sink(info.Env(), number_from(info.Env(), info[2]));
  parser_->end_source(source_from(info), ms_from(info, 1), sink);
  return sink.array();
}

void LogParserWrap::forget(const Napi::CallbackInfo& info) {
  parser_->forget(source_from(info));
}

Napi::Value LogParserWrap::next_deadline_ms(const Napi::CallbackInfo& info) {
  const Nanos next = parser_->next_deadline();
  const double ms = next == kNever ? std::numeric_limits<double>::infinity()
                                   : static_cast<double>(next) / static_cast<double>(kMillisecond);
  return Napi::Number::New(info.Env(), ms);
}

Napi::Value LogParserWrap::stats(const Napi::CallbackInfo& info) {
  const double source = number_from(info.Env(), info[0]);
  const LogParser::Stats stats =
      source < 0 ? parser_->stats() : parser_->source_stats(source_from(info));
  return array_of(info.Env(), std::array{stats.bytes, stats.lines, stats.events, stats.errors,
                                         stats.malformed, stats.truncated});
}

Napi::Value LogParserWrap::newest_ms(const Napi::CallbackInfo& info) {
  const std::int64_t newest = parser_->newest_ms();
  return Napi::Number::New(info.Env(), newest == kNoTime ? std::numeric_limits<double>::quiet_NaN()
                                                         : static_cast<double>(newest));
}

Napi::Value LogParserWrap::top_errors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::int64_t window_ms = ms_from(info, 1);
  const auto top =
      parser_->errors().top(static_cast<std::size_t>(count_from(env, info[0])),
                            window_ms < 0 ? LogErrors::kEver : window_ms, ms_from(info, 2));
  FlatArray array(env);
  for (const LogErrorCount& each : top) {
    array.append(each.text);
    array.append(static_cast<double>(each.count));
    array.append(static_cast<double>(each.first_ms));
    array.append(static_cast<double>(each.last_ms));
    array.append(each.sample);
  }
  return array.value();
}

}  // namespace sluice
