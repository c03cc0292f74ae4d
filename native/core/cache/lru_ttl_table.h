// The eviction state of a cache: recency, time to live, and limits by number and by size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/time.h"
#include "core/containers/radix_expiry_queue.h"
#include "core/containers/slot_list.h"

namespace sluice {

/// Identifies an entry: slots are reused, pairs of slot and generation are not (for 2^32 times).
struct EntryId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  ///< from 1; 0: no entry

  friend bool operator==(const EntryId&, const EntryId&) = default;
};

/// The id of no entry. As a lookup: a miss.
inline constexpr EntryId kNoEntry{0, 0};
/// As a lookup: a miss that joined a load in progress.
inline constexpr EntryId kJoined{1, 0};

struct LruTtlLimits {
  std::size_t max_entries = 1;  ///< at least 1
  std::uint64_t max_bytes = 0;  ///< of the sizes of all entries; at most 2^53
};

enum class RemovalReason : std::uint8_t { kEvicted = 0, kExpired = 1 };

struct RemovedEntry {
  EntryId id;
  RemovalReason reason = RemovalReason::kEvicted;

  friend bool operator==(const RemovedEntry&, const RemovedEntry&) = default;
};

/// Counts since the table was made. Every lookup is a hit, a miss or a join.
struct CacheCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t joins = 0;
  std::uint64_t evictions = 0;    ///< entries dropped, or not stored, for lack of room
  std::uint64_t expirations = 0;  ///< entries dropped because they had expired
};

/// The result of `insert` and `update`.
struct StoredEntry {
  EntryId id;  ///< kNoEntry: larger than the limit, so not stored
  Nanos stored_at = 0;
  Nanos last_alive = 0;  ///< the last time at which it is valid; kNever: for ever
};

/// The eviction state of a cache.
///
/// The table identifies its entries by id; its owner keeps keys and values (values live in
/// JavaScript's heap, where a key is looked up without a copy). Thread-safe: each call is one step
/// under a mutex.
class LruTtlTable {
 public:
  using Removed = std::vector<RemovedEntry>;

  explicit LruTtlTable(const LruTtlLimits& limits) : limits_(limits) {}

  /// Adds an entry as the most recent one, alive while its age is at most `ttl` (0 is a time to
  /// live too; kNever: for ever). Entries dropped to make room, first expired ones, then the least
  /// recent, are appended to `removed`.
  StoredEntry insert(std::uint64_t size, Nanos ttl, Nanos now, Removed& removed);

  /// Removes the entry and inserts it again under its id. One that is too large now is dropped,
  /// which counts as an eviction but is not in `removed`. kNoEntry for an unknown id as well.
  StoredEntry update(EntryId id, std::uint64_t size, Nanos ttl, Nanos now, Removed& removed);

  /// Records lookups, in order: ids of entries that were found, each of which becomes the most
  /// recent one; kNoEntry; kJoined. Ids of dropped entries are counted only.
  void note(std::span<const EntryId> lookups);

  /// Drops an entry. False when there is no such entry.
  bool erase(EntryId id);

  /// Drops an entry if it has expired. False when it is alive, or there is no such entry.
  bool expire(EntryId id, Nanos now);

  /// Drops expired entries.
  void purge(Nanos now, Removed& removed);

  /// Drops all entries. Counts stay.
  void clear();

  /// The ids of all entries, the most recent first, expired ones included.
  [[nodiscard]] std::vector<EntryId> by_recency() const;

  /// Entries, including expired ones not yet dropped; and the sum of their sizes.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t bytes() const;

  [[nodiscard]] CacheCounts counts() const;

 private:
  using Slot = SlotLists::Slot;

  struct Entry {
    std::uint64_t size = 0;
    Nanos last_alive = kNever;
    std::uint32_t generation = 1;
    bool used = false;
  };

  static constexpr std::uint32_t kAll = 0;

  [[nodiscard]] bool holds(EntryId id) const;
  [[nodiscard]] EntryId id_of(Slot slot) const { return {slot, entries_[slot].generation}; }
  Nanos latest(Nanos now);
  Slot free_slot();
  StoredEntry place(Slot slot, std::uint64_t size, Nanos ttl, Nanos now);
  void displace(Slot slot);
  void make_room(std::uint64_t size, Nanos now, Removed& removed);
  void drop(Slot slot);
  void drop_expired(Slot slot, Removed& removed);

  mutable std::mutex mutex_;
  const LruTtlLimits limits_;
  std::vector<Entry> entries_;
  std::vector<Slot> free_;
  SlotLists recency_{1};
  ExpiryQueue expiry_;
  std::size_t size_ = 0;
  std::uint64_t bytes_ = 0;
  Nanos latest_ = 0;
  CacheCounts counts_;
};

}  // namespace sluice
