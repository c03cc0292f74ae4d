// The binding of the JavaScript class `CrawlFrontier`.
#pragma once

#include <napi.h>

#include "addon/napi/method.h"
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
class CrawlFrontierWrap final : public Napi::ObjectWrap<CrawlFrontierWrap>,
                                private DirectMethods<CrawlFrontierWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CrawlFrontierWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] CrawlFrontier& target() { return frontier_; }

 private:
  bool fail(UrlId id, std::uint64_t failure, Nanos retry_after, Nanos now);
  Napi::Value take_abandoned(const Napi::CallbackInfo& info);

  CrawlFrontier frontier_;
};

}  // namespace sluice
