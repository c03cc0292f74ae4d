#include "addon/bindings/kv/transaction_wrap.h"

#include "addon/bindings/kv/store_wrap.h"

namespace sluice {

Napi::Function KvTransactionWrap::define(Napi::Env env) {
  return DefineClass(env, "KvTransaction",
                     {
                         method<&KvTransactionWrap::begin>("begin"),
                         method<&KvTransactionWrap::end>("end"),
                         method<&KvTransaction::get>("get"),
                         method<&KvTransactionWrap::head>("head"),
                         method<&KvTransactionWrap::scan>("scan"),
                         method<&KvTransactionWrap::set>("set"),
                         method<&KvTransactionWrap::touch>("touch"),
                         method<&KvTransaction::erase>("erase"),
                         method<&KvTransaction::doomed>("doomed"),
                         method<&KvTransaction::version_of>("versionOf"),
                         method<&KvTransactionWrap::commit>("commit"),
                     });
}

KvTransactionWrap::KvTransactionWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), store_(KvStoreWrap::store_of(info.Env(), info[0])) {}

KvScanned KvTransactionWrap::scan(Nanos now, const KvScanRequest& request) {
  return kv_scan(*transaction_, request, now);
}

KvResult KvTransactionWrap::set(const std::string& key, napi_value value, std::uint8_t kind,
                                TimeToLive ttl) {
  return {transaction_->set(key, kv_value_from(Env(), value, kind), ttl.value)};
}

bool KvTransactionWrap::touch(const std::string& key, TimeToLive ttl, Nanos now) {
  return transaction_->touch(key, ttl.value, now);
}

KvResult KvTransactionWrap::commit(Nanos now, const std::string& prefix, std::uint64_t max_keys,
                                   std::uint64_t max_bytes, const std::string& area_prefix,
                                   std::uint64_t area_max_keys, std::uint64_t area_max_bytes) {
  if (prefix.empty()) return transaction_->commit(now);
  const KvShare share{
      .range = kv_range(prefix, {}, {}, {}), .max_keys = max_keys, .max_bytes = max_bytes};
  const KvShare area{.range = kv_range(area_prefix, {}, {}, {}),
                     .max_keys = area_max_keys,
                     .max_bytes = area_max_bytes};
  return transaction_->commit(now, &share, &area);
}

}  // namespace sluice
