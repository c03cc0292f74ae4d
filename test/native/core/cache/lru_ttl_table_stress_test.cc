// One cache table under several threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "core/cache/lru_ttl_table.h"

namespace sluice {
namespace {

TEST(LruTtlTableStress, EntriesAreRemovedExactlyOnceByAnyThread) {
  constexpr std::size_t kThreads = 4;
  constexpr int kSteps = 20'000;
  constexpr LruTtlLimits kLimits{.max_entries = 100, .max_bytes = 1000};
  LruTtlTable table(kLimits);
  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> gone{0};
  std::atomic<std::uint64_t> lookups{0};
  // Ids move from thread to thread, so that most of them belong to another thread or are stale.
  std::array<std::atomic<std::uint64_t>, 64> shared{};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    LruTtlTable::Removed removed;
    for (int step = 0; step < kSteps; ++step) {
      const Nanos now = step;
      auto& place = shared[random() % shared.size()];
      const std::uint64_t packed = place.load();
      const EntryId id{static_cast<std::uint32_t>(packed >> 32),
                       static_cast<std::uint32_t>(packed)};
      switch (random() % 6) {
        case 0:
          if (table.erase(id)) ++gone;
          break;
        case 1:
          if (table.expire(id, now)) ++gone;
          break;
        case 2:
          table.note(std::array{id, kNoEntry});
          lookups += 2;
          break;
        case 3:
          table.update(id, random() % 20, static_cast<Nanos>(random() % 50), now, removed);
          break;
        default: {
          const StoredEntry entry =
              table.insert(random() % 20, static_cast<Nanos>(random() % 50), now, removed);
          ++stored;
          place = std::uint64_t{entry.id.slot} << 32 | entry.id.generation;
        }
      }
      if (step % 64 == 0) {
        table.purge(now, removed);
        EXPECT_LE(table.by_recency().size(), kLimits.max_entries);
        EXPECT_LE(table.bytes(), kLimits.max_bytes);
      }
      gone += removed.size();
      removed.clear();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, gone + table.size());
  const CacheCounts counts = table.counts();
  EXPECT_EQ(counts.hits + counts.misses, lookups);
}

}  // namespace
}  // namespace sluice
