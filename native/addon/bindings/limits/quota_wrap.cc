#include "addon/bindings/limits/quota_wrap.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

// Where the arguments begin behind the time, where reserve's answer has the shares, and how many
// numbers each of them takes.
constexpr std::size_t kArguments = 2;
constexpr std::size_t kShares = 5;
constexpr std::size_t kPerShare = 5;

std::int64_t amount_from(napi_env env, napi_value value) {
  return static_cast<std::int64_t>(number_from(env, value));
}

DimensionId dimension_from(napi_env env, napi_value value) {
  return static_cast<DimensionId>(count_from(env, value));
}

Napi::Value flag(const Napi::CallbackInfo& info, bool value) {
  return Napi::Boolean::New(info.Env(), value);
}

}  // namespace

Napi::Function QuotaWrap::define(Napi::Env env) {
  return DefineClass(env, "Quota",
                     {
                         InstanceMethod<&QuotaWrap::add_windowed>("addWindowed"),
                         InstanceMethod<&QuotaWrap::add_held>("addHeld"),
                         InstanceMethod<&QuotaWrap::set_limit>("setLimit"),
                         InstanceMethod<&QuotaWrap::set_limit_of>("setLimitOf"),
                         InstanceMethod<&QuotaWrap::clear_limit_of>("clearLimitOf"),
                         InstanceMethod<&QuotaWrap::reserve>("reserve"),
                         InstanceMethod<&QuotaWrap::settle>("settle"),
                         InstanceMethod<&QuotaWrap::release>("release"),
                         InstanceMethod<&QuotaWrap::renew>("renew"),
                         InstanceMethod<&QuotaWrap::leases>("leases"),
                         InstanceMethod<&QuotaWrap::keys>("keys"),
                     });
}

QuotaWrap::QuotaWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      quota_({.max_keys = count_from(info.Env(), info[1]),
              .max_leases = count_from(info.Env(), info[2])}),
      numbers_(info.Env(), info[0]) {}

Nanos QuotaWrap::now() {
  return time_from(numbers_[0], numbers_[1]);
}

Napi::Value QuotaWrap::add_windowed(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Number::New(
      env, quota_.add_windowed(amount_from(env, info[0]), amount_from(env, info[1])));
}

Napi::Value QuotaWrap::add_held(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), quota_.add_held(amount_from(info.Env(), info[0])));
}

void QuotaWrap::set_limit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  quota_.set_limit(dimension_from(env, info[0]), amount_from(env, info[1]),
                   amount_from(env, info[2]), now());
}

void QuotaWrap::set_limit_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  quota_.set_limit_of(dimension_from(env, info[0]), text_from(env, info[1]),
                      amount_from(env, info[2]), now());
}

void QuotaWrap::clear_limit_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  quota_.clear_limit_of(dimension_from(env, info[0]), text_from(env, info[1]), now());
}

Napi::Value QuotaWrap::reserve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  constexpr std::size_t kFirstKey = 1;
  const std::size_t count =
      std::min(info.Length() - kFirstKey, (numbers_.size() - kShares) / kPerShare);
  std::vector<std::string> keys;
  std::vector<QuotaAsk> asks;
  keys.reserve(count);
  asks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    keys.push_back(text_from(env, info[kFirstKey + i]));
    asks.push_back({static_cast<DimensionId>(numbers_[kArguments + 2 * i]), keys.back(),
                    static_cast<std::int64_t>(numbers_[kArguments + 2 * i + 1])});
  }
  const QuotaAnswer answer = quota_.reserve(asks, amount_from(env, info[0]), now());
  numbers_[0] = wait_for_js(answer.retry_after);
  numbers_[1] = static_cast<double>(answer.lease);
  numbers_[2] = static_cast<double>(answer.expires_at / kSecond);
  numbers_[3] = static_cast<double>(answer.expires_at % kSecond);
  numbers_[4] = answer.leases_full ? 1 : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const LimitDecision& share = answer.shares[i];
    const std::size_t at = kShares + kPerShare * i;
    numbers_[at] = share.allowed ? 1 : 0;
    numbers_[at + 1] = static_cast<double>(share.limit);
    numbers_[at + 2] = static_cast<double>(share.remaining);
    numbers_[at + 3] = wait_for_js(share.retry_after);
    numbers_[at + 4] = wait_for_js(share.reset_after);
  }
  return flag(info, answer.allowed);
}

Napi::Value QuotaWrap::settle(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::int64_t> used(
      std::min<std::size_t>(count_from(env, info[1]), numbers_.size() - kArguments));
  for (std::size_t i = 0; i < used.size(); ++i) {
    used[i] = static_cast<std::int64_t>(numbers_[kArguments + i]);
  }
  return flag(info, quota_.settle(count_from(env, info[0]), used, now()));
}

Napi::Value QuotaWrap::release(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return flag(info, quota_.release(count_from(env, info[0]), now()));
}

Napi::Value QuotaWrap::renew(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return flag(info, quota_.renew(count_from(env, info[0]), amount_from(env, info[1]), now()));
}

Napi::Value QuotaWrap::leases(const Napi::CallbackInfo& info) {
  const std::size_t count = quota_.leases(now());
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

Napi::Value QuotaWrap::keys(const Napi::CallbackInfo& info) {
  const std::size_t count = quota_.keys(dimension_from(info.Env(), info[0]));
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

}  // namespace sluice
