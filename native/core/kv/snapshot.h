// A key-value store as it was at one moment, and the ranges of keys that are read of it.
//
// Any thread, several at once: nothing in it changes, time included, which stands still at the
// moment it was taken. It stays readable when the store has gone. What it alone still sees goes
// with it, on the thread that lets go of it, without the store's lock.
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

/// Keys from `from` on, up to and without `to`, in the order of their bytes.
struct KvRange {
  std::string from;
  std::optional<std::string> to;

  [[nodiscard]] bool ends_before(std::string_view key) const { return to && key >= *to; }
};

/// The direction in which a range is read.
enum class KvOrder : std::uint8_t { kAscending, kDescending };

/// The range of the keys that begin with `prefix`, lie from `start` on and before `end`, and behind
/// `after` in the order in which they are read, each if it is given.
KvRange kv_range(std::string_view prefix, const std::optional<std::string>& start,
                 const std::optional<std::string>& end, const std::optional<std::string>& after,
                 KvOrder order = KvOrder::kAscending);

struct KvPage {
  /// Whether there was room below `limit`. If not, there is more.
  bool add(KvEntryRef entry, std::size_t limit) {
    more = entries.size() == limit;
    if (!more) entries.push_back(std::move(entry));
    return !more;
  }

  std::vector<KvEntryRef> entries;
  bool more = false;  ///< whether the range goes on behind the last of them
};

class KvSnapshot {
 public:
  /// For KvStore::snapshot. `open` counts the snapshots that exist.
  KvSnapshot(KvTree tree, KvVersion version, Nanos taken_at, std::shared_ptr<void> open)
      : tree_(std::move(tree)), version_(version), taken_at_(taken_at), open_(std::move(open)) {}

  /// The entry of a key that is there; nothing otherwise.
  [[nodiscard]] KvEntryRef get(std::string_view key) const;

  /// The first entries of a range in that order, `limit` (at least 1) at most.
  [[nodiscard]] KvPage scan(const KvRange& range, std::size_t limit,
                            KvOrder order = KvOrder::kAscending) const;

  /// Calls `visit(const KvEntryRef&)` for the entries of a range in that order until it answers
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

  /// The version of the last change that it saw.
  [[nodiscard]] KvVersion version() const { return version_; }

 private:
  KvTree tree_;
  KvVersion version_;
  Nanos taken_at_;
  std::shared_ptr<void> open_;
};

}  // namespace sluice
