// The JavaScript class `KvSnapshot`, private to lib/primitives/kv/snapshot.js: core/kv_snapshot.h.
//
//   new KvSnapshot(store)
//   take(nowMs) -> version    of the last change in it
//   get(key) -> [value, kind, version, expiresAtMs] | undefined
//   scan(limit, reverse, keysOnly, prefix, start, end, after) -> page (kv_arguments.h)
//   release()    empties it, so that it can be taken again
//
// Objects are reused: what Node-API keeps of one is freed in a turn of the event loop, which a
// tight loop never gives. JavaScript's thread only. Ends with garbage collection.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "core/kv/store.h"

namespace sluice {

class KvSnapshotWrap final : public Napi::ObjectWrap<KvSnapshotWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvSnapshotWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value take(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value scan(const Napi::CallbackInfo& info);
  void release(const Napi::CallbackInfo& info);

  const std::shared_ptr<KvStore> store_;
  std::optional<KvSnapshot> snapshot_;
};

}  // namespace sluice
