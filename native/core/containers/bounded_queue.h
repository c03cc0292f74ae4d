// A bounded FIFO queue with a waiting line for its places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/time.h"

namespace sluice {

/// Opaque to the core; unique among the items that are in a pipeline at one time.
using ItemId = std::uint64_t;

/// An item and the time at which it entered the queue.
struct QueuedItem {
  ItemId item;
  Nanos arrived;
};

/// Holds at most `capacity` items. An item that comes when it is full waits in line, first come
/// first served, until `admit` gives it a place or `remove` removes it. Not thread-safe: one
/// machine owns it.
class BoundedQueue {
 public:
  enum class Removed { kUnknown, kWaiting, kQueued };

  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// True: the item has a place. False: it waits in line.
  bool push(ItemId item, Nanos now);

  /// Takes out the oldest item; the queue must not be empty. The place stays free until `admit` is
  /// called.
  QueuedItem pop();

  /// Moves the first item in line to a free place and returns it; empty when there is no free place
  /// or no item in line.
  std::optional<ItemId> admit(Nanos now);

  /// Takes the item out, wherever it is, and says where it was.
  Removed remove(ItemId item);

  /// Empties the line and returns its items, in order.
  std::vector<ItemId> reject_waiting();

  [[nodiscard]] bool empty() const { return queued_.empty(); }
  [[nodiscard]] std::size_t size() const { return queued_.size(); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Place {
    std::list<QueuedItem>::iterator node;
    bool queued;
  };

  std::size_t capacity_;
  std::list<QueuedItem> queued_;
  std::list<QueuedItem> waiting_;
  std::unordered_map<ItemId, Place> places_;
};

}  // namespace sluice
