// The debounce batcher: one open batch and its due time.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/time.h"
#include "core/containers/bounded_queue.h"

namespace sluice {

struct BatcherOptions {
  std::size_t max_batch_size = 8;         ///< items; at least 1
  Nanos idle_flush = 100 * kMillisecond;  ///< a batch is due this long after its newest item
  Nanos max_wait = kNever;                ///< and at the latest this long after its oldest one
};

/// Collects items into a batch that is due when it is full, when `idle_flush` has passed with no
/// new item, or when its oldest item has waited for `max_wait`. A batch that is due stays open
/// until it is taken: while the next stage has no room, it continues to fill up. Not thread-safe:
/// one machine owns it.
class Batcher {
 public:
  explicit Batcher(const BatcherOptions& options) : options_(options) {}

  /// Adds an item that arrived at `item.arrived`; the batch must not be full.
  void add(const QueuedItem& item);

  /// Removes an item from the open batch. Returns false for an unknown item. The time of the newest
  /// arrival is unchanged.
  bool remove(ItemId item);

  [[nodiscard]] bool due(Nanos now) const { return full() || next_deadline() <= now; }

  /// The time at which the open batch becomes due; kNever when it is empty.
  [[nodiscard]] Nanos next_deadline() const;

  /// Closes the batch and returns its items in order of arrival.
  std::vector<ItemId> take();

  [[nodiscard]] bool full() const { return items_.size() >= options_.max_batch_size; }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  BatcherOptions options_;
  std::vector<QueuedItem> items_;
  Nanos newest_ = 0;
};

}  // namespace sluice
