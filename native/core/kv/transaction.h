// One optimistic transaction on a key-value store.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/kv/store.h"

namespace sluice {

/// Remembers its reads and buffers its writes; `commit` applies all writes or none.
///
/// A read returns the state of the store at that moment, and the same state again when repeated. If
/// anything read has changed by the next read of something else, the transaction is `doomed`: it
/// cannot commit, and its reads return nothing from then on, since they would mix two states.
/// Changes to keys not read yet are harmless. A scan reads its whole range, including its absent
/// keys.
///
/// Not thread-safe. Any number of transactions may use one store at a time.
class KvTransaction {
 public:
  explicit KvTransaction(std::shared_ptr<KvStore> store) : store_(std::move(store)) {}

  /// The entry of a key; for a key written by this transaction the entry to be committed (version
  /// kAbsent, expiry as of a commit now). Nothing when there is none, or when doomed.
  KvEntryRef get(std::string_view key, Nanos now);

  /// Like KvSnapshot::scan, own writes included.
  KvPage scan(const KvRange& range, std::size_t limit, Nanos now,
              KvOrder order = KvOrder::kAscending);

  /// Writes without reading the key. The ttl counts from the commit; kKeepEnd keeps the ttl of an
  /// earlier write of this transaction, or else the key's expiry at the commit. Returns kDone or
  /// the reason for refusal.
  KvStatus set(std::string_view key, KvValue value, Nanos ttl);

  /// Like KvStore::touch. Reads the key. False: the key is absent, or the transaction is doomed.
  bool touch(std::string_view key, Nanos ttl, Nanos now);

  /// Deletes without reading the key, which may be absent.
  void erase(std::string_view key);

  [[nodiscard]] bool doomed() const { return doomed_; }

  /// Ends the transaction, whatever the result. kConflict when doomed. `share` and `area` as in
  /// KvStore::commit.
  KvResult commit(Nanos now, const KvShare* share = nullptr, const KvShare* area = nullptr);

  /// The version that the commit gave to a key; kAbsent where it changed nothing there.
  [[nodiscard]] KvVersion version_of(std::string_view key) const;

 private:
  void check(Nanos now);
  KvStatus put(std::string_view key, KvWrite write, std::uint64_t max_bytes);
  void remember(const std::string& key, const KvEntryRef& entry);
  [[nodiscard]] KvEntryRef pending(const std::string& key, const KvWrite& write, Nanos now) const;

  const std::shared_ptr<KvStore> store_;
  const Ref<KvHeld> held_{new KvHeld};  // of entries made for own writes
  KvReads reads_;
  KvWrites writes_;
  std::uint64_t written_bytes_ = 0;
  KvVersion checked_at_ = kAbsent;  // the version at which all reads were last known to be current
  bool doomed_ = false;
};

}  // namespace sluice
