// The JavaScript class `LogParser`, private to lib/primitives/logs/log-parser.js.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

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
class LogParserWrap final : public Napi::ObjectWrap<LogParserWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LogParserWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value problem(const Napi::CallbackInfo& info);
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);
  Napi::Value end_source(const Napi::CallbackInfo& info);
  void forget(const Napi::CallbackInfo& info);
  Napi::Value next_deadline_ms(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value newest_ms(const Napi::CallbackInfo& info);
  Napi::Value top_errors(const Napi::CallbackInfo& info);

  std::string problem_;
  std::unique_ptr<LogParser> parser_;
};

}  // namespace sluice
