#include "addon/bindings/kv/store_wrap.h"

#include <span>
#include <string>
#include <utility>

#include "addon/bindings/kv/arguments.h"
#include "addon/bindings/storage/store_wrap.h"
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
                         InstanceMethod<&KvStoreWrap::touch>("touch"),
                         InstanceMethod<&KvStoreWrap::erase>("erase"),
                         InstanceMethod<&KvStoreWrap::get>("get"),
                         InstanceMethod<&KvStoreWrap::scan>("scan"),
                         InstanceMethod<&KvStoreWrap::reclaim>("reclaim"),
                         InstanceMethod<&KvStoreWrap::size>("size"),
                         InstanceMethod<&KvStoreWrap::bytes>("bytes"),
                         InstanceMethod<&KvStoreWrap::pinned_bytes>("pinnedBytes"),
                         InstanceMethod<&KvStoreWrap::snapshots>("snapshots"),
                         InstanceMethod<&KvStoreWrap::version>("version"),
                         InstanceMethod<&KvStoreWrap::watch>("watch"),
                         InstanceMethod<&KvStoreWrap::take_changes>("takeChanges"),
                         InstanceMethod<&KvStoreWrap::account>("account"),
                         InstanceMethod<&KvStoreWrap::load>("load"),
                         InstanceMethod<&KvStoreWrap::keep>("keep"),
                         InstanceMethod<&KvStoreWrap::written_version>("writtenVersion"),
                     });
}

// Every change is made within a call of this thread, so no other thread uses `changes_`; and this
// wrap makes the last call of the store, so the observer never outlives it.
KvStoreWrap::KvStoreWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(std::make_shared<KvStore>(limits_from(info))) {
  observe();
}

KvStoreWrap::~KvStoreWrap() {
  store_->observe(nullptr);
  report(-reported_bytes_);
}

void KvStoreWrap::observe() {
  store_->observe([this, keeper = keeper_](std::span<const KvChange> changes) {
    if (keeper) keeper->on_changes(changes);
    if (!watched_) return;
    for (const KvChange& change : changes) changes_.emplace_back(change);
  });
}

void KvStoreWrap::report(std::int64_t more_bytes) {
  std::int64_t all = 0;
  napi_adjust_external_memory(Env(), more_bytes, &all);
  reported_bytes_ += more_bytes;
}

void KvStoreWrap::account(const Napi::CallbackInfo& /*info*/) {
  constexpr std::int64_t kStepBytes = 1 << 20;  // smaller changes are not reported
  const std::int64_t more = static_cast<std::int64_t>(store_->held_bytes()) - reported_bytes_;
  if (more >= kStepBytes || more <= -kStepBytes) report(more);
}

void KvStoreWrap::watch(const Napi::CallbackInfo& info) {
  watched_ = flag_from(info.Env(), info[0]);
  if (!watched_) changes_ = {};
}

Napi::Value KvStoreWrap::take_changes(const Napi::CallbackInfo& info) {
  return kv_changes_for_js(info.Env(), std::exchange(changes_, {}));
}

std::shared_ptr<KvStore> KvStoreWrap::store_of(const Napi::CallbackInfo& info, std::size_t index) {
  void* wrap = nullptr;
  if (napi_unwrap(info.Env(), info[index], &wrap) == napi_ok) {
    return static_cast<KvStoreWrap*>(wrap)->store_;
  }
  return std::make_shared<KvStore>(KvLimits{});
}

Napi::Value KvStoreWrap::set(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const KvResult result =
      store_->set(text_from(env, info[0]), kv_value_from(env, info[1], info[2]), ttl_at(info, 3),
                  kv_version_from(env, info[4]), nanos_at(info, 5));
  account(info);
  return kv_result_for_js(env, result);
}

Napi::Value KvStoreWrap::touch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_result_for_js(env, store_->touch(text_from(env, info[0]), ttl_at(info, 1),
                                             kv_version_from(env, info[2]), nanos_at(info, 3)));
}

Napi::Value KvStoreWrap::erase(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const KvResult result =
      store_->erase(text_from(env, info[0]), kv_version_from(env, info[1]), nanos_at(info, 2));
  account(info);
  return kv_result_for_js(env, result);
}

Napi::Value KvStoreWrap::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_entry_for_js(env, store_->get(text_from(env, info[0]), nanos_at(info, 1)));
}

Napi::Value KvStoreWrap::scan(const Napi::CallbackInfo& info) {
  const KvScanRequest asked = kv_scan_from(info, 1);
  return kv_page_for_js(info.Env(),
                        store_->scan(asked.range, asked.limit, nanos_at(info, 0), asked.order),
                        asked.keys_only);
}

Napi::Value KvStoreWrap::reclaim(const Napi::CallbackInfo& info) {
  const Nanos next = store_->reclaim(count_from(info.Env(), info[0]), nanos_at(info, 1));
  account(info);
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
  account(info);
  napi_value text = nullptr;
  const std::string& problem = loaded.problem;
  if (napi_create_string_utf8(env, problem.data(), problem.size(), &text) != napi_ok) return {};
  return {env, text};
}

void KvStoreWrap::keep(const Napi::CallbackInfo& info) {
  std::shared_ptr<SqliteStore> file = StoreWrap::store_of(info, 0);
  if (!file || keeper_) return;
  keeper_ = std::make_shared<KvKeeper>(std::move(file), nanos_at(info, 1), store_->version());
  observe();
  keeper_->drop(expired_);
  expired_ = {};
}

Napi::Value KvStoreWrap::written_version(const Napi::CallbackInfo& info) {
  return number(info, keeper_ ? keeper_->written() : kAbsent);
}

}  // namespace sluice
