// The cache's table, and its expiry queue, against plain models over random histories.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <random>

#include "core/cache/lru_ttl_table.h"
#include "core/containers/radix_expiry_queue.h"

namespace sluice {
namespace {

// A plain model of the table.
class Model {
 public:
  struct Entry {
    EntryId id;
    std::uint64_t size;
    Nanos last_alive;
  };

  explicit Model(const LruTtlLimits& limits) : limits_(limits) {}

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const Entry& entry : entries_) sum += entry.size;
    return sum;
  }

  [[nodiscard]] bool lacks_room(std::uint64_t size) const {
    return entries_.size() + 1 > limits_.max_entries || bytes() + size > limits_.max_bytes;
  }

  [[nodiscard]] std::list<Entry>::iterator find(EntryId id) {
    return std::find_if(entries_.begin(), entries_.end(),
                        [id](const Entry& entry) { return entry.id == id; });
  }

  // Whether each of `removed` had to be evicted in this order to make room for `size`; drops them.
  void expect_justified(const LruTtlTable::Removed& removed, std::uint64_t size, Nanos now) {
    for (const RemovedEntry& each : removed) {
      ASSERT_TRUE(lacks_room(size)) << "there was room";
      const auto found = find(each.id);
      ASSERT_NE(found, entries_.end());
      const bool some_expired =
          std::any_of(entries_.begin(), entries_.end(),
                      [now](const Entry& entry) { return now > entry.last_alive; });
      if (each.reason == RemovalReason::kExpired) {
        ASSERT_GT(now, found->last_alive);
        expirations_ += 1;
      } else {
        ASSERT_FALSE(some_expired) << "a live entry went before an expired one";
        ASSERT_EQ(each.id, entries_.back().id) << "not the least recent";
        evictions_ += 1;
      }
      entries_.erase(found);
    }
    ASSERT_FALSE(lacks_room(size)) << "too few were removed";
  }

  LruTtlLimits limits_;
  std::list<Entry> entries_;  // the most recent first
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint64_t expirations_ = 0;
};

class History {
 public:
  explicit History(unsigned seed) : random_(seed) {
    // From a table that is always full to one that hardly ever is.
    limits_ = {.max_entries = 1 + seed % 17, .max_bytes = 20 + seed % 50};
  }

