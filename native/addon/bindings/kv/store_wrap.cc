#include "addon/bindings/kv/store_wrap.h"

#include <span>
#include <string>
#include <utility>

#include "addon/bindings/storage/store_wrap.h"

namespace sluice {
namespace {

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
                         method<&KvStoreWrap::set>("set"),
                         method<&KvStoreWrap::touch>("touch"),
                         method<&KvStoreWrap::erase>("erase"),
                         method<&KvStore::get>("get"),
                         method<&KvStoreWrap::scan>("scan"),
                         method<&KvStoreWrap::reclaim>("reclaim"),
                         method<&KvStore::size>("size"),
                         method<&KvStore::bytes>("bytes"),
                         method<&KvStore::pinned_bytes>("pinnedBytes"),
                         method<&KvStore::snapshots>("snapshots"),
                         method<&KvStore::version>("version"),
                         method<&KvStoreWrap::watch>("watch"),
                         method<&KvStoreWrap::take_changes>("takeChanges"),
                         method<&KvStoreWrap::account>("account"),
                         method<&KvStoreWrap::load>("load"),
                         method<&KvStoreWrap::keep>("keep"),
                         method<&KvStoreWrap::written_version>("writtenVersion"),
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

void KvStoreWrap::account() {
  constexpr std::int64_t kStepBytes = 1 << 20;  // smaller changes are not reported
  const std::int64_t more = static_cast<std::int64_t>(store_->held_bytes()) - reported_bytes_;
  if (more >= kStepBytes || more <= -kStepBytes) report(more);
}

void KvStoreWrap::watch(bool on) {
  watched_ = on;
  if (!watched_) changes_ = {};
}

napi_value KvStoreWrap::take_changes() {
  return kv_changes_for_js(Env(), std::exchange(changes_, {}));
}

std::shared_ptr<KvStore> KvStoreWrap::store_of(napi_env env, napi_value value) {
  void* wrap = nullptr;
  if (napi_unwrap(env, value, &wrap) == napi_ok) return static_cast<KvStoreWrap*>(wrap)->store_;
  return std::make_shared<KvStore>(KvLimits{});
}

KvResult KvStoreWrap::set(std::string key, napi_value value, std::uint8_t kind, TimeToLive ttl,
                          ExpectedVersion expected, Nanos now) {
  const KvResult result = store_->set(std::move(key), kv_value_from(Env(), value, kind), ttl.value,
                                      expected.value, now);
  account();
  return result;
}

KvResult KvStoreWrap::touch(const std::string& key, TimeToLive ttl, ExpectedVersion expected,
                            Nanos now) {
  return store_->touch(key, ttl.value, expected.value, now);
}

KvResult KvStoreWrap::erase(const std::string& key, ExpectedVersion expected, Nanos now) {
  const KvResult result = store_->erase(key, expected.value, now);
  account();
  return result;
}

KvScanned KvStoreWrap::scan(Nanos now, const KvScanRequest& request) {
  return kv_scan(*store_, request, now);
}

Nanos KvStoreWrap::reclaim(std::size_t most, Nanos now) {
  const Nanos next = store_->reclaim(most, now);
  account();
  return next;
}

std::string KvStoreWrap::load(napi_value store, Nanos to_unix, Nanos now) {
  StoreFile* const file = StoreWrap::file_of(Env(), store);
  KvLoaded loaded{"it is not open", {}};
  if (file != nullptr) loaded = load_kv(*file, *store_, to_unix, now);
  expired_ = std::move(loaded.expired);
  account();
  return loaded.problem;
}

void KvStoreWrap::keep(napi_value store, Nanos to_unix) {
  std::shared_ptr<SqliteStore> file = StoreWrap::store_of(Env(), store);
  if (!file || keeper_) return;
  keeper_ = std::make_shared<KvKeeper>(std::move(file), to_unix, store_->version());
  observe();
  keeper_->drop(expired_);
  expired_ = {};
}

KvVersion KvStoreWrap::written_version() const {
  return keeper_ ? keeper_->written() : kAbsent;
}

}  // namespace sluice
