#include "addon/bindings/limits/limiter_wrap.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

// The arguments after the common ones.
constexpr std::size_t kOwn = 2;

// Places in the shared numbers.
constexpr std::size_t kSeconds = 0;
constexpr std::size_t kNanos = 1;
constexpr std::size_t kRemaining = 2;
constexpr std::size_t kRetryAfter = 3;
constexpr std::size_t kResetAfter = 4;

template <typename Limiter>
struct RuleOf;

template <>
struct RuleOf<TokenBucketLimiter> {
  static constexpr const char* kName = "TokenBucket";
  static TokenBucketRule from(const Napi::CallbackInfo& info) {
    const double capacity = number_from(info.Env(), info[kOwn]);
    const double per_second = number_from(info.Env(), info[kOwn + 1]);
    return TokenBucketRule({static_cast<std::int64_t>(capacity), rate_per_second(per_second)});
  }
};

WindowLimit window_limit_from(const Napi::CallbackInfo& info) {
  return {static_cast<std::int64_t>(number_from(info.Env(), info[kOwn])),
          static_cast<Nanos>(number_from(info.Env(), info[kOwn + 1]))};
}

template <>
struct RuleOf<FixedWindowLimiter> {
  static constexpr const char* kName = "FixedWindow";
  static FixedWindowRule from(const Napi::CallbackInfo& info) {
    return FixedWindowRule(window_limit_from(info));
  }
};

template <>
struct RuleOf<SlidingLogLimiter> {
  static constexpr const char* kName = "SlidingLog";
  static SlidingLogRule from(const Napi::CallbackInfo& info) {
    return SlidingLogRule(window_limit_from(info));
  }
};

template <>
struct RuleOf<SlidingCounterLimiter> {
  static constexpr const char* kName = "SlidingCounter";
  static SlidingCounterRule from(const Napi::CallbackInfo& info) {
    return SlidingCounterRule(window_limit_from(info));
  }
};

}  // namespace

template <typename Limiter>
Napi::Function LimiterWrap<Limiter>::define(Napi::Env env) {
  using Wrap = LimiterWrap<Limiter>;
  return Wrap::DefineClass(env, RuleOf<Limiter>::kName,
                           {
                               Wrap::template method<&Wrap::reset>("reset"),
                               Wrap::template method<&Limiter::size>("size"),
                           });
}

template <typename Limiter>
LimiterWrap<Limiter>::LimiterWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LimiterWrap<Limiter>>(info),
      limiter_(RuleOf<Limiter>::from(info), count_from(info.Env(), info[1])),
      numbers_(info.Env(), info[0]) {
  // A function bound to this limiter: unwrapping the object takes as long as the decision.
  napi_value function = nullptr;
  napi_create_function(info.Env(), "allow", NAPI_AUTO_LENGTH, &LimiterWrap::allow, this, &function);
  napi_set_named_property(info.Env(), info.This(), "allow", function);
}

template <typename Limiter>
napi_value LimiterWrap<Limiter>::allow(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  std::size_t count = arguments.size();
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments.data(), nullptr, &data) != napi_ok) {
    return nullptr;
  }
  auto& wrap = *static_cast<LimiterWrap*>(data);
  const KeyText key(env, arguments[0]);
  const auto cost = static_cast<std::int64_t>(count_from(env, arguments[1]));
  const LimitDecision decision = wrap.limiter_.allow(key.view(), cost, wrap.now());
  wrap.numbers_[kRemaining] = static_cast<double>(decision.remaining);
  wrap.numbers_[kRetryAfter] = wait_for_js(decision.retry_after);
  wrap.numbers_[kResetAfter] = wait_for_js(decision.reset_after);
  napi_value allowed = nullptr;
  napi_get_boolean(env, decision.allowed, &allowed);
  return allowed;
}

template <typename Limiter>
Nanos LimiterWrap<Limiter>::now() {
  return time_from(numbers_[kSeconds], numbers_[kNanos]);
}

template class LimiterWrap<TokenBucketLimiter>;
template class LimiterWrap<FixedWindowLimiter>;
template class LimiterWrap<SlidingLogLimiter>;
template class LimiterWrap<SlidingCounterLimiter>;

}  // namespace sluice
