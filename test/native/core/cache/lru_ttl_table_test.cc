// The rules of the cache one by one: expiry, eviction, counts.
#include "core/cache/lru_ttl_table.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice {
namespace {

constexpr Nanos kTtl = 100;

class LruTtlTableTest : public ::testing::Test {
 protected:
  LruTtlTable table_{{.max_entries = 3, .max_bytes = 10}};
  LruTtlTable::Removed removed_;

  EntryId insert(std::uint64_t size = 1, Nanos ttl = kNever, Nanos now = 0) {
    return table_.insert(size, ttl, now, removed_).id;
  }

  void hit(EntryId id) { table_.note(std::array{id}); }
};

TEST_F(LruTtlTableTest, AnEntryIsAliveWhileItsAgeIsAtMostItsTimeToLive) {
  const StoredEntry stored = table_.insert(1, kTtl, 50, removed_);
  EXPECT_EQ(stored.last_alive, 150);
  EXPECT_FALSE(table_.expire(stored.id, 150));
  EXPECT_TRUE(table_.expire(stored.id, 151));
  EXPECT_FALSE(table_.expire(stored.id, 151)) << "twice";
  EXPECT_EQ(table_.counts().expirations, 1u);
}

TEST_F(LruTtlTableTest, TimeZeroAndATimeToLiveOfZeroAreLikeAnyOther) {
  const EntryId id = insert(1, kTtl, 0);
  const EntryId at_once = insert(1, 0, 0);
  EXPECT_FALSE(table_.expire(id, 0));
  EXPECT_FALSE(table_.expire(at_once, 0));
  EXPECT_TRUE(table_.expire(at_once, 1));
  EXPECT_FALSE(table_.expire(id, kTtl));
  EXPECT_TRUE(table_.expire(id, kTtl + 1));
}

TEST_F(LruTtlTableTest, WithoutATimeToLiveItLivesForEver) {
  const StoredEntry stored = table_.insert(1, kNever, 5, removed_);
  EXPECT_EQ(stored.last_alive, kNever);
  EXPECT_FALSE(table_.expire(stored.id, kNever - 1));
  table_.purge(kNever - 1, removed_);
  EXPECT_EQ(table_.size(), 1u);
}

TEST_F(LruTtlTableTest, ATimeToLiveBeyondTheEndOfTimeIsForEver) {
  EXPECT_EQ(table_.insert(1, kNever - 1, 5, removed_).last_alive, kNever);
}

TEST_F(LruTtlTableTest, TheLeastRecentEntryIsEvictedBeyondTheLimit) {
  const EntryId a = insert();
  const EntryId b = insert();
  const EntryId c = insert();
  hit(a);
  const EntryId d = insert();
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{b, RemovalReason::kEvicted}}));
  EXPECT_EQ(table_.by_recency(), (std::vector<EntryId>{d, a, c}));
  EXPECT_EQ(table_.counts().evictions, 1u);
}

TEST_F(LruTtlTableTest, AsManyGoAsItsSizeNeeds) {
  const EntryId a = insert(4);
  const EntryId b = insert(4);
  const EntryId c = insert(2);
  const EntryId d = insert(7);
  EXPECT_EQ(removed_,
            (LruTtlTable::Removed{{a, RemovalReason::kEvicted}, {b, RemovalReason::kEvicted}}));
  EXPECT_EQ(table_.by_recency(), (std::vector<EntryId>{d, c}));
  EXPECT_EQ(table_.bytes(), 9u);
}

TEST_F(LruTtlTableTest, ExpiredEntriesAreEvictedBeforeLiveOnes) {
  const EntryId a = insert();
  const EntryId b = insert();
  const EntryId expired = insert(1, kTtl, 0);
  hit(expired);
  const EntryId d = insert(1, kNever, kTtl + 1);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{expired, RemovalReason::kExpired}}));
  EXPECT_EQ(table_.by_recency(), (std::vector<EntryId>{d, b, a}));
  EXPECT_EQ(table_.counts().evictions, 0u);
  EXPECT_EQ(table_.counts().expirations, 1u);
}

TEST_F(LruTtlTableTest, AnEntryIsAliveAtItsLastMoment) {
  const EntryId a = insert();
  insert();
  insert(1, kTtl, 0);
  insert(1, kNever, kTtl);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{a, RemovalReason::kEvicted}}));
}

TEST_F(LruTtlTableTest, WhileThereIsRoomTheExpiredStay) {
  insert(1, kTtl, 0);
  insert(1, kNever, kTtl + 1);
  EXPECT_TRUE(removed_.empty());
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(LruTtlTableTest, AnEntryLargerThanTheLimitIsNotStoredAndEvictsNone) {
  insert(10);
  EXPECT_EQ(insert(11), kNoEntry);
  EXPECT_TRUE(removed_.empty());
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(table_.counts().evictions, 1u);
}

TEST_F(LruTtlTableTest, AnUpdateMakesItTheMostRecentWithAnAgeOfNothing) {
  const EntryId a = insert(2, kTtl, 0);
  const EntryId b = insert(2);
  const StoredEntry updated = table_.update(a, 5, kTtl, 60, removed_);
  EXPECT_EQ(updated.id, a);
  EXPECT_EQ(updated.last_alive, 160);
  EXPECT_EQ(table_.by_recency(), (std::vector<EntryId>{a, b}));
  EXPECT_EQ(table_.bytes(), 7u);
  EXPECT_FALSE(table_.expire(a, 160));
  EXPECT_TRUE(table_.expire(a, 161));
}

TEST_F(LruTtlTableTest, AnUpdateMakesRoomAtTheCostOfOthersOnly) {
  const EntryId a = insert(2, 1, 0);  // the least recent, and expired by then
  const EntryId b = insert(8);
  EXPECT_EQ(table_.update(a, 10, kNever, 50, removed_).id, a);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{b, RemovalReason::kEvicted}}));
  EXPECT_EQ(table_.bytes(), 10u);
}

