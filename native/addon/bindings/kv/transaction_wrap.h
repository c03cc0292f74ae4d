// The binding of the JavaScript class `KvTransaction`.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <string>

#include "addon/bindings/kv/arguments.h"
#include "addon/napi/method.h"
#include "core/kv/transaction.h"

namespace sluice {

/// The JavaScript class `KvTransaction`, private to lib/primitives/kv/transaction.js.
///
///   new KvTransaction(store)
///   begin()    starts a transaction; end() frees its memory, and `begin` may be called again
///   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined     version 0: its own
///     write
///   head(key, nowMs) -> [bytes of the value, version, expiresAtMs] | undefined
///   scan(nowMs, request) -> page (arguments.h)
///   set(key, value, kind, ttlMs) -> 0, or -1 - status      ttlMs -1: keep the expiry
///   touch(key, ttlMs, nowMs) -> whether the key is there
///   erase(key)
///   doomed()
///   versionOf(key) -> its version by the commit; 0: unchanged
///   commit(nowMs, prefix, maxKeys, maxBytes, areaPrefix, areaMaxKeys, areaMaxBytes) -> the store's
///     version, 0: nothing changed, or -1 - status
///
/// The keys with `prefix`, which include all written ones, are a KvShare, and so are those with
/// `areaPrefix`. Without a prefix there is neither.
///
/// No other method may be called between `end` and `begin`. Objects are reused, as in
/// KvSnapshotWrap. JavaScript's thread only; ends with garbage collection.
class KvTransactionWrap final : public Napi::ObjectWrap<KvTransactionWrap>,
                                private DirectMethods<KvTransactionWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvTransactionWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] KvTransaction& target() { return *transaction_; }

 private:
  void begin() { transaction_.emplace(store_); }
  void end() { transaction_.reset(); }
  KvHead head(const std::string& key, Nanos now) { return {transaction_->get(key, now)}; }
  KvScanned scan(Nanos now, const KvScanRequest& request);
  KvResult set(const std::string& key, napi_value value, std::uint8_t kind, TimeToLive ttl);
  bool touch(const std::string& key, TimeToLive ttl, Nanos now);
  KvResult commit(Nanos now, const std::string& prefix, std::uint64_t max_keys,
                  std::uint64_t max_bytes, const std::string& area_prefix,
                  std::uint64_t area_max_keys, std::uint64_t area_max_bytes);

  const std::shared_ptr<KvStore> store_;
  std::optional<KvTransaction> transaction_;
};

}  // namespace sluice
