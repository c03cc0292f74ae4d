#include "addon/bindings/logs/parser_wrap.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "addon/napi/flat_array.h"

namespace sluice {
namespace {

constexpr std::uint32_t kMalformedFlag = 1;
constexpr std::uint32_t kTruncatedFlag = 2;
constexpr std::uint32_t kContainerFlag = 4;

/// Appends the events of a least level to a FlatArray.
class ArraySink final : public LogSink {
 public:
  ArraySink(napi_env env, double least) : array_(env), least_(least) {}

  [[nodiscard]] napi_value array() const { return array_.value(); }

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

}  // namespace

Napi::Function LogParserWrap::define(Napi::Env env) {
  return DefineClass(env, "LogParser",
                     {
                         method<&LogParserWrap::problem>("problem"),
                         method<&LogParserWrap::push>("push"),
                         method<&LogParserWrap::flush>("flush"),
                         method<&LogParserWrap::end_source>("endSource"),
                         method<&LogParser::forget>("forget"),
                         method<&LogParser::next_deadline>("nextDeadlineMs"),
                         method<&LogParserWrap::stats>("stats"),
                         method<&LogParserWrap::newest_ms>("newestMs"),
                         method<&LogParserWrap::top_errors>("topErrors"),
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
  options.flush = nanos_from_ms(number("flushMs"));
  options.errors.templates.templates = count("maxTemplates");
  options.errors.window_ms_max = static_cast<std::int64_t>(number("maxWindowMs"));
  LogPatterns patterns;
  patterns.start = patterns_from(env, member_of(env, info[0], "start"), problem_);
  patterns.continuation = patterns_from(env, member_of(env, info[0], "continuation"), problem_);
  parser_ = std::make_unique<LogParser>(options, std::move(patterns));
}

napi_value LogParserWrap::push(LogParser::SourceId source, napi_value bytes, Nanos now,
                               Whole wall_ms, double least) {
  ArraySink sink(Env(), least);
  parser_->push(source, bytes_from(Env(), bytes), now, wall_ms.value, sink);
  return sink.array();
}

napi_value LogParserWrap::flush(Nanos now, Whole wall_ms, double least) {
  ArraySink sink(Env(), least);
  parser_->flush(now, wall_ms.value, sink);
  return sink.array();
}

napi_value LogParserWrap::end_source(LogParser::SourceId source, Whole wall_ms, double least) {
  ArraySink sink(Env(), least);
  parser_->end_source(source, wall_ms.value, sink);
  return sink.array();
}

std::array<std::uint64_t, 6> LogParserWrap::stats(double source) const {
  const LogParser::Stats stats =
      source < 0 ? parser_->stats()
                 : parser_->source_stats(static_cast<LogParser::SourceId>(source));
  return {stats.bytes, stats.lines, stats.events, stats.errors, stats.malformed, stats.truncated};
}

double LogParserWrap::newest_ms() const {
  const std::int64_t newest = parser_->newest_ms();
  return newest == kNoTime ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(newest);
}

napi_value LogParserWrap::top_errors(std::size_t count, Whole window_ms, Whole now_ms) {
  FlatArray array(Env());
  const std::int64_t window = window_ms.value < 0 ? LogErrors::kEver : window_ms.value;
  for (const LogErrorCount& each : parser_->errors().top(count, window, now_ms.value)) {
    array.append(each.text);
    array.append(static_cast<double>(each.count));
    array.append(static_cast<double>(each.first_ms));
    array.append(static_cast<double>(each.last_ms));
    array.append(each.sample);
  }
  return array.value();
}

}  // namespace sluice
