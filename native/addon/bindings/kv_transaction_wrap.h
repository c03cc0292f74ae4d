// The JavaScript class `KvTransaction`, private to lib/primitives/kv/transaction.js:
// core/kv_transaction.h.
//
//   new KvTransaction(store)
//   begin()    an empty one; end() frees all that it holds, so that it can begin again
//   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined     version 0: its own
//   scan(nowMs, limit, reverse, keysOnly, prefix, start, end, after) -> page (kv_arguments.h)
//   set(key, value, kind, ttlMs) -> 0, or -1 - status      ttlMs -1: the end that the key has
//   touch(key, ttlMs, nowMs) -> whether the key is there
//   erase(key)
//   doomed()
//   versionOf(key) -> what the commit gave to it; 0 where it changed nothing there
//   commit(nowMs, prefix, maxKeys, maxBytes, areaPrefix, areaMaxKeys, areaMaxBytes) -> the store's
//     version, 0 where nothing changed, or -1 - status. The keys with a prefix, where all that is
//     written lies, are a KvShare; so are those of its area. Without a prefix there is neither
//
// Between `end` and `begin` nothing else is called. Objects are reused, as in kv_snapshot_wrap.h.
// JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "core/kv/transaction.h"

namespace sluice {

class KvTransactionWrap final : public Napi::ObjectWrap<KvTransactionWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvTransactionWrap(const Napi::CallbackInfo& info);

 private:
  void begin(const Napi::CallbackInfo& info);
  void end(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
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
