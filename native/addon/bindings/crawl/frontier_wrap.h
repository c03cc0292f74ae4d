// The binding of the JavaScript class `CrawlFrontier`.
#pragma once

#include <napi.h>

#include "core/crawl/frontier.h"

namespace sluice {

/// The JavaScript class `CrawlFrontier`: core/crawl/frontier.h, synchronous, private to the
/// crawler.
///
///   new CrawlFrontier({pages, urls, depth, concurrency, perSecond})   positive; depth from 0
///   seed(url, host), link(parent, url, host), refuse(url, depth), redirect(id, url)
///                -> 0 new, 1 known, 2 too deep, 3 full
///   claimed(url) -> boolean
///   next(nowMs)  -> [id, depth, attempt, url] or undefined
///   nextDeadlineMs(nowMs) -> milliseconds; Infinity: time alone changes nothing
///   finish(id, isPage)
///   fail(id, failure, retryAfterMs, nowMs) -> whether it is tried again
///                failure: a number of enums.CrawlFailure
///   slowDown(host, intervalMs)
///   takeAbandoned() -> [id, depth, url, id, depth, url, ...]
///   finished(), counts() -> [claimed, waiting, in flight, pages]
///   clear()      frees the memory of its URLs
///
/// JavaScript's thread only; ends with garbage collection.
class CrawlFrontierWrap final : public Napi::ObjectWrap<CrawlFrontierWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CrawlFrontierWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value seed(const Napi::CallbackInfo& info);
  Napi::Value link(const Napi::CallbackInfo& info);
  Napi::Value claimed(const Napi::CallbackInfo& info);
  Napi::Value refuse(const Napi::CallbackInfo& info);
  Napi::Value redirect(const Napi::CallbackInfo& info);
  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value next_deadline_ms(const Napi::CallbackInfo& info);
  void finish(const Napi::CallbackInfo& info);
  Napi::Value fail(const Napi::CallbackInfo& info);
  void slow_down(const Napi::CallbackInfo& info);
  Napi::Value take_abandoned(const Napi::CallbackInfo& info);
  Napi::Value finished(const Napi::CallbackInfo& info);
  Napi::Value counts(const Napi::CallbackInfo& info);
  void clear(const Napi::CallbackInfo& info);

  CrawlFrontier frontier_;
};

}  // namespace sluice
