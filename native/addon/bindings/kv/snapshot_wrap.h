// The binding of the JavaScript class `KvSnapshot`.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <string>

#include "addon/bindings/kv/arguments.h"
#include "addon/napi/method.h"
#include "core/kv/store.h"

namespace sluice {

/// The JavaScript class `KvSnapshot`, private to lib/primitives/kv/snapshot.js.
///
///   new KvSnapshot(store)
///   take(nowMs) -> version    of the last change in it
///   get(key) -> [value, kind, version, expiresAtMs] | undefined
///   scan(request) -> page (arguments.h)
///   release()    drops the snapshot; `take` may be called again
///
/// Objects are reused: Node-API frees its memory of an object in a turn of the event loop, which
/// does not come during a tight loop. JavaScript's thread only. Ends with garbage collection.
class KvSnapshotWrap final : public Napi::ObjectWrap<KvSnapshotWrap>,
                             private DirectMethods<KvSnapshotWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvSnapshotWrap(const Napi::CallbackInfo& info);

 private:
  KvVersion take(Nanos now);
  [[nodiscard]] KvEntryRef get(const std::string& key) const;
  [[nodiscard]] KvScanned scan(const KvScanRequest& request) const;
  void release() { snapshot_.reset(); }

  const std::shared_ptr<KvStore> store_;
  std::optional<KvSnapshot> snapshot_;
};

}  // namespace sluice
