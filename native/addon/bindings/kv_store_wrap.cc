#include "addon/bindings/kv_store_wrap.h"

#include <span>
#include <string>
#include <utility>

#include "addon/bindings/kv_arguments.h"
#include "addon/bindings/store_wrap.h"
#include "addon/napi/arguments.h"

namespace sluice {
namespace {

Napi::Value number(const Napi::CallbackInfo& info, std::uint64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

KvLimits limits_from(const Napi::CallbackInfo& info) {
  const auto count = [&info](std::size_t i) { return count_from(info.Env(), info[i]); };
  return {.max_keys = count(0),
          .max_key_bytes = count(1),
          .max_value_bytes = count(2),
          .max_bytes = count(3),
          .max_pinned_bytes = count(4)};
}

}  // namespace

Napi::Function KvStoreWrap::define(Napi::Env env) {
  return DefineClass(env, "KvStore",
                     {
                         InstanceMethod<&KvStoreWrap::set>("set"),
                         InstanceMethod<&KvStoreWrap::erase>("erase"),
                         InstanceMethod<&KvStoreWrap::get>("get"),
                         InstanceMethod<&KvStoreWrap::scan>("scan"),
                         InstanceMethod<&KvStoreWrap::reclaim>("reclaim"),
                         InstanceMethod<&KvStoreWrap::size>("size"),
                         InstanceMethod<&KvStoreWrap::bytes>("bytes"),
                         InstanceMethod<&KvStoreWrap::pinned_bytes>("pinnedBytes"),
                         InstanceMethod<&KvStoreWrap::snapshots>("snapshots"),
                         InstanceMethod<&KvStoreWrap::version>("version"),
                         InstanceMethod<&KvStoreWrap::load>("load"),
                         InstanceMethod<&KvStoreWrap::keep>("keep"),
                         InstanceMethod<&KvStoreWrap::written_version>("writtenVersion"),
                     });
}

KvStoreWrap::KvStoreWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(std::make_shared<KvStore>(limits_from(info))) {}

std::shared_ptr<KvStore> KvStoreWrap::store_of(const Napi::CallbackInfo& info, std::size_t index) {
  void* wrap = nullptr;
  if (napi_unwrap(info.Env(), info[index], &wrap) == napi_ok) {
    return static_cast<KvStoreWrap*>(wrap)->store_;
  }
  return std::make_shared<KvStore>(KvLimits{});
}

Napi::Value KvStoreWrap::set(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_result_for_js(
      env, store_->set(text_from(env, info[0]), kv_value_from(env, info[1], info[2]),
                       nanos_at(info, 3), kv_version_from(env, info[4]), nanos_at(info, 5)));
}

Napi::Value KvStoreWrap::erase(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_result_for_js(env, store_->erase(text_from(env, info[0]), kv_version_from(env, info[1]),
                                             nanos_at(info, 2)));
}

Napi::Value KvStoreWrap::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_entry_for_js(env, store_->get(text_from(env, info[0]), nanos_at(info, 1)));
}

Napi::Value KvStoreWrap::scan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_page_for_js(
      env, store_->scan(kv_range_from(info, 2), count_from(env, info[0]), nanos_at(info, 1)));
}

Napi::Value KvStoreWrap::reclaim(const Napi::CallbackInfo& info) {
  const Nanos next = store_->reclaim(count_from(info.Env(), info[0]), nanos_at(info, 1));
  return Napi::Number::New(info.Env(), ms_from_nanos(next));
}

Napi::Value KvStoreWrap::size(const Napi::CallbackInfo& info) {
  return number(info, store_->size());
}

Napi::Value KvStoreWrap::bytes(const Napi::CallbackInfo& info) {
  return number(info, store_->bytes());
}

Napi::Value KvStoreWrap::pinned_bytes(const Napi::CallbackInfo& info) {
  return number(info, store_->pinned_bytes());
}

Napi::Value KvStoreWrap::snapshots(const Napi::CallbackInfo& info) {
  return number(info, store_->snapshots());
}

Napi::Value KvStoreWrap::version(const Napi::CallbackInfo& info) {
  return number(info, store_->version());
}

Napi::Value KvStoreWrap::load(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  StoreFile* const file = StoreWrap::file_of(info, 0);
  KvLoaded loaded{"it is not open", {}};
  if (file != nullptr) loaded = load_kv(*file, *store_, nanos_at(info, 1), nanos_at(info, 2));
  expired_ = std::move(loaded.expired);
  napi_value text = nullptr;
  const std::string& problem = loaded.problem;
  if (napi_create_string_utf8(env, problem.data(), problem.size(), &text) != napi_ok) return {};
  return {env, text};
}

void KvStoreWrap::keep(const Napi::CallbackInfo& info) {
  std::shared_ptr<SqliteStore> file = StoreWrap::store_of(info, 0);
  if (!file || keeper_) return;
  keeper_ = std::make_shared<KvKeeper>(std::move(file), nanos_at(info, 1), store_->version());
  store_->observe(
      [keeper = keeper_](std::span<const KvChange> changes) { keeper->on_changes(changes); });
  keeper_->drop(expired_);
  expired_ = {};
}

Napi::Value KvStoreWrap::written_version(const Napi::CallbackInfo& info) {
  return number(info, keeper_ ? keeper_->written() : kAbsent);
}

}  // namespace sluice
