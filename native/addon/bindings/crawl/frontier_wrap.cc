#include "addon/bindings/crawl/frontier_wrap.h"

#include <algorithm>
#include <array>

#include "addon/napi/arguments.h"
#include "addon/napi/flat_array.h"
#include "addon/napi/reactor_wrap.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFailureLast = static_cast<std::uint64_t>(CrawlFailure::kForbidden);

CrawlLimits limits_from(napi_env env, napi_value given) {
  const auto count = [env, given](const char* name) {
    return static_cast<std::size_t>(count_from(env, member_of(env, given, name)));
  };
  CrawlLimits limits;
  limits.pages = count("pages");
  limits.urls = count("urls");
  limits.depth = static_cast<std::uint32_t>(count("depth"));
  limits.concurrency = count("concurrency");
  limits.host.per_second = number_from(env, member_of(env, given, "perSecond"));
  return limits;
}

Napi::Value number(napi_env env, Claim claim) {
  return Napi::Number::New(env, static_cast<double>(claim));
}

}  // namespace

Napi::Function CrawlFrontierWrap::define(Napi::Env env) {
  return DefineClass(env, "CrawlFrontier",
                     {
                         InstanceMethod<&CrawlFrontierWrap::seed>("seed"),
                         InstanceMethod<&CrawlFrontierWrap::link>("link"),
                         InstanceMethod<&CrawlFrontierWrap::claimed>("claimed"),
                         InstanceMethod<&CrawlFrontierWrap::refuse>("refuse"),
                         InstanceMethod<&CrawlFrontierWrap::redirect>("redirect"),
                         InstanceMethod<&CrawlFrontierWrap::next>("next"),
                         InstanceMethod<&CrawlFrontierWrap::next_deadline_ms>("nextDeadlineMs"),
                         InstanceMethod<&CrawlFrontierWrap::finish>("finish"),
                         InstanceMethod<&CrawlFrontierWrap::fail>("fail"),
                         InstanceMethod<&CrawlFrontierWrap::slow_down>("slowDown"),
                         InstanceMethod<&CrawlFrontierWrap::take_abandoned>("takeAbandoned"),
                         InstanceMethod<&CrawlFrontierWrap::finished>("finished"),
                         InstanceMethod<&CrawlFrontierWrap::counts>("counts"),
                         InstanceMethod<&CrawlFrontierWrap::clear>("clear"),
                     });
}

CrawlFrontierWrap::CrawlFrontierWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), frontier_(limits_from(info.Env(), info[0])) {}

Napi::Value CrawlFrontierWrap::seed(const Napi::CallbackInfo& info) {
  const std::string url = text_from(info.Env(), info[0]);
  return number(info.Env(), frontier_.seed(url, text_from(info.Env(), info[1])));
}

Napi::Value CrawlFrontierWrap::link(const Napi::CallbackInfo& info) {
  const std::string url = text_from(info.Env(), info[1]);
  return number(info.Env(), frontier_.link(count_from(info.Env(), info[0]), url,
                                           text_from(info.Env(), info[2])));
}

Napi::Value CrawlFrontierWrap::claimed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), frontier_.claimed(text_from(info.Env(), info[0])));
}

Napi::Value CrawlFrontierWrap::refuse(const Napi::CallbackInfo& info) {
  const std::string url = text_from(info.Env(), info[0]);
  const auto depth = static_cast<std::uint32_t>(count_from(info.Env(), info[1]));
  return number(info.Env(), frontier_.refuse(url, depth));
}

Napi::Value CrawlFrontierWrap::redirect(const Napi::CallbackInfo& info) {
  const std::string url = text_from(info.Env(), info[1]);
  return number(info.Env(), frontier_.redirect(count_from(info.Env(), info[0]), url));
}

Napi::Value CrawlFrontierWrap::next(const Napi::CallbackInfo& info) {
  const auto dispatch = frontier_.next(nanos_at(info, 0));
  if (!dispatch) return info.Env().Undefined();
  FlatArray fields(info.Env());
  fields.append(static_cast<double>(dispatch->id));
  fields.append(static_cast<double>(dispatch->depth));
  fields.append(static_cast<double>(dispatch->attempt));
  fields.append(dispatch->url);
  return fields.value();
}

Napi::Value CrawlFrontierWrap::next_deadline_ms(const Napi::CallbackInfo& info) {
  const Nanos deadline = frontier_.next_deadline(nanos_at(info, 0));
  return Napi::Number::New(info.Env(), ms_from_nanos(deadline));
}

void CrawlFrontierWrap::finish(const Napi::CallbackInfo& info) {
  frontier_.finish(count_from(info.Env(), info[0]), flag_from(info.Env(), info[1]));
}

Napi::Value CrawlFrontierWrap::fail(const Napi::CallbackInfo& info) {
  const std::uint64_t failure = std::min(count_from(info.Env(), info[1]), kFailureLast);
  return Napi::Boolean::New(info.Env(), frontier_.fail(count_from(info.Env(), info[0]),
                                                       static_cast<CrawlFailure>(failure),
                                                       nanos_at(info, 2), nanos_at(info, 3)));
}

void CrawlFrontierWrap::slow_down(const Napi::CallbackInfo& info) {
  frontier_.slow_down(text_from(info.Env(), info[0]), nanos_at(info, 1));
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

Napi::Value CrawlFrontierWrap::finished(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), frontier_.finished());
}

Napi::Value CrawlFrontierWrap::counts(const Napi::CallbackInfo& info) {
  const CrawlCounts counts = frontier_.counts();
  const std::array<std::size_t, 4> values{counts.claimed, counts.waiting, counts.in_flight,
                                          counts.pages};
  return array_of(info.Env(), values);
}

void CrawlFrontierWrap::clear(const Napi::CallbackInfo& /*info*/) {
  frontier_.clear();
}

}  // namespace sluice
