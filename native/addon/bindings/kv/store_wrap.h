// The binding of the JavaScript class `KvStore`.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "addon/bindings/kv/arguments.h"
#include "addon/napi/method.h"
#include "core/kv/store.h"
#include "runtime/storage/kv_rows.h"

namespace sluice {

/// The JavaScript class `KvStore`, private to lib/primitives/kv/: a KvStore, called synchronously.
///
///   new KvStore(maxKeys, maxKeyBytes, maxValueBytes, maxBytes, maxPinnedBytes)
///   set(key, value, kind, ttlMs, expected, nowMs) -> version   expected: a version, 0: absent,
///   touch(key, ttlMs, expected, nowMs) -> version              -1: any; ttlMs -1: keep the expiry
///   erase(key, expected, nowMs) -> version
///   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined
///   scan(nowMs, request) -> page (arguments.h)
///   watch(on)        whether changes are collected
///   takeChanges() -> the changes since the last call (arguments.h)
///   account()        reports the memory of the entries to V8, if it has changed much
///   reclaim(most, nowMs) -> when to call it next
///   size(), bytes(), pinnedBytes(), snapshots(), version()
///   load(store, toUnixMs, nowMs) -> '' once all entries of an opened `Store` are loaded, or else
///     the fault; `toUnixMs` is the offset from the store's time to Unix time
///   keep(store, toUnixMs)   every change from now on is written to a started `Store`
///   writtenVersion() -> the version up to which every change is on the disk
///
/// A call that fails returns -1 - KvStatus instead of a version. JavaScript's thread only;
/// ends with garbage collection. Snapshots and transactions keep alive the data that they need.
class KvStoreWrap final : public Napi::ObjectWrap<KvStoreWrap>, private DirectMethods<KvStoreWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvStoreWrap(const Napi::CallbackInfo& info);
  ~KvStoreWrap() override;

  /// The store of a `KvStore`; an empty one while the environment is being terminated.
  static std::shared_ptr<KvStore> store_of(napi_env env, napi_value value);

  [[nodiscard]] KvStore& target() const { return *store_; }

 private:
  KvResult set(std::string key, napi_value value, std::uint8_t kind, TimeToLive ttl,
               ExpectedVersion expected, Nanos now);
  KvResult touch(const std::string& key, TimeToLive ttl, ExpectedVersion expected, Nanos now);
  KvResult erase(const std::string& key, ExpectedVersion expected, Nanos now);
  KvScanned scan(Nanos now, const KvScanRequest& request);
  Nanos reclaim(std::size_t most, Nanos now);
  void watch(bool on);
  napi_value take_changes();
  void account();
  std::string load(napi_value store, Nanos to_unix, Nanos now);
  void keep(napi_value store, Nanos to_unix);
  [[nodiscard]] KvVersion written_version() const;

  void observe();
  void report(std::int64_t more_bytes);

  const std::shared_ptr<KvStore> store_;
  std::vector<KvVersion> expired_;    // that only the file still holds
  std::shared_ptr<KvKeeper> keeper_;  // the store's observer holds it, too
  bool watched_ = false;
  std::vector<KvOwnedChange> changes_;  // while it is watched
  std::int64_t reported_bytes_ = 0;     // to V8
};

}  // namespace sluice
