#include "core/containers/bounded_queue.h"

#include <iterator>

namespace sluice {

bool BoundedQueue::push(ItemId item, Nanos now) {
  // No item overtakes the line, even when admit() has yet to fill a free place.
  const bool queued = queued_.size() < capacity_ && waiting_.empty();
  auto& list = queued ? queued_ : waiting_;
  list.push_back({item, now});
  places_[item] = {std::prev(list.end()), queued};
  return queued;
}

QueuedItem BoundedQueue::pop() {
  const QueuedItem front = queued_.front();
  places_.erase(front.item);
  queued_.pop_front();
  return front;
}

std::optional<ItemId> BoundedQueue::admit(Nanos now) {
  if (waiting_.empty() || queued_.size() >= capacity_) return std::nullopt;
  // Spliced, so the node that places_ points at stays where it is.
  queued_.splice(queued_.end(), waiting_, waiting_.begin());
  QueuedItem& admitted = queued_.back();
  admitted.arrived = now;
  places_[admitted.item].queued = true;
  return admitted.item;
}

BoundedQueue::Removed BoundedQueue::remove(ItemId item) {
  const auto found = places_.find(item);
  if (found == places_.end()) return Removed::kUnknown;
  const Place place = found->second;
  places_.erase(found);
  (place.queued ? queued_ : waiting_).erase(place.node);
  return place.queued ? Removed::kQueued : Removed::kWaiting;
}

std::vector<ItemId> BoundedQueue::reject_waiting() {
  std::vector<ItemId> rejected;
  rejected.reserve(waiting_.size());
  for (const QueuedItem& waiting : waiting_) {
    rejected.push_back(waiting.item);
    places_.erase(waiting.item);
  }
  waiting_.clear();
  return rejected;
}

}  // namespace sluice