  void run(int steps) {
    LruTtlTable table(limits_);
    Model model(limits_);
    for (int step = 0; step < steps && !::testing::Test::HasFatalFailure(); ++step) {
      now_ += below(3) == 0 ? static_cast<Nanos>(below(5)) : 0;
      if (below(200) == 0) now_ += static_cast<Nanos>(below(1'000'000));
      act(table, model);
      compare(table, model);
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  Nanos some_ttl() {
    switch (below(4)) {
      case 0:
        return kNever;
      case 1:
        return 0;
      case 2:
        return static_cast<Nanos>(below(1'000'000));
      default:
        return static_cast<Nanos>(below(30));
    }
  }

  // Of a present or a former entry.
  EntryId some_id() { return ids_.empty() ? kNoEntry : ids_[below(ids_.size())]; }

  void act(LruTtlTable& table, Model& model) {
    const EntryId id = some_id();
    const auto found = model.find(id);
    const bool known = found != model.entries_.end();
    switch (below(10)) {
      case 0: {
        ASSERT_EQ(table.erase(id), known);
        if (known) model.entries_.erase(found);
        break;
      }
      case 1: {
        const bool expired = known && now_ > found->last_alive;
        ASSERT_EQ(table.expire(id, now_), expired);
        if (!expired) break;
        model.expirations_ += 1;
        model.entries_.erase(found);
        break;
      }
      case 2:
      case 3: {
        table.note(std::array{id});
        (id == kNoEntry ? model.misses_ : model.hits_) += 1;
        if (known) model.entries_.splice(model.entries_.begin(), model.entries_, found);
        break;
      }
      case 4: {
        if (below(20) == 0) purge(table, model);
        break;
      }
      default:
        store(table, model, below(2) == 0 ? id : kNoEntry);
    }
  }

  void purge(LruTtlTable& table, Model& model) {
    LruTtlTable::Removed removed;
    table.purge(now_, removed);
    const std::size_t before = model.entries_.size();
    model.entries_.remove_if([this](const Model::Entry& entry) { return now_ > entry.last_alive; });
    ASSERT_EQ(removed.size(), before - model.entries_.size());
    model.expirations_ += removed.size();
  }

  void store(LruTtlTable& table, Model& model, EntryId id) {
    const std::uint64_t size = below(30);
    const Nanos ttl = some_ttl();
    const bool known = model.find(id) != model.entries_.end();
    LruTtlTable::Removed removed;
    const StoredEntry stored =
        known ? table.update(id, size, ttl, now_, removed) : table.insert(size, ttl, now_, removed);
    if (known) model.entries_.erase(model.find(id));
    if (size > limits_.max_bytes) {
      ASSERT_EQ(stored.id, kNoEntry);
      ASSERT_TRUE(removed.empty());
      model.evictions_ += 1;
      return;
    }
    if (known) {
      ASSERT_EQ(stored.id, id);
    }
    ASSERT_EQ(stored.last_alive, ttl == kNever ? kNever : now_ + ttl);
    model.expect_justified(removed, size, now_);
    model.entries_.push_front({stored.id, size, stored.last_alive});
    ids_.push_back(stored.id);
    if (ids_.size() > 40) ids_.erase(ids_.begin());
  }

  void compare(const LruTtlTable& table, const Model& model) {
    ASSERT_EQ(table.size(), model.entries_.size());
    ASSERT_EQ(table.bytes(), model.bytes());
    std::vector<EntryId> order;
    for (const Model::Entry& entry : model.entries_) order.push_back(entry.id);
    ASSERT_EQ(table.by_recency(), order);
    const CacheCounts counts = table.counts();
    ASSERT_EQ(counts.hits, model.hits_);
    ASSERT_EQ(counts.misses, model.misses_);
    ASSERT_EQ(counts.evictions, model.evictions_);
    ASSERT_EQ(counts.expirations, model.expirations_);
  }

  std::mt19937_64 random_;
  LruTtlLimits limits_;
  std::vector<EntryId> ids_;
  Nanos now_ = 0;
};

TEST(LruTtlTableModel, AgreesOverRandomHistories) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    History(seed).run(1500);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// Times of every magnitude, up to both ends of the range.
TEST(ExpiryQueueModel, ReturnsExactlyTheDueEntries) {
  std::mt19937_64 random(7);
  constexpr SlotLists::Slot kSlots = 64;
  ExpiryQueue queue;
  std::map<SlotLists::Slot, Nanos> model;
  for (SlotLists::Slot slot = 0; slot < kSlots; ++slot) queue.grow();
  Nanos now = 0;
  for (int step = 0; step < 200'000; ++step) {
    const auto slot = static_cast<SlotLists::Slot>(random() % kSlots);
    if (model.erase(slot) == 0) {
      const auto span = static_cast<Nanos>(random() >> (1 + random() % 63));
      const Nanos due = random() % 16 == 0 ? now : deadline_after(now, span);
      queue.add(slot, due);
      model[slot] = due;
    } else {
      queue.remove(slot);
    }
    if (step % 4 != 0) continue;
    now = deadline_after(now, static_cast<Nanos>(random() >> (20 + random() % 43)));
    for (auto due = queue.pop_due(now); due != SlotLists::kNone; due = queue.pop_due(now)) {
      ASSERT_EQ(model.count(due), 1u);
      ASSERT_LE(model[due], now);
      model.erase(due);
    }
    const Nanos next = queue.next_due();
    for (const auto& [waiting, due] : model) {
      ASSERT_GT(due, now) << waiting;
      ASSERT_LE(next, due) << waiting;
    }
  }
}

}  // namespace
}  // namespace sluice
