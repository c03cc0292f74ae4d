// The expiries of holds and the due scheduled transfers of a ledger.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "core/ledger/event.h"

namespace sluice {

/// Expiries of holds and scheduled transfers, together, by (due, id). Any thread.
///
/// An entry stays until its event is made, so a thread that finds nothing due sees the effects of
/// all earlier entries.
class LedgerAgenda {
 public:
  /// Adds an entry; kNever is ignored.
  void add(Nanos due, LedgerId id) {
    if (due == kNever) return;
    const std::lock_guard lock(mutex_);
    entries_.emplace(due, id);
    next_.store(entries_.begin()->first);
  }

  /// Removes an entry; an unknown one is ignored.
  void remove(Nanos due, LedgerId id) {
    const std::lock_guard lock(mutex_);
    entries_.erase({due, id});
    next_.store(entries_.empty() ? kNever : entries_.begin()->first);
  }

  /// The first due entry; 0 when there is none.
  [[nodiscard]] LedgerId first_due(Nanos now) const {
    const std::lock_guard lock(mutex_);
    return entries_.empty() || entries_.begin()->first > now ? 0 : entries_.begin()->second;
  }

  /// All entries, by (due, id).
  [[nodiscard]] std::vector<LedgerId> ids() const {
    const std::lock_guard lock(mutex_);
    std::vector<LedgerId> ids;
    ids.reserve(entries_.size());
    for (const auto& entry : entries_) ids.push_back(entry.second);
    return ids;
  }

  /// The time of the first entry; kNever when there is none.
  [[nodiscard]] Nanos next() const { return next_.load(); }

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<Nanos, LedgerId>> entries_;
  std::atomic<Nanos> next_ = kNever;
};

}  // namespace sluice
