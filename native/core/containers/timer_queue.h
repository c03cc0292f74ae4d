// Deadlines of many objects in one heap, re-armed lazily.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "core/base/time.h"

namespace sluice {

/// Deadlines of many objects in one heap.
///
/// A deadline that moves later (a heartbeat postponed by every token) costs nothing: the old entry
/// fires early, and the owner checks the true deadline and re-arms it. A deadline that moves
/// earlier is added again. Not thread-safe.
template <typename Key>
class TimerQueue {
 public:
  /// Adds an entry; kNever is ignored.
  void arm(Nanos due, Key key) {
    if (due != kNever) heap_.push({due, key});
  }

  [[nodiscard]] Nanos next_deadline() const { return heap_.empty() ? kNever : heap_.top().due; }

  /// Removes and returns an entry due at `now`. The owner must check its true deadline.
  [[nodiscard]] bool pop_due(Nanos now, Key& key) {
    if (heap_.empty() || heap_.top().due > now) return false;
    key = heap_.top().key;
    heap_.pop();
    return true;
  }

 private:
  struct Entry {
    Nanos due;
    Key key;
    bool operator>(const Entry& other) const { return due > other.due; }
  };
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
};

}  // namespace sluice
