// Keys, versions, times to live, limits, and reports of changes.
#include "core/kv/store.h"

#include "core/kv/fixture.h"

namespace sluice {
namespace {

using KvStoreTest = KvTest;

TEST_F(KvStoreTest, SetsReadsAndDeletes) {
  EXPECT_EQ(value_of("a"), std::nullopt);
  EXPECT_EQ(put("a", "one").version, 1u);
  EXPECT_EQ(value_of("a"), "one");
  EXPECT_EQ(put("a", "two").version, 2u);
  EXPECT_EQ(value_of("a"), "two");
  EXPECT_EQ(store_->erase("a", kAnyVersion, now_).version, 3u);
  EXPECT_EQ(value_of("a"), std::nullopt);
  EXPECT_EQ(store_->erase("a", kAnyVersion, now_).version, kAbsent);
  EXPECT_EQ(store_->version(), 3u);
  EXPECT_EQ(store_->size(), 0u);
  EXPECT_EQ(store_->bytes(), 0u);
}

TEST_F(KvStoreTest, AnEmptyValueAndAnEmptyKeyAreThere) {
  put("", "");
  EXPECT_EQ(value_of(""), "");
  EXPECT_NE(version_of(""), kAbsent);
  EXPECT_EQ(put("", "", kNever, kAbsent).status, KvStatus::kConflict);
  EXPECT_EQ(all_keys(), Keys{""});
}

TEST_F(KvStoreTest, VersionsNeverRepeat) {
  const KvVersion first = put("a", "v1").version;
  put("a", "v2");
  const KvVersion again = put("a", "v1").version;
  EXPECT_NE(again, first);
  EXPECT_EQ(put("a", "x", kNever, first).status, KvStatus::kConflict);
  store_->erase("a", kAnyVersion, now_);
  EXPECT_GT(put("a", "v1").version, again + 1);
  EXPECT_EQ(put("a", "x", kNever, again).status, KvStatus::kConflict);
}

TEST_F(KvStoreTest, ConditionsCompareTheVersion) {
  EXPECT_EQ(put("a", "1", kNever, 1).status, KvStatus::kConflict);
  const KvVersion made = put("a", "1", kNever, kAbsent).version;
  const KvResult refused = put("a", "2", kNever, kAbsent);
  EXPECT_EQ(refused.status, KvStatus::kConflict);
  EXPECT_EQ(refused.version, made);
  EXPECT_EQ(put("a", "2", kNever, made).status, KvStatus::kDone);
  EXPECT_EQ(store_->erase("a", made, now_).status, KvStatus::kConflict);
  EXPECT_EQ(value_of("a"), "2");
  EXPECT_EQ(store_->erase("a", version_of("a"), now_).status, KvStatus::kDone);
  EXPECT_EQ(store_->erase("a", made, now_).version, kAbsent);
}

TEST_F(KvStoreTest, AliveWhileNowIsAtMostTheEnd) {
  put("a", "1", 10);
  put("moment", "1", 0);
  EXPECT_EQ(store_->get("a", now_)->last_alive, now_ + 10);
  EXPECT_EQ(value_of("moment"), "1");
  now_ += 1;
  EXPECT_EQ(value_of("moment"), std::nullopt);
  now_ += 9;
  EXPECT_EQ(value_of("a"), "1");
  EXPECT_EQ(all_keys(), Keys{"a"});
  now_ += 1;
  EXPECT_EQ(value_of("a"), std::nullopt);
  EXPECT_EQ(all_keys(), Keys{});
  EXPECT_EQ(store_->erase("a", kAnyVersion, now_).version, kAbsent);
}

TEST_F(KvStoreTest, APlainSetClearsTheTtl) {
  put("a", "1", 10);
  put("a", "2");
  EXPECT_EQ(store_->get("a", now_)->last_alive, kNever);
  now_ += 1'000'000;
  store_->reclaim(100, now_);
  EXPECT_EQ(value_of("a"), "2");
}

TEST_F(KvStoreTest, AFailedCompareTouchesNothing) {
  const KvVersion version = put("a", "1", 10).version;
  const std::vector<ToldChange>& told = observe();
  EXPECT_EQ(put("a", "2", 1000, version + 7).status, KvStatus::kConflict);
  EXPECT_EQ(put("a", "2", kNever, kAbsent).status, KvStatus::kConflict);
  EXPECT_EQ(store_->erase("a", version + 7, now_).status, KvStatus::kConflict);
  const KvEntryRef entry = store_->get("a", now_);
  EXPECT_EQ(entry->value.bytes, "1");
  EXPECT_EQ(entry->version, version);
  EXPECT_EQ(entry->last_alive, now_ + 10);
  EXPECT_EQ(store_->version(), version);
  EXPECT_TRUE(told.empty());
}

TEST_F(KvStoreTest, AnExpiredKeyIsAbsentForConditions) {
  const KvVersion version = put("a", "1", 10).version;
  now_ += 11;
  EXPECT_EQ(put("a", "2", kNever, version).status, KvStatus::kConflict);
  EXPECT_EQ(put("a", "2", kNever, version).version, kAbsent);
  EXPECT_GT(put("a", "2", kNever, kAbsent).version, version);
  EXPECT_EQ(value_of("a"), "2");
}

TEST_F(KvStoreTest, ExpiredMemoryIsReclaimedWithoutBeingRead) {
  for (int i = 0; i < 100; ++i) put("key" + std::to_string(i), "value", 1000 + i);
  put("stays", "1");
  const std::uint64_t bytes = store_->bytes();
  EXPECT_LE(store_->next_expiry(), now_ + 1001);
  now_ += 1049;
  EXPECT_EQ(store_->size(), 101u);
  EXPECT_LE(store_->reclaim(10, now_), now_) << "there is more to do";
  EXPECT_EQ(store_->size(), 91u);
  EXPECT_GT(store_->reclaim(1000, now_), now_);
  EXPECT_EQ(store_->size(), 52u);
  EXPECT_LT(store_->bytes(), bytes);
  now_ += 51;
  EXPECT_EQ(store_->reclaim(1000, now_), kNever);
  EXPECT_EQ(store_->size(), 1u);
  EXPECT_EQ(store_->bytes(), 6u);
}

TEST_F(KvStoreTest, ACallAtEachNextExpiryFreesEverythingInTime) {
  for (const Nanos ttl : {Nanos{1}, Nanos{1000}, kSecond, 3600 * kSecond, 86400 * 365 * kSecond}) {
    put("ttl" + std::to_string(ttl), "", ttl);
    int calls = 0;
    const Nanos end = now_ + ttl;
    for (Nanos next = store_->next_expiry(); next != kNever; next = store_->reclaim(10, now_)) {
      ASSERT_GT(next, now_);
      ASSERT_LE(next, end + 1);
      now_ = next;
      ASSERT_LE(++calls, 64);
    }
    EXPECT_EQ(now_, end + 1);
    EXPECT_EQ(store_->size(), 0u);
  }
}

TEST_F(KvStoreTest, ChangesFreeExpiredEntriesOnTheirWay) {
  for (int i = 0; i < 50; ++i) put("old" + std::to_string(i), "", 10);
  now_ += 11;
  for (int i = 0; i < 25; ++i) put("new", "");
  EXPECT_EQ(store_->size(), 1u);
}

TEST_F(KvStoreTest, KeysAreOrderedByBytes) {
  // U+FF61 comes before U+1F600 by code point, and after it by UTF-16 code unit.
  for (const char* key : {"b", "\xF0\x9F\x98\x80", "a", "\xEF\xBD\xA1", "\xC3\xA4", "aa"}) {
    put(key, "");
  }
  const Keys expected{"a", "aa", "b", "\xC3\xA4", "\xEF\xBD\xA1", "\xF0\x9F\x98\x80"};
  EXPECT_EQ(all_keys(), expected);
}

TEST_F(KvStoreTest, AnEarlierTimeCountsAsTheLatest) {
  put("a", "1", 10);
  EXPECT_TRUE(store_->get("a", now_));
  EXPECT_FALSE(store_->get("a", now_ + 11));
  EXPECT_FALSE(store_->get("a", now_));
  EXPECT_FALSE(store_->snapshot(now_).get("a"));
}

class KvStoreLimitsTest : public KvTest {
 protected:
  KvStoreLimitsTest()
      : KvTest({.max_keys = 3,
                .max_key_bytes = 4,
                .max_value_bytes = 8,
                .max_bytes = 20,
                .max_pinned_bytes = 10}) {}
};

TEST_F(KvStoreLimitsTest, OfOneEntry) {
  EXPECT_EQ(put("12345", "").status, KvStatus::kKeyTooLong);
  EXPECT_EQ(put("1234", "123456789").status, KvStatus::kValueTooLong);
  EXPECT_EQ(put("1234", "12345678").status, KvStatus::kDone);
}

TEST_F(KvStoreLimitsTest, OfKeysExpiredOnesMakeRoom) {
  put("a", "");
  put("b", "", 10);
  put("c", "", 10);
  EXPECT_EQ(put("d", "").status, KvStatus::kKeysFull);
  EXPECT_EQ(put("c", "x", 10).status, KvStatus::kDone) << "replacing needs no place";
  now_ += 11;
  EXPECT_EQ(put("d", "").status, KvStatus::kDone);
  EXPECT_EQ(put("e", "").status, KvStatus::kDone);
  EXPECT_EQ(put("f", "").status, KvStatus::kKeysFull);
  EXPECT_EQ(all_keys(), (Keys{"a", "d", "e"}));
}

TEST_F(KvStoreLimitsTest, OfBytes) {
  put("a", "12345678");
  put("b", "12345678");
  EXPECT_EQ(store_->bytes(), 18u);
  EXPECT_EQ(put("c", "12").status, KvStatus::kBytesFull);
  EXPECT_EQ(put("c", "1").status, KvStatus::kDone);
  EXPECT_EQ(put("c", "12").status, KvStatus::kBytesFull);
  EXPECT_EQ(value_of("c"), "1");
  EXPECT_EQ(put("a", "1234567").status, KvStatus::kDone);
  EXPECT_EQ(put("c", "12").status, KvStatus::kDone);
}

TEST_F(KvStoreLimitsTest, OfEntriesHeldBySnapshotsAlone) {
  put("a", "12345678");
  std::optional<KvSnapshot> snapshot = store_->snapshot(now_);
  EXPECT_EQ(store_->pinned_bytes(), 0u);
  EXPECT_EQ(put("a", "2").status, KvStatus::kDone);
  EXPECT_EQ(store_->pinned_bytes(), 9u);
  std::optional<KvSnapshot> later = store_->snapshot(now_);
  EXPECT_EQ(put("a", "3").status, KvStatus::kDone);
  EXPECT_EQ(store_->pinned_bytes(), 11u);
  EXPECT_EQ(put("a", "4").status, KvStatus::kPinnedFull);
  EXPECT_EQ(store_->erase("a", kAnyVersion, now_).status, KvStatus::kDone);
  snapshot.reset();
  EXPECT_EQ(store_->pinned_bytes(), 2u);
  EXPECT_EQ(put("a", "4").status, KvStatus::kDone);
}

TEST_F(KvStoreTest, ReportsEveryChangeInOrder) {
  using Kind = KvChange::Kind;
  const std::vector<ToldChange>& told = observe();
  put("a", "1");
  put("b", "2", 10);
  store_->erase("a", kAnyVersion, now_);
  store_->erase("a", kAnyVersion, now_);
  const Nanos end = now_ + 10;
  now_ += 11;
  store_->reclaim(10, now_);
  KvWrites writes;
  writes["c"] = {KvValue{"3"}, 5};
  writes["d"] = {KvValue{"4"}, kNever};
  writes["gone"] = {};
  store_->commit({}, writes, now_);
  EXPECT_EQ(writes["c"].version, 4u);
  EXPECT_EQ(writes["gone"].version, kAbsent);
  const std::vector<ToldChange> expected{
      {Kind::kSet, 1, "a", "1", kNever},    {Kind::kSet, 2, "b", "2", end},
      {Kind::kDeleted, 3, "a", "", kNever}, {Kind::kExpired, 2, "b", "", kNever},
      {Kind::kSet, 4, "c", "3", now_ + 5},  {Kind::kSet, 5, "d", "4", kNever}};
  EXPECT_EQ(told, expected);
  EXPECT_EQ(commits_, (std::vector<std::size_t>{1, 1, 1, 1, 2}));
}

TEST_F(KvStoreTest, IsLoadedFromTheReportedChanges) {
  const std::vector<ToldChange>& told = observe();
  put("a", "1");
  put("b", "2", 10);
  put("a", "3", 20);
  put("c", "4");
  store_->erase("c", kAnyVersion, now_);
  KvStore other({.max_keys = 1});
  for (const ToldChange& each : told) {
    other.load({each.kind, each.version, each.key, each.value, 0, each.last_alive});
  }
  EXPECT_EQ(other.version(), 5u);
  EXPECT_EQ(other.size(), 2u);
  EXPECT_EQ(other.bytes(), store_->bytes());
  EXPECT_EQ(other.get("a", now_)->version, 3u);
  EXPECT_EQ(other.get("a", now_)->last_alive, now_ + 20);
  EXPECT_EQ(other.get("b", now_)->value.bytes, "2");
  EXPECT_FALSE(other.get("b", now_ + 11));
  EXPECT_EQ(other.set("a", {"5"}, kNever, kAnyVersion, now_).version, 6u) << "does not grow";
  EXPECT_EQ(other.set("d", {""}, kNever, kAnyVersion, now_).status, KvStatus::kKeysFull);
}

}  // namespace
}  // namespace sluice
