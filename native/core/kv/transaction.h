// One optimistic transaction: reads are remembered, writes are kept back, `commit` does all or
// nothing.
//
// What was read is what the store held at that moment, and it reads so again. Should something that
// was read have changed by the next read of anything else, the transaction is `doomed`: it will not
// commit, and reads give nothing from then on: they would mix two states. Changes
// to keys that were not read yet harm nothing. A scan reads its whole range, the keys that are
// missing in it included.
//
// Not thread-safe: one owner, beside any number of others at the same store. Ends with its owner.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/kv/store.h"

namespace sluice {

class KvTransaction {
 public:
  explicit KvTransaction(std::shared_ptr<KvStore> store) : store_(std::move(store)) {}

  /// The entry of a key, as it will be if it was written here (version kAbsent, its end as if it
  /// were committed now); nothing when there is none, or when doomed.
  KvEntryRef get(std::string_view key, Nanos now);

  /// As KvSnapshot::scan, own writes included.
  KvPage scan(const KvRange& range, std::size_t limit, Nanos now,
              KvOrder order = KvOrder::kAscending);

  /// Reads nothing. The ttl runs from the commit; with kKeepEnd it is that of an earlier write of
  /// this transaction, or what the key has then. kDone, or why it cannot be.
  KvStatus set(std::string_view key, KvValue value, Nanos ttl);

  /// As KvStore::touch. Reads the key. False: it is not there, or the transaction is doomed.
  bool touch(std::string_view key, Nanos ttl, Nanos now);

  /// Reads nothing, so a key that is not there is none the worse.
  void erase(std::string_view key);

  [[nodiscard]] bool doomed() const { return doomed_; }

  /// Ends the transaction, whatever the answer. kConflict when doomed. `share` and
  /// `area` as for KvStore::commit.
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
  KvVersion checked_at_ = kAbsent;  // as of this version all reads were known to hold
  bool doomed_ = false;
};

}  // namespace sluice
