// The binding of the JavaScript class `KvTransaction`.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "core/kv/transaction.h"

namespace sluice {

/// The JavaScript class `KvTransaction`, private to lib/primitives/kv/transaction.js.
///
///   new KvTransaction(store)
///   begin()    starts a transaction; end() frees its memory, and `begin` may be called again
///   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined     version 0: its own
/// write
///   scan(nowMs, limit, reverse, keysOnly, prefix, start, end, after) -> page (kv_arguments.h)
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
class KvTransactionWrap final : public Napi::ObjectWrap<KvTransactionWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvTransactionWrap(const Napi::CallbackInfo& info);

 private:
  void begin(const Napi::CallbackInfo& info);
  void end(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value head(const Napi::CallbackInfo& info);
  Napi::Value scan(const Napi::CallbackInfo& info);
  Napi::Value set(const Napi::CallbackInfo& info);
  Napi::Value touch(const Napi::CallbackInfo& info);
  void erase(const Napi::CallbackInfo& info);
  Napi::Value doomed(const Napi::CallbackInfo& info);
  Napi::Value version_of(const Napi::CallbackInfo& info);
  Napi::Value commit(const Napi::CallbackInfo& info);

  const std::shared_ptr<KvStore> store_;
  std::optional<KvTransaction> transaction_;
};

}  // namespace sluice
