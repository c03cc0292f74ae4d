// The JavaScript class `LogParser`, private to lib/primitives/logs/log-parser.js:
// core/log_parser.h, synchronous.
//
//   new LogParser({formats, utcOffsetMinutes, referenceMs, maxLines, maxBytes, flushMs,
//                  maxTemplates, maxWindowMs, start, continuation})   all are given; flushMs
//     may be Infinity; start and continuation are arrays [source, ignoreCase, source, ...]
//   problem()                                        what is wrong with a pattern; '' for nothing
//   push(source, bytes, nowMs, wallMs, least) -> events   `least`: events below that level, and at
//     a number above all levels all events, are counted and not handed on
//   flush(nowMs, wallMs, least), endSource(source, wallMs, least), end(wallMs, least) -> events
//   forget(source), nextDeadlineMs() -> Infinity for never
//   stats(source)      [bytes, lines, events, errors, malformed, truncated]; -1: of all
//   errorStats()       [templates, forgotten]
//   newestMs()         NaN for none
//   topErrors(k, windowMs, nowMs)   [template, count, firstMs, lastMs, sample, ...]; windowMs -1:
//   ever
//
// `events` is one flat array, six values an event, which costs less than an object each:
//   time in ms (NaN for none), level, source, text, message (where it begins in the text, when the
//   text ends in it; else a string), flags (1 malformed, 2 truncated)
// Sources are numbers. JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "core/logs/parser.h"

namespace sluice {

class LogParserWrap final : public Napi::ObjectWrap<LogParserWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LogParserWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value problem(const Napi::CallbackInfo& info);
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);
  Napi::Value end_source(const Napi::CallbackInfo& info);
  Napi::Value end(const Napi::CallbackInfo& info);
  void forget(const Napi::CallbackInfo& info);
  Napi::Value next_deadline_ms(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value error_stats(const Napi::CallbackInfo& info);
  Napi::Value newest_ms(const Napi::CallbackInfo& info);
  Napi::Value top_errors(const Napi::CallbackInfo& info);

  std::string problem_;
  std::unique_ptr<LogParser> parser_;
};

}  // namespace sluice
