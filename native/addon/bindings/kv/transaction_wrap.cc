#include "addon/bindings/kv/transaction_wrap.h"

#include "addon/bindings/kv/arguments.h"
#include "addon/bindings/kv/store_wrap.h"
#include "addon/napi/arguments.h"

namespace sluice {
Napi::Function KvTransactionWrap::define(Napi::Env env) {
  return DefineClass(env, "KvTransaction",
                     {
                         InstanceMethod<&KvTransactionWrap::begin>("begin"),
                         InstanceMethod<&KvTransactionWrap::end>("end"),
                         InstanceMethod<&KvTransactionWrap::get>("get"),
                         InstanceMethod<&KvTransactionWrap::head>("head"),
                         InstanceMethod<&KvTransactionWrap::scan>("scan"),
                         InstanceMethod<&KvTransactionWrap::set>("set"),
                         InstanceMethod<&KvTransactionWrap::touch>("touch"),
                         InstanceMethod<&KvTransactionWrap::erase>("erase"),
                         InstanceMethod<&KvTransactionWrap::doomed>("doomed"),
                         InstanceMethod<&KvTransactionWrap::version_of>("versionOf"),
                         InstanceMethod<&KvTransactionWrap::commit>("commit"),
                     });
}

KvTransactionWrap::KvTransactionWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(KvStoreWrap::store_of(info, 0)) {}

void KvTransactionWrap::begin(const Napi::CallbackInfo& /*info*/) {
  transaction_.emplace(store_);
}

void KvTransactionWrap::end(const Napi::CallbackInfo& /*info*/) {
  transaction_.reset();
}

Napi::Value KvTransactionWrap::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_entry_for_js(env, transaction_->get(text_from(env, info[0]), nanos_at(info, 1)));
}

Napi::Value KvTransactionWrap::head(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return kv_head_for_js(env, transaction_->get(text_from(env, info[0]), nanos_at(info, 1)));
}

Napi::Value KvTransactionWrap::scan(const Napi::CallbackInfo& info) {
  const KvScanRequest asked = kv_scan_from(info, 1);
  return kv_page_for_js(
      info.Env(), transaction_->scan(asked.range, asked.limit, nanos_at(info, 0), asked.order),
      asked.keys_only);
}

Napi::Value KvTransactionWrap::set(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const KvStatus status = transaction_->set(text_from(env, info[0]),
                                            kv_value_from(env, info[1], info[2]), ttl_at(info, 3));
  return kv_result_for_js(env, {status});
}

Napi::Value KvTransactionWrap::touch(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  return Napi::Boolean::New(
      env, transaction_->touch(text_from(env, info[0]), ttl_at(info, 1), nanos_at(info, 2)));
}

void KvTransactionWrap::erase(const Napi::CallbackInfo& info) {
  transaction_->erase(text_from(info.Env(), info[0]));
}

Napi::Value KvTransactionWrap::doomed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), transaction_->doomed());
}

Napi::Value KvTransactionWrap::version_of(const Napi::CallbackInfo& info) {
  const KvVersion version = transaction_->version_of(text_from(info.Env(), info[0]));
  return Napi::Number::New(info.Env(), static_cast<double>(version));
}

Napi::Value KvTransactionWrap::commit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string prefix = text_from(env, info[1]);
  if (prefix.empty()) return kv_result_for_js(env, transaction_->commit(nanos_at(info, 0)));
  const KvShare share{.range = kv_range(prefix, {}, {}, {}),
                      .max_keys = count_from(env, info[2]),
                      .max_bytes = count_from(env, info[3])};
  const KvShare area{.range = kv_range(text_from(env, info[4]), {}, {}, {}),
                     .max_keys = count_from(env, info[5]),
                     .max_bytes = count_from(env, info[6])};
  return kv_result_for_js(env, transaction_->commit(nanos_at(info, 0), &share, &area));
}

}  // namespace sluice
