// A key-value store in the store's tables: its changes as rows, and back.
//
// A KvKeeper gets changes under the lock of their KvStore, on any thread, and queues them in that
// order; `load_kv` is for the thread that has the file, before. A keeper ends with the last
// who holds it: the KvStore's observer, mostly. The SqliteStore may be closed before it; what is
// changed then is written nowhere.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/kv/store.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

/// What a file had.
struct KvLoaded {
  /// Not empty: what is wrong with it, in words that go on behind the file's name. The KvStore is
  /// of no use then.
  std::string problem;
  std::vector<KvVersion> expired;  ///< entries that were left out: they are over by now
};

/// Fills a new KvStore with the entries of a file. Its versions go on behind the last one that was
/// written, that of a deletion included.
/// @param to_unix offset from the KvStore's time to Unix time
/// @param now in the KvStore's time
KvLoaded load_kv(StoreFile& file, KvStore& kv, Nanos to_unix, Nanos now);

class KvKeeper {
 public:
  /// @param version of the last change that is in the file
  KvKeeper(std::shared_ptr<SqliteStore> store, Nanos to_unix, KvVersion version);

  /// Queues changes; for KvStore::observe.
  void on_changes(std::span<const KvChange> changes);

  /// Removes entries that `load_kv` has left out.
  void drop(const std::vector<KvVersion>& expired);

  /// The last version that is on the disk, with all before it. Any thread.
  [[nodiscard]] KvVersion written() const { return written_->load(std::memory_order_acquire); }

 private:
  const std::shared_ptr<SqliteStore> store_;
  const Nanos to_unix_;
  const std::shared_ptr<std::atomic<KvVersion>> written_;
};

}  // namespace sluice
