#include "addon/bindings/kv/snapshot_wrap.h"

#include "addon/bindings/kv/store_wrap.h"

namespace sluice {

Napi::Function KvSnapshotWrap::define(Napi::Env env) {
  return DefineClass(env, "KvSnapshot",
                     {
                         method<&KvSnapshotWrap::take>("take"),
                         method<&KvSnapshotWrap::get>("get"),
                         method<&KvSnapshotWrap::scan>("scan"),
                         method<&KvSnapshotWrap::release>("release"),
                     });
}

KvSnapshotWrap::KvSnapshotWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(KvStoreWrap::store_of(info.Env(), info[0])) {}

KvVersion KvSnapshotWrap::take(Nanos now) {
  snapshot_.emplace(store_->snapshot(now));
  return snapshot_->version();
}

KvEntryRef KvSnapshotWrap::get(const std::string& key) const {
  return snapshot_ ? snapshot_->get(key) : KvEntryRef();
}

KvScanned KvSnapshotWrap::scan(const KvScanRequest& request) const {
  return snapshot_ ? kv_scan(*snapshot_, request) : KvScanned();
}

}  // namespace sluice
