#include "addon/bindings/kv/snapshot_wrap.h"

#include "addon/bindings/kv/arguments.h"
#include "addon/bindings/kv/store_wrap.h"
#include "addon/napi/arguments.h"

namespace sluice {

Napi::Function KvSnapshotWrap::define(Napi::Env env) {
  return DefineClass(env, "KvSnapshot",
                     {
                         InstanceMethod<&KvSnapshotWrap::take>("take"),
                         InstanceMethod<&KvSnapshotWrap::get>("get"),
                         InstanceMethod<&KvSnapshotWrap::scan>("scan"),
                         InstanceMethod<&KvSnapshotWrap::release>("release"),
                     });
}

KvSnapshotWrap::KvSnapshotWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(KvStoreWrap::store_of(info, 0)) {}

Napi::Value KvSnapshotWrap::take(const Napi::CallbackInfo& info) {
  snapshot_.emplace(store_->snapshot(nanos_at(info, 0)));
  return Napi::Number::New(info.Env(), static_cast<double>(snapshot_->version()));
}

Napi::Value KvSnapshotWrap::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_entry_for_js(env, snapshot_ ? snapshot_->get(text_from(env, info[0])) : KvEntryRef());
}

Napi::Value KvSnapshotWrap::scan(const Napi::CallbackInfo& info) {
  const KvScanRequest asked = kv_scan_from(info, 0);
  const KvPage page = snapshot_ ? snapshot_->scan(asked.range, asked.limit, asked.order) : KvPage();
  return kv_page_for_js(info.Env(), page, asked.keys_only);
}

void KvSnapshotWrap::release(const Napi::CallbackInfo& /*info*/) {
  snapshot_.reset();
}

}  // namespace sluice
