// Snapshots of a key-value store, and ranges of keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kv/entry.h"
#include "core/kv/persistent_tree.h"

namespace sluice {

/// The keys from `from` (inclusive) to `to` (exclusive), in the order of their bytes.
struct KvRange {
  std::string from;
  std::optional<std::string> to;

  [[nodiscard]] bool ends_before(std::string_view key) const { return to && key >= *to; }
};

/// The direction in which a range is read.
enum class KvOrder : std::uint8_t { kAscending, kDescending };

/// The range of the keys that begin with `prefix`, lie in [`start`, `end`), and follow `after` in
/// the reading order; each bound is optional.
KvRange kv_range(std::string_view prefix, const std::optional<std::string>& start,
                 const std::optional<std::string>& end, const std::optional<std::string>& after,
                 KvOrder order = KvOrder::kAscending);

struct KvPage {
  /// Adds an entry if the page has fewer than `limit`; otherwise sets `more` and returns false.
  bool add(KvEntryRef entry, std::size_t limit) {
    more = entries.size() == limit;
    if (!more) entries.push_back(std::move(entry));
    return !more;
  }

  std::vector<KvEntryRef> entries;
  bool more = false;  ///< whether the range continues after the last entry
};

/// A key-value store as it was at one moment.
///
/// Immutable, and its time stands still, so any number of threads may read it at once. It stays
/// readable after the store is destroyed. Entries that only the snapshot references are freed with
/// it, on the thread that drops the last reference, without the store's lock.
class KvSnapshot {
 public:
  /// Used by KvStore::snapshot. The references to `open` count the existing snapshots.
  KvSnapshot(KvTree tree, KvVersion version, Nanos taken_at, std::shared_ptr<void> open)
      : tree_(std::move(tree)), version_(version), taken_at_(taken_at), open_(std::move(open)) {}

  /// The entry of a key; nothing when it is absent or expired.
  [[nodiscard]] KvEntryRef get(std::string_view key) const;

  /// The first entries of a range in that order, at most `limit` (at least 1).
  [[nodiscard]] KvPage scan(const KvRange& range, std::size_t limit,
                            KvOrder order = KvOrder::kAscending) const;

  /// Calls `visit(const KvEntryRef&)` for the entries of a range in that order until it returns
  /// false.
  template <typename Visit>
  void walk(const KvRange& range, KvOrder order, Visit&& visit) const {
    const auto seen = [&](const KvEntryRef& entry) {
      return !entry->alive(taken_at_) || visit(entry);
    };
    if (order == KvOrder::kDescending) {
      tree_.walk_back(range.to ? &*range.to : nullptr, [&](const KvEntryRef& entry) {
        return entry->key >= range.from && seen(entry);
      });
    } else {
      tree_.walk(range.from, [&](const KvEntryRef& entry) {
        return !range.ends_before(entry->key) && seen(entry);
      });
    }
  }

  /// The version of the last change before the snapshot.
  [[nodiscard]] KvVersion version() const { return version_; }

 private:
  KvTree tree_;
  KvVersion version_;
  Nanos taken_at_;
  std::shared_ptr<void> open_;
};

}  // namespace sluice
