// The JavaScript class `KvSnapshot`, private to lib/primitives/kv/snapshot.js: core/kv_snapshot.h.
//
//   new KvSnapshot(store, nowMs)
//   get(key) -> [value, kind, version, expiresAtMs] | undefined
//   scan(limit, prefix, start, end, after) -> [more, key, value, kind, version, ...]
//   version()
//   release()    from then on there is nothing in it
//
// JavaScript's thread only. Ends with release, or with garbage collection.
#pragma once

#include <napi.h>

#include <optional>

#include "core/kv/snapshot.h"

namespace sluice {

class KvSnapshotWrap final : public Napi::ObjectWrap<KvSnapshotWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvSnapshotWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value scan(const Napi::CallbackInfo& info);
  Napi::Value version(const Napi::CallbackInfo& info);
  void release(const Napi::CallbackInfo& info);

  std::optional<KvSnapshot> snapshot_;
};

}  // namespace sluice
