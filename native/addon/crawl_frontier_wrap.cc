#include "addon/crawl_frontier_wrap.h"

#include <algorithm>
#include <array>

#include "addon/arguments.h"
#include "addon/reactor_wrap.h"

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

Nanos time_at(const Napi::CallbackInfo& info, std::size_t argument) {
  return nanos_from_ms(number_from(info.Env(), info[argument]));
}

// Appends to an array; a call that fails (the environment is going away) leaves a hole that nobody
// will look at.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(napi_env env) : env_(env) { napi_create_array(env_, &array_); }

  void add(double number) {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    append(value);
  }

  void add(const std::string& text) {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &value);
    append(value);
  }

  [[nodiscard]] Napi::Value array() const { return {env_, array_}; }

 private:
  void append(napi_value value) {
    if (array_ != nullptr && value != nullptr) napi_set_element(env_, array_, length_++, value);
  }

  napi_env env_;
  napi_value array_ = nullptr;
  std::uint32_t length_ = 0;
};

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
  const std::string url = text_from(info.Env(), info[1]);
  return number(info.Env(), frontier_.refuse(count_from(info.Env(), info[0]), url));
}

Napi::Value CrawlFrontierWrap::redirect(const Napi::CallbackInfo& info) {
  const std::string url = text_from(info.Env(), info[1]);
  return number(info.Env(), frontier_.redirect(count_from(info.Env(), info[0]), url));
}

Napi::Value CrawlFrontierWrap::next(const Napi::CallbackInfo& info) {
  const auto dispatch = frontier_.next(time_at(info, 0));
  if (!dispatch) return info.Env().Undefined();
  ArrayBuilder fields(info.Env());
  fields.add(static_cast<double>(dispatch->id));
  fields.add(dispatch->depth);
  fields.add(dispatch->attempt);
  fields.add(dispatch->url);
  return fields.array();
}

Napi::Value CrawlFrontierWrap::next_deadline_ms(const Napi::CallbackInfo& info) {
  const Nanos deadline = frontier_.next_deadline(time_at(info, 0));
  return Napi::Number::New(info.Env(), ms_from_nanos(deadline));
}

void CrawlFrontierWrap::finish(const Napi::CallbackInfo& info) {
  frontier_.finish(count_from(info.Env(), info[0]), flag_from(info.Env(), info[1]));
}

Napi::Value CrawlFrontierWrap::fail(const Napi::CallbackInfo& info) {
  const std::uint64_t failure = std::min(count_from(info.Env(), info[1]), kFailureLast);
  return Napi::Boolean::New(info.Env(), frontier_.fail(count_from(info.Env(), info[0]),
                                                       static_cast<CrawlFailure>(failure),
                                                       time_at(info, 2), time_at(info, 3)));
}

void CrawlFrontierWrap::slow_down(const Napi::CallbackInfo& info) {
  frontier_.slow_down(text_from(info.Env(), info[0]), time_at(info, 1));
}

Napi::Value CrawlFrontierWrap::take_abandoned(const Napi::CallbackInfo& info) {
  ArrayBuilder fields(info.Env());
  for (const CrawlAbandoned& abandoned : frontier_.take_abandoned()) {
    fields.add(static_cast<double>(abandoned.id));
    fields.add(abandoned.depth);
    fields.add(abandoned.url);
  }
  return fields.array();
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

}  // namespace sluice
