// Writes the changes of a key-value store to the data file, and loads them back.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/kv/store.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

/// The result of `load_kv`.
struct KvLoaded {
  /// Empty on success; otherwise the fault, worded to follow the file's name in an error message.
  /// The KvStore must then be discarded.
  std::string problem;
  std::vector<KvVersion> expired;  ///< entries skipped because they had expired
};

/// Loads the entries of a file into a new KvStore. Its next version follows the last one written,
/// including the version of a deletion. Called by the thread that owns the file, before the file
/// passes to a SqliteStore.
/// @param to_unix offset from the KvStore's time to Unix time
/// @param now in the KvStore's time
KvLoaded load_kv(StoreFile& file, KvStore& kv, Nanos to_unix, Nanos now);

/// Persists the changes of one KvStore.
///
/// The KvStore's observer calls it under the store's lock, on any thread, so changes are queued in
/// the order of their versions. The observer's reference usually keeps it alive. The SqliteStore
/// may be closed first; later changes are then not written.
class KvKeeper {
 public:
  /// @param version the version of the last change in the file
  KvKeeper(std::shared_ptr<SqliteStore> store, Nanos to_unix, KvVersion version);

  /// Queues changes; for KvStore::observe.
  void on_changes(std::span<const KvChange> changes);

  /// Deletes the rows of the expired entries that `load_kv` skipped.
  void drop(const std::vector<KvVersion>& expired);

  /// The version up to which every change is on the disk. Any thread.
  [[nodiscard]] KvVersion written() const { return written_->load(std::memory_order_acquire); }

 private:
  const std::shared_ptr<SqliteStore> store_;
  const Nanos to_unix_;
  const std::shared_ptr<std::atomic<KvVersion>> written_;
};

}  // namespace sluice
