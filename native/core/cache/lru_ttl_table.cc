#include "core/cache/lru_ttl_table.h"

#include <algorithm>

namespace sluice {

StoredEntry LruTtlTable::insert(std::uint64_t size, Nanos ttl, Nanos now, Removed& removed) {
  const std::lock_guard lock(mutex_);
  if (size > limits_.max_bytes) {
    counts_.evictions += 1;
    return {};
  }
  now = latest(now);
  make_room(size, now, removed);
  return place(free_slot(), size, ttl, now);
}

StoredEntry LruTtlTable::update(EntryId id, std::uint64_t size, Nanos ttl, Nanos now,
                                Removed& removed) {
  const std::lock_guard lock(mutex_);
  if (!holds(id)) return {};
  if (size > limits_.max_bytes) {
    counts_.evictions += 1;
    drop(id.slot);
    return {};
  }
  now = latest(now);
  // Out of all lists, the entry cannot be evicted to make room for itself.
  displace(id.slot);
  make_room(size, now, removed);
  return place(id.slot, size, ttl, now);
}

void LruTtlTable::note(std::span<const EntryId> lookups) {
  const std::lock_guard lock(mutex_);
  for (const EntryId id : lookups) {
    if (id.generation == 0) {
      (id == kJoined ? counts_.joins : counts_.misses) += 1;
      continue;
    }
    counts_.hits += 1;
    if (!holds(id)) continue;
    recency_.remove(id.slot);
    recency_.push_front(kAll, id.slot);
  }
}

bool LruTtlTable::erase(EntryId id) {
  const std::lock_guard lock(mutex_);
  if (!holds(id)) return false;
  drop(id.slot);
  return true;
}

bool LruTtlTable::expire(EntryId id, Nanos now) {
  const std::lock_guard lock(mutex_);
  if (!holds(id) || latest(now) <= entries_[id.slot].last_alive) return false;
  counts_.expirations += 1;
  drop(id.slot);
  return true;
}

void LruTtlTable::purge(Nanos now, Removed& removed) {
  const std::lock_guard lock(mutex_);
  now = latest(now);
  for (Slot slot = expiry_.pop_due(now); slot != SlotLists::kNone; slot = expiry_.pop_due(now)) {
    drop_expired(slot, removed);
  }
}

void LruTtlTable::clear() {
  const std::lock_guard lock(mutex_);
  for (Slot slot = recency_.front(kAll); slot != SlotLists::kNone; slot = recency_.front(kAll)) {
    drop(slot);
  }
}

std::vector<EntryId> LruTtlTable::by_recency() const {
  const std::lock_guard lock(mutex_);
  std::vector<EntryId> ids;
  ids.reserve(size_);
  for (Slot slot = recency_.front(kAll); slot != SlotLists::kNone; slot = recency_.after(slot)) {
    ids.push_back(id_of(slot));
  }
  return ids;
}

std::size_t LruTtlTable::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

std::uint64_t LruTtlTable::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

CacheCounts LruTtlTable::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

bool LruTtlTable::holds(EntryId id) const {
  return id.slot < entries_.size() && entries_[id.slot].used &&
         entries_[id.slot].generation == id.generation;
}

// Threads may call in another order than they read the clock: time does not go back.
Nanos LruTtlTable::latest(Nanos now) {
  latest_ = std::max(latest_, now);
  return latest_;
}

LruTtlTable::Slot LruTtlTable::free_slot() {
  if (!free_.empty()) {
    const Slot slot = free_.back();
    free_.pop_back();
    return slot;
  }
  entries_.emplace_back();
  recency_.grow();
  expiry_.grow();
  return static_cast<Slot>(entries_.size() - 1);
}

StoredEntry LruTtlTable::place(Slot slot, std::uint64_t size, Nanos ttl, Nanos now) {
  Entry& entry = entries_[slot];
  entry.size = size;
  entry.last_alive = deadline_after(now, ttl);
  entry.used = true;
  size_ += 1;
  bytes_ += size;
  recency_.push_front(kAll, slot);
  expiry_.add(slot, deadline_after(entry.last_alive, 1));
  return {id_of(slot), now, entry.last_alive};
}

void LruTtlTable::displace(Slot slot) {
  size_ -= 1;
  bytes_ -= entries_[slot].size;
  recency_.remove(slot);
  expiry_.remove(slot);
}

void LruTtlTable::make_room(std::uint64_t size, Nanos now, Removed& removed) {
  while (size_ >= limits_.max_entries || bytes_ + size > limits_.max_bytes) {
    const Slot expired = expiry_.pop_due(now);
    if (expired != SlotLists::kNone) {
      drop_expired(expired, removed);
      continue;
    }
    // There is one: an empty table has room for any entry within the limits.
    const Slot oldest = recency_.back(kAll);
    counts_.evictions += 1;
    removed.push_back({id_of(oldest), RemovalReason::kEvicted});
    drop(oldest);
  }
}

void LruTtlTable::drop(Slot slot) {
  displace(slot);
  Entry& entry = entries_[slot];
  entry.used = false;
  entry.generation += 1;
  if (entry.generation == 0) entry.generation = 1;
  free_.push_back(slot);
}

void LruTtlTable::drop_expired(Slot slot, Removed& removed) {
  counts_.expirations += 1;
  removed.push_back({id_of(slot), RemovalReason::kExpired});
  drop(slot);
}

}  // namespace sluice