TEST_F(LruTtlTableTest, AnUpdateInAFullTableEvictsNone) {
  const EntryId a = insert();
  insert();
  insert();
  EXPECT_EQ(table_.update(a, 1, kNever, 0, removed_).id, a);
  EXPECT_TRUE(removed_.empty());
  EXPECT_EQ(table_.size(), 3u);
}

TEST_F(LruTtlTableTest, AnUpdateThatIsTooLargeDropsTheEntry) {
  const EntryId a = insert(2);
  EXPECT_EQ(table_.update(a, 11, kNever, 0, removed_).id, kNoEntry);
  EXPECT_TRUE(removed_.empty());
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(table_.bytes(), 0u);
  EXPECT_EQ(table_.counts().evictions, 1u);
}

TEST_F(LruTtlTableTest, AnUpdatedTimeToLiveReplacesTheOldOne) {
  const EntryId a = insert(1, 10, 0);
  table_.update(a, 1, kNever, 0, removed_);
  table_.purge(kSecond, removed_);
  EXPECT_TRUE(removed_.empty());
  table_.update(a, 1, 10, kSecond, removed_);
  table_.purge(kSecond + 11, removed_);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{a, RemovalReason::kExpired}}));
}

TEST_F(LruTtlTableTest, AnIdIsGoodForOneEntryEvenIfItsSlotIsUsedAgain) {
  const EntryId a = insert();
  EXPECT_TRUE(table_.erase(a));
  EXPECT_FALSE(table_.erase(a));
  const EntryId b = insert();
  const EntryId c = insert();
  EXPECT_EQ(b.slot, a.slot);
  EXPECT_NE(b, a);
  hit(a);
  EXPECT_FALSE(table_.erase(a));
  EXPECT_FALSE(table_.expire(a, kNever - 1));
  EXPECT_EQ(table_.update(a, 1, kNever, 0, removed_).id, kNoEntry);
  EXPECT_EQ(table_.by_recency(), (std::vector<EntryId>{c, b}));
}

TEST_F(LruTtlTableTest, LookupsAddUp) {
  const EntryId a = insert();
  table_.note(std::array{a, kNoEntry, kJoined, a, kNoEntry, kNoEntry});
  const CacheCounts counts = table_.counts();
  EXPECT_EQ(counts.hits, 2u);
  EXPECT_EQ(counts.misses, 3u);
  EXPECT_EQ(counts.joins, 1u);
}

TEST_F(LruTtlTableTest, PurgeDropsTheExpiredAlone) {
  const EntryId a = insert(1, 10, 0);
  const EntryId b = insert(1, 20, 0);
  const EntryId c = insert(1, 30, 0);
  table_.purge(20, removed_);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{a, RemovalReason::kExpired}}));
  removed_.clear();
  table_.purge(21, removed_);
  EXPECT_EQ(removed_, (LruTtlTable::Removed{{b, RemovalReason::kExpired}}));
  EXPECT_EQ(table_.by_recency(), std::vector<EntryId>{c});
  EXPECT_EQ(table_.counts().expirations, 2u);
}

TEST_F(LruTtlTableTest, ClearDropsAllAndKeepsTheCounts) {
  const EntryId a = insert(4, kTtl, 0);
  insert(4);
  hit(a);
  table_.clear();
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(table_.bytes(), 0u);
  EXPECT_TRUE(table_.by_recency().empty());
  EXPECT_EQ(table_.counts().hits, 1u);
  EXPECT_EQ(table_.counts().evictions, 0u);
  table_.purge(kSecond, removed_);
  EXPECT_TRUE(removed_.empty());
}

TEST_F(LruTtlTableTest, AClockThatStepsBackRevivesNoEntry) {
  const EntryId a = insert(1, kTtl, 1000);
  const StoredEntry b = table_.insert(1, kTtl, 400, removed_);
  EXPECT_EQ(b.last_alive, 1100) << "time stands still until it has caught up";
  EXPECT_FALSE(table_.expire(a, 0));
  table_.purge(1101, removed_);
  EXPECT_EQ(removed_.size(), 2u);
}

TEST(LruTtlTableTimes, AnEntryIsStoredAtTheLatestTimeOfTheTable) {
  LruTtlTable table({.max_entries = 2, .max_bytes = 10});
  LruTtlTable::Removed removed;
  EXPECT_EQ(table.insert(1, 5, 100, removed).stored_at, 100);
  const StoredEntry late = table.insert(1, 5, 90, removed);
  EXPECT_EQ(late.stored_at, 100);
  EXPECT_EQ(late.last_alive, 105);
}

}  // namespace
}  // namespace sluice
