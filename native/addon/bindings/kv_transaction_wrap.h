// The JavaScript class `KvTransaction`, private to lib/primitives/kv/transaction.js:
// core/kv_transaction.h.
//
//   new KvTransaction(store)
//   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined     version 0: its own
//   scan(limit, nowMs, prefix, start, end, after) -> [more, key, value, kind, version, ...]
//   set(key, value, kind, ttlMs) -> 0, or -1 - status
//   erase(key)
//   doomed()
//   versionOf(key) -> what the commit gave to it; 0 where it changed nothing there
//   commit(nowMs, prefix, maxKeys, maxBytes, areaPrefix, areaMaxKeys, areaMaxBytes) -> the store's
//     version, 0 where nothing changed, or -1 - status. The keys with a prefix, where all that is
//     written lies, are a KvShare; so are those of its area. Without a prefix there is neither
//
// JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include "core/kv/transaction.h"

namespace sluice {

class KvTransactionWrap final : public Napi::ObjectWrap<KvTransactionWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvTransactionWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value head(const Napi::CallbackInfo& info);
  Napi::Value scan(const Napi::CallbackInfo& info);
  Napi::Value set(const Napi::CallbackInfo& info);
  void erase(const Napi::CallbackInfo& info);
  Napi::Value doomed(const Napi::CallbackInfo& info);
  Napi::Value version_of(const Napi::CallbackInfo& info);
  Napi::Value commit(const Napi::CallbackInfo& info);

  KvTransaction transaction_;
};

}  // namespace sluice
