// A hash table from keys to small states, designed for a million entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/siphash.h"

namespace sluice {

/// A hash table from keys to small states, designed for a million entries.
///
/// Entries are stored in pages that never move. An open-addressing index (linear probing, at most
/// three quarters full, 8 bytes per slot) refers to them by number: about 14 bytes per key in
/// addition to the entry. Growing copies the index only. Entries can be visited by number, a few at
/// a time, for a sweep.
///
/// Not thread-safe: one machine owns it.
template <typename State>
class KeyedTable {
 public:
  /// The number of an entry, below `extent()`; valid until the entry is erased.
  using EntryId = std::uint32_t;

  /// The most entries that a table can hold.
  static constexpr std::size_t kEntriesMax = std::size_t{1} << 31;

  /// The hash of a key, for `find` and `insert`, so that it is computed once for both.
  [[nodiscard]] static std::uint32_t hash_of(std::string_view key) {
    return static_cast<std::uint32_t>(keyed_hash(key, process_hash_secret()));
  }

  /// The state of a key; nullptr when there is none. Valid until the entry is erased.
  [[nodiscard]] State* find(std::string_view key, std::uint32_t hash) {
    const EntryId id = find_id(key, hash);
    return id == kNone ? nullptr : &entry_of(id).state;
  }

  /// Adds an absent key. The table must hold less than kEntriesMax.
  State& insert(std::string_view key, std::uint32_t hash, State state) {
    if (4 * (size_ + 1) > 3 * index_.size()) grow();
    const EntryId id = take_entry();
    Entry& entry = entry_of(id);
    entry.key = key;
    entry.hash = hash;
    entry.used = true;
    entry.state = std::move(state);
    place({hash, id});
    ++size_;
    return entry.state;
  }

  /// The entry with this number; nullptr when there is none.
  [[nodiscard]] State* at(EntryId id) {
    Entry& entry = entry_of(id);
    return entry.used ? &entry.state : nullptr;
  }
  [[nodiscard]] std::string_view key_at(EntryId id) { return entry_of(id).key; }

  /// Removes an existing entry. Its memory is kept for new entries; removing the last entry frees
  /// all memory.
  void erase(EntryId id) {
    unplace(id);
    Entry& entry = entry_of(id);
    entry = Entry{};
    free_.push_back(id);
    if (--size_ == 0) clear();
  }

  /// Removes the entry of a key, if there is one.
  void erase(std::string_view key, std::uint32_t hash) {
    const EntryId id = find_id(key, hash);
    if (id != kNone) erase(id);
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  /// Entry numbers are below this.
  [[nodiscard]] EntryId extent() const { return extent_; }

 private:
  static constexpr EntryId kNone = 0xffffffff;
  static constexpr std::size_t kPageEntries = 256;
  static constexpr std::size_t kIndexMin = 16;

  struct Entry {
    std::string key;
    std::uint32_t hash = 0;
    bool used = false;
    State state{};
  };
  struct Slot {
    std::uint32_t hash = 0;
    EntryId entry = kNone;
  };

  [[nodiscard]] std::size_t mask() const { return index_.size() - 1; }
  [[nodiscard]] Entry& entry_of(EntryId id) { return pages_[id / kPageEntries][id % kPageEntries]; }

  [[nodiscard]] EntryId find_id(std::string_view key, std::uint32_t hash) {
    if (size_ == 0) return kNone;
    for (std::size_t at = hash & mask(); index_[at].entry != kNone; at = (at + 1) & mask()) {
      const Slot& slot = index_[at];
      if (slot.hash == hash && entry_of(slot.entry).key == key) return slot.entry;
    }
    return kNone;
  }

  EntryId take_entry() {
    if (!free_.empty()) {
      const EntryId id = free_.back();
      free_.pop_back();
      return id;
    }
    if (extent_ % kPageEntries == 0) pages_.push_back(std::make_unique<Entry[]>(kPageEntries));
    return extent_++;
  }

  void place(Slot slot) {
    std::size_t at = slot.hash & mask();
    while (index_[at].entry != kNone) at = (at + 1) & mask();
    index_[at] = slot;
  }

  // Closes the gap: entries that were probed past the freed slot move up.
  void unplace(EntryId id) {
    std::size_t gap = entry_of(id).hash & mask();
    while (index_[gap].entry != id) gap = (gap + 1) & mask();
    for (std::size_t at = (gap + 1) & mask(); index_[at].entry != kNone; at = (at + 1) & mask()) {
      const std::size_t home = index_[at].hash & mask();
      if (((at - home) & mask()) < ((at - gap) & mask())) continue;
      index_[gap] = index_[at];
      gap = at;
    }
    index_[gap] = Slot{};
  }

  void grow() {
    std::vector<Slot> old(index_.empty() ? kIndexMin : 2 * index_.size());
    old.swap(index_);
    for (const Slot& slot : old) {
      if (slot.entry != kNone) place(slot);
    }
  }

  void clear() {
    std::vector<std::unique_ptr<Entry[]>>().swap(pages_);
    std::vector<Slot>().swap(index_);
    std::vector<EntryId>().swap(free_);
    extent_ = 0;
  }

  std::vector<std::unique_ptr<Entry[]>> pages_;
  std::vector<Slot> index_;
  std::vector<EntryId> free_;
  EntryId extent_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sluice
