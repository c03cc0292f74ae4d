#include "addon/bindings/crawl/frontier_wrap.h"

#include <algorithm>

#include "addon/napi/flat_array.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFailureLast = static_cast<std::uint64_t>(CrawlFailure::kForbidden);

CrawlLimits limits_from(napi_env env, napi_value given) {
  const Members members(env, given);
  CrawlLimits limits;
  limits.pages = members.get<std::size_t>("pages");
  limits.urls = members.get<std::size_t>("urls");
  limits.depth = members.get<std::uint32_t>("depth");
  limits.concurrency = members.get<std::size_t>("concurrency");
  limits.host.per_second = members.get<double>("perSecond");
  return limits;
}

}  // namespace

template <>
struct ToJs<CrawlDispatch> {
  static napi_value make(napi_env env, const CrawlDispatch& dispatch) {
    return tuple_of(env, dispatch.id, dispatch.depth, dispatch.attempt, dispatch.url);
  }
};

template <>
struct ToJs<CrawlCounts> {
  static napi_value make(napi_env env, const CrawlCounts& counts) {
    return tuple_of(env, counts.claimed, counts.waiting, counts.in_flight, counts.pages);
  }
};

Napi::Function CrawlFrontierWrap::define(Napi::Env env) {
  return DefineClass(env, "CrawlFrontier",
                     {
                         method<&CrawlFrontier::seed>("seed"),
                         method<&CrawlFrontier::link>("link"),
                         method<&CrawlFrontier::claimed>("claimed"),
                         method<&CrawlFrontier::refuse>("refuse"),
                         method<&CrawlFrontier::redirect>("redirect"),
                         method<&CrawlFrontier::next>("next"),
                         method<&CrawlFrontier::next_deadline>("nextDeadlineMs"),
                         method<&CrawlFrontier::finish>("finish"),
                         method<&CrawlFrontierWrap::fail>("fail"),
                         method<&CrawlFrontier::slow_down>("slowDown"),
                         InstanceMethod<&CrawlFrontierWrap::take_abandoned>("takeAbandoned"),
                         method<&CrawlFrontier::finished>("finished"),
                         method<&CrawlFrontier::counts>("counts"),
                         method<&CrawlFrontier::clear>("clear"),
                     });
}

CrawlFrontierWrap::CrawlFrontierWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), frontier_(limits_from(info.Env(), info[0])) {}

bool CrawlFrontierWrap::fail(UrlId id, std::uint64_t failure, Nanos retry_after, Nanos now) {
  const auto known = static_cast<CrawlFailure>(std::min(failure, kFailureLast));
  return frontier_.fail(id, known, retry_after, now);
}

Napi::Value CrawlFrontierWrap::take_abandoned(const Napi::CallbackInfo& info) {
  FlatArray fields(info.Env());
  for (const CrawlAbandoned& abandoned : frontier_.take_abandoned()) {
    fields.append(static_cast<double>(abandoned.id));
    fields.append(static_cast<double>(abandoned.depth));
    fields.append(abandoned.url);
  }
  return fields.value();
}

}  // namespace sluice
