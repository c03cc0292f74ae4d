#include "addon/bindings/kv_snapshot_wrap.h"

#include "addon/bindings/kv_arguments.h"
#include "addon/bindings/kv_store_wrap.h"
#include "addon/napi/arguments.h"

namespace sluice {

Napi::Function KvSnapshotWrap::define(Napi::Env env) {
  return DefineClass(env, "KvSnapshot",
                     {
                         InstanceMethod<&KvSnapshotWrap::get>("get"),
                         InstanceMethod<&KvSnapshotWrap::scan>("scan"),
                         InstanceMethod<&KvSnapshotWrap::version>("version"),
                         InstanceMethod<&KvSnapshotWrap::release>("release"),
                     });
}

KvSnapshotWrap::KvSnapshotWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), snapshot_(KvStoreWrap::store_of(info, 0)->snapshot(nanos_at(info, 1))) {}

Napi::Value KvSnapshotWrap::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_entry_for_js(env, snapshot_ ? snapshot_->get(text_from(env, info[0])) : KvEntryRef());
}

Napi::Value KvSnapshotWrap::scan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!snapshot_) return kv_page_for_js(env, {});
  return kv_page_for_js(env, snapshot_->scan(kv_range_from(info, 1), count_from(env, info[0])));
}

Napi::Value KvSnapshotWrap::version(const Napi::CallbackInfo& info) {
  const KvVersion version = snapshot_ ? snapshot_->version() : kAbsent;
  return Napi::Number::New(info.Env(), static_cast<double>(version));
}

void KvSnapshotWrap::release(const Napi::CallbackInfo& /*info*/) {
  snapshot_.reset();
}

}  // namespace sluice
