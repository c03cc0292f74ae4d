#include "core/scheduling/pipeline.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace sluice {

PipelineCore::PipelineCore(const PipelineOptions& options, PipelineObserver& observer)
    : options_(options),
      observer_(observer),
      incoming_(options.incoming_capacity),
      batcher_(options.batching),
      slots_(options.max_concurrency) {}

void PipelineCore::submit(ItemId item, Nanos now) {
  // A batch that was due before the item came leaves without it.
  advance(now);
  if (closing_) {
    observer_.removed(item, false);
    return;
  }
  if (incoming_.push(item, now)) observer_.accepted(item);
  pump(now);
}

void PipelineCore::abort(ItemId item, Nanos now) {
  advance(now);
  switch (incoming_.remove(item)) {
    case BoundedQueue::Removed::kWaiting:
      observer_.removed(item, false);
      return;
    case BoundedQueue::Removed::kQueued:
      break;
    case BoundedQueue::Removed::kUnknown:
      if (!batcher_.remove(item) && !remove_batched(item)) return;
      break;
  }
  observer_.removed(item, true);
  pump(now);
}

void PipelineCore::hold(const std::vector<BatchId>& batches) {
  for (const BatchId batch : batches) slots_.acquire(batch);
}

void PipelineCore::batch_done(BatchId batch, Nanos now) {
  advance(now);
  if (slots_.release(batch)) pump(now);
}

void PipelineCore::retry(std::vector<ItemId> items, Nanos delay, Nanos now) {
  advance(now);
  if (items.empty() || closed_) return;
  retrying_items_ += items.size();
  const auto delayed = delayed_.emplace(deadline_after(now, delay), std::move(items));
  for (const ItemId item : delayed->second) places_[item] = {Stage::kDelayed, {}, delayed};
  advance(now);
}

void PipelineCore::close(Nanos now) {
  if (closing_) return;
  advance(now);
  closing_ = true;
  for (const ItemId item : incoming_.reject_waiting()) observer_.removed(item, false);
  pump(now);
}

PipelineCounts PipelineCore::counts() const {
  return {.waiting = incoming_.waiting(),
          .incoming = incoming_.size(),
          .batching = batcher_.size(),
          .processing = processing_items_,
          .processing_batches = processing_.size(),
          .retrying = retrying_items_,
          .active_batches = slots_.in_use()};
}

Nanos PipelineCore::next_deadline() const {
  const Nanos retry = delayed_.empty() ? kNever : delayed_.begin()->first;
  // While processing is full, time cannot move the open batch, only a freed slot can: a deadline in
  // the past would make the executor spin.
  return processing_full() ? retry : std::min(retry, batcher_.next_deadline());
}

void PipelineCore::advance(Nanos now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Items items = std::move(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    enqueue(due_retries_, Stage::kDueRetry, std::move(items));
  }
  pump(now);
}

// Moves items from stage to stage until nothing moves: room in one stage lets the stage before it
// move.
void PipelineCore::pump(Nanos now) {
  bool moved = true;
  while (moved) {
    moved = fill_batcher(now);
    moved = flush_batcher(now) || moved;
    moved = dispatch_batches() || moved;
  }
  if (closing_ && !closed_ && idle()) {
    closed_ = true;
    observer_.closed();
  }
}

bool PipelineCore::fill_batcher(Nanos now) {
  bool moved = false;
  while (!batcher_.full() && !incoming_.empty()) {
    batcher_.add(incoming_.pop());
    moved = true;
  }
  while (const std::optional<ItemId> item = incoming_.admit(now)) {
    observer_.accepted(*item);
    moved = true;
  }
  return moved;
}

bool PipelineCore::flush_batcher(Nanos now) {
  if (batcher_.empty() || processing_full()) return false;
  if (!batcher_.due(now) && !closing_) return false;
  Items items = batcher_.take();
  processing_items_ += items.size();
  enqueue(processing_, Stage::kProcessing, std::move(items));
  return true;
}

bool PipelineCore::dispatch_batches() {
  bool moved = false;
  while (slots_.available() && !(due_retries_.empty() && processing_.empty())) {
    dispatch_front(due_retries_.empty() ? processing_ : due_retries_);
    moved = true;
  }
  return moved;
}

void PipelineCore::dispatch_front(Batches& batches) {
  const Items items = std::move(batches.front());
  batches.pop_front();
  (&batches == &processing_ ? processing_items_ : retrying_items_) -= items.size();
  for (const ItemId item : items) places_.erase(item);
  slots_.acquire(++last_batch_);
  observer_.dispatch(last_batch_, items);
}

void PipelineCore::enqueue(Batches& batches, Stage stage, Items items) {
  batches.push_back(std::move(items));
  const auto batch = std::prev(batches.end());
  for (const ItemId item : *batch) places_[item] = {stage, batch, {}};
}

// Removes an item from its batch, and a batch left empty from its queue.
bool PipelineCore::remove_batched(ItemId item) {
  const auto found = places_.find(item);
  if (found == places_.end()) return false;
  const Place place = found->second;
  places_.erase(found);
  Items& items = place.stage == Stage::kDelayed ? place.delayed->second : *place.batch;
  items.erase(std::find(items.begin(), items.end(), item));
  --(place.stage == Stage::kProcessing ? processing_items_ : retrying_items_);
  if (!items.empty()) return true;
  if (place.stage == Stage::kProcessing) processing_.erase(place.batch);
  if (place.stage == Stage::kDueRetry) due_retries_.erase(place.batch);
  if (place.stage == Stage::kDelayed) delayed_.erase(place.delayed);
  return true;
}

bool PipelineCore::processing_full() const {
  return processing_.size() >= options_.processing_capacity;
}

bool PipelineCore::idle() const {
  return incoming_.empty() && batcher_.empty() && processing_.empty() && delayed_.empty() &&
         due_retries_.empty() && slots_.in_use() == 0;
}

}  // namespace sluice
