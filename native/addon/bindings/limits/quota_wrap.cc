#include "addon/bindings/limits/quota_wrap.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {
namespace {

// Where the arguments begin after the time, where reserve's answer has the shares, and how many
// numbers each of them takes.
constexpr std::size_t kArguments = 2;
constexpr std::size_t kShares = 5;
constexpr std::size_t kPerShare = 5;

}  // namespace

Napi::Function QuotaWrap::define(Napi::Env env) {
  return DefineClass(env, "Quota",
                     {
                         method<&QuotaWrap::add_windowed>("addWindowed"),
                         method<&QuotaWrap::add_held>("addHeld"),
                         method<&QuotaWrap::set_limit>("setLimit"),
                         method<&QuotaWrap::set_limit_of>("setLimitOf"),
                         method<&QuotaWrap::clear_limit_of>("clearLimitOf"),
                         InstanceMethod<&QuotaWrap::reserve>("reserve"),
                         method<&QuotaWrap::settle>("settle"),
                         method<&QuotaWrap::release>("release"),
                         method<&QuotaWrap::renew>("renew"),
                         method<&QuotaWrap::leases>("leases"),
                         method<&Quota::keys>("keys"),
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

DimensionId QuotaWrap::add_windowed(Whole amount, Whole window_ns) {
  return quota_.add_windowed(amount.value, window_ns.value);
}

void QuotaWrap::set_limit(DimensionId dimension, Whole amount, Whole window_ns) {
  quota_.set_limit(dimension, amount.value, window_ns.value, now());
}

void QuotaWrap::set_limit_of(DimensionId dimension, const std::string& key, Whole amount) {
  quota_.set_limit_of(dimension, key, amount.value, now());
}

void QuotaWrap::clear_limit_of(DimensionId dimension, const std::string& key) {
  quota_.clear_limit_of(dimension, key, now());
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
  const QuotaAnswer answer = quota_.reserve(asks, FromJs<Whole>::read(env, info[0]).value, now());
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
  return Napi::Boolean::New(env, answer.allowed);
}

bool QuotaWrap::settle(LeaseId lease, std::size_t count) {
  std::vector<std::int64_t> used(std::min(count, numbers_.size() - kArguments));
  for (std::size_t i = 0; i < used.size(); ++i) {
    used[i] = static_cast<std::int64_t>(numbers_[kArguments + i]);
  }
  return quota_.settle(lease, used, now());
}

}  // namespace sluice
