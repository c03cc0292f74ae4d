#include "core/scheduling/batcher.h"

#include <algorithm>

namespace sluice {

void Batcher::add(const QueuedItem& item) {
  items_.push_back(item);
  newest_ = item.arrived;
}

bool Batcher::remove(ItemId item) {
  const auto found = std::find_if(items_.begin(), items_.end(),
                                  [item](const QueuedItem& queued) { return queued.item == item; });
  if (found == items_.end()) return false;
  items_.erase(found);
  return true;
}

Nanos Batcher::next_deadline() const {
  if (items_.empty()) return kNever;
  return std::min(deadline_after(newest_, options_.idle_flush),
                  deadline_after(items_.front().arrived, options_.max_wait));
}

std::vector<ItemId> Batcher::take() {
  std::vector<ItemId> batch;
  batch.reserve(items_.size());
  for (const QueuedItem& queued : items_) batch.push_back(queued.item);
  items_.clear();
  return batch;
}

}  // namespace sluice
