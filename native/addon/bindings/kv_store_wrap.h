// The JavaScript class `KvStore`, private to lib/kv/: core/kv_store.h, synchronous.
//
//   new KvStore(maxKeys, maxKeyBytes, maxValueBytes, maxBytes, maxPinnedBytes)
//   set(key, value, kind, ttlMs, expected, nowMs) -> version   expected: a version, 0 for "not
//   touch(key, ttlMs, expected, nowMs) -> version              there", -1 for "whatever there is"
//   erase(key, expected, nowMs) -> version                     ttlMs -1: the end that the key has
//   get(key, nowMs) -> [value, kind, version, expiresAtMs] | undefined
//   scan(nowMs, limit, reverse, keysOnly, prefix, start, end, after) -> page (kv_arguments.h)
//   watch(on)        whether changes are collected
//   takeChanges() -> those since the last call (kv_arguments.h)
//   account()        reports the memory of the entries to V8, where it has changed by much
//   reclaim(most, nowMs) -> when it has something to do next
//   size(), bytes(), pinnedBytes(), snapshots(), version()
//   load(store, toUnixMs, nowMs) -> what is wrong with the entries in an opened `Store`, '' when
//   all
//     were taken in; `toUnixMs` makes Unix time of the store's own
//   keep(store, toUnixMs)   every change from now on is written to a started `Store`
//   writtenVersion() -> the last one that is on the disk, with all before it
//
// What fails gives -1 - status (core/kv_store.h) in place of a version. JavaScript's thread only;
// ends with garbage collection. Snapshots and transactions hold on to what they need.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "addon/bindings/kv_arguments.h"
#include "core/kv/store.h"
#include "runtime/storage/kv_rows.h"

namespace sluice {

class KvStoreWrap final : public Napi::ObjectWrap<KvStoreWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit KvStoreWrap(const Napi::CallbackInfo& info);
  ~KvStoreWrap() override;

  /// The store of argument `index`; an empty one where it cannot be told any more.
  static std::shared_ptr<KvStore> store_of(const Napi::CallbackInfo& info, std::size_t index);

 private:
  Napi::Value set(const Napi::CallbackInfo& info);
  Napi::Value touch(const Napi::CallbackInfo& info);
  Napi::Value erase(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value scan(const Napi::CallbackInfo& info);
  Napi::Value reclaim(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value pinned_bytes(const Napi::CallbackInfo& info);
  Napi::Value snapshots(const Napi::CallbackInfo& info);
  Napi::Value version(const Napi::CallbackInfo& info);
  void watch(const Napi::CallbackInfo& info);
  Napi::Value take_changes(const Napi::CallbackInfo& info);
  void account(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  void keep(const Napi::CallbackInfo& info);
  Napi::Value written_version(const Napi::CallbackInfo& info);

  void observe();
  void report(std::int64_t more_bytes);

  const std::shared_ptr<KvStore> store_;
  std::vector<KvVersion> expired_;    // in the file, and nowhere else
  std::shared_ptr<KvKeeper> keeper_;  // the store's observer holds it, too
  bool watched_ = false;
  std::vector<KvOwnedChange> changes_;  // while it is watched
  std::int64_t reported_bytes_ = 0;     // to V8
};

}  // namespace sluice
