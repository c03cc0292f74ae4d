// The JavaScript class `LogParser`, private to lib/primitives/logs/log-parser.js.
#pragma once

#include <napi.h>

#include <array>
#include <memory>
#include <string>

#include "addon/napi/method.h"
#include "core/logs/parser.h"

namespace sluice {

/// Wraps LogParser for JavaScript's thread; all calls are synchronous.
///
///   new LogParser({formats, utcOffsetMinutes, referenceMs, maxLines, maxBytes, flushMs,
///                  maxTemplates, maxWindowMs, start, continuation})
///       All are required; flushMs may be Infinity; start and continuation are arrays
///       [source, ignoreCase, source, ...].
///   problem()            The problem of the first invalid pattern; '' for none.
///   push(source, bytes, nowMs, wallMs, least) -> events
///   flush(nowMs, wallMs, least) -> events
///   endSource(source, wallMs, least) -> events
///   forget(source)
///   nextDeadlineMs()     Infinity for never.
///   stats(source)        [bytes, lines, events, errors, malformed, truncated]; of all for -1.
///   newestMs()           NaN for none.
///   topErrors(k, windowMs, nowMs)
///       [template, count, firstMs, lastMs, sample, ...]; windowMs is -1 for no window.
///
/// Sources are numbers. Events below the level `least` are counted, but not returned. `events` is
/// one flat array, which costs less than an object for each event: time in ms (NaN for none),
/// level, source, text, message (its offset where it is a suffix of the text, else a string), flags
/// (1 malformed, 2 truncated, 4 container) and, with the flag 4, the container.
class LogParserWrap final : public Napi::ObjectWrap<LogParserWrap>,
                            private DirectMethods<LogParserWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LogParserWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] LogParser& target() { return *parser_; }

 private:
  [[nodiscard]] std::string problem() const { return problem_; }
  napi_value push(LogParser::SourceId source, napi_value bytes, Nanos now, Whole wall_ms,
                  double least);
  napi_value flush(Nanos now, Whole wall_ms, double least);
  napi_value end_source(LogParser::SourceId source, Whole wall_ms, double least);
  [[nodiscard]] std::array<std::uint64_t, 6> stats(double source) const;
  [[nodiscard]] double newest_ms() const;
  napi_value top_errors(std::size_t count, Whole window_ms, Whole now_ms);

  std::string problem_;
  std::unique_ptr<LogParser> parser_;
};

}  // namespace sluice
