// What a ledger has to do by itself: holds that expire and transfers that are scheduled.
//
// By (due, id), both kinds together. Any thread; plain state that ends with its owner. An entry
// stays until its event is made: a thread that finds nothing due sees the effects of all before.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "core/ledger/event.h"

namespace sluice {

class LedgerAgenda {
 public:
  /// kNever is not entered.
  void add(Nanos due, LedgerId id) {
    if (due == kNever) return;
    const std::lock_guard lock(mutex_);
    entries_.emplace(due, id);
    next_.store(entries_.begin()->first);
  }

  /// Nothing if it is not there.
  void remove(Nanos due, LedgerId id) {
    const std::lock_guard lock(mutex_);
    entries_.erase({due, id});
    next_.store(entries_.empty() ? kNever : entries_.begin()->first);
  }

  /// The first entry that is due; 0 when there is none.
  [[nodiscard]] LedgerId first_due(Nanos now) const {
    const std::lock_guard lock(mutex_);
    return entries_.empty() || entries_.begin()->first > now ? 0 : entries_.begin()->second;
  }

  /// When something is next due.
  [[nodiscard]] Nanos next() const { return next_.load(); }

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<Nanos, LedgerId>> entries_;
  std::atomic<Nanos> next_ = kNever;
};

}  // namespace sluice
