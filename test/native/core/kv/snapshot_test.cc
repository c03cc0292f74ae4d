// The view and the memory of snapshots, and reading a store page by page.
#include "core/kv/snapshot.h"

#include <set>

#include "core/kv/fixture.h"

namespace sluice {
namespace {

using KvSnapshotTest = KvTest;

KvRange range(const std::string& prefix, std::optional<std::string> start = {},
              std::optional<std::string> end = {}, std::optional<std::string> after = {}) {
  return kv_range(prefix, start, end, after);
}

TEST_F(KvSnapshotTest, SeesNothingOfLaterChanges) {
  put("a", "1");
  put("b", "2");
  const KvSnapshot snapshot = store_->snapshot(now_);
  EXPECT_EQ(snapshot.version(), 2u);
  put("a", "changed");
  store_->erase("b", kAnyVersion, now_);
  put("c", "new");
  EXPECT_EQ(text(snapshot.get("a")), "1");
  EXPECT_EQ(text(snapshot.get("b")), "2");
  EXPECT_FALSE(snapshot.get("c"));
  EXPECT_EQ(keys(snapshot.scan({}, 10)), (Keys{"a", "b"}));
  EXPECT_EQ(all_keys(), (Keys{"a", "c"}));
}

TEST_F(KvSnapshotTest, ItsTimeIsFixed) {
  put("short", "1", 10);
  put("over", "1", 5);
  now_ += 6;
  const KvSnapshot snapshot = store_->snapshot(now_);
  now_ += 100;
  store_->reclaim(10, now_);
  EXPECT_EQ(store_->size(), 0u);
  EXPECT_EQ(text(snapshot.get("short")), "1");
  EXPECT_FALSE(snapshot.get("over"));
  EXPECT_EQ(keys(snapshot.scan({}, 10)), Keys{"short"});
}

TEST_F(KvSnapshotTest, OutlivesItsStore) {
  put("a", "1");
  const KvSnapshot snapshot = store_->snapshot(now_);
  store_.reset();
  EXPECT_EQ(text(snapshot.get("a")), "1");
}

TEST_F(KvSnapshotTest, EntriesOfTheSnapshotAloneAreFreedWithIt) {
  for (int i = 0; i < 100; ++i) put("key" + std::to_string(i), "12345");
  std::optional<KvSnapshot> first = store_->snapshot(now_);
  for (int i = 0; i < 100; ++i) put("key" + std::to_string(i), "6789");
  std::optional<KvSnapshot> second = store_->snapshot(now_);
  EXPECT_EQ(store_->snapshots(), 2u);
  for (int i = 0; i < 100; ++i) store_->erase("key" + std::to_string(i), kAnyVersion, now_);
  const std::uint64_t bytes_of_keys = 10 * 4 + 90 * 5;
  EXPECT_EQ(store_->bytes(), 0u);
  EXPECT_EQ(store_->pinned_bytes(), 2 * bytes_of_keys + 900);
  first.reset();
  EXPECT_EQ(store_->pinned_bytes(), bytes_of_keys + 400);
  second.reset();
  EXPECT_EQ(store_->pinned_bytes(), 0u);
  EXPECT_EQ(store_->snapshots(), 0u);
}

TEST_F(KvSnapshotTest, RangesAreByPrefixStartAndEnd) {
  for (const char* key : {"a", "a/1", "a/2", "a/3", "a0", "b"}) put(key, "");
  const auto scan = [&](const KvRange& of) { return keys(store_->scan(of, 100, now_)); };
  EXPECT_EQ(scan(range("a/")), (Keys{"a/1", "a/2", "a/3"}));
  EXPECT_EQ(scan(range("a/", "a/2")), (Keys{"a/2", "a/3"}));
  EXPECT_EQ(scan(range("a/", "a/1", "a/3")), (Keys{"a/1", "a/2"}));
  EXPECT_EQ(scan(range("a/", {}, {}, "a/2")), Keys{"a/3"});
  EXPECT_EQ(scan(range("", "a0")), (Keys{"a0", "b"}));
  EXPECT_EQ(scan(range("", {}, "a/2")), (Keys{"a", "a/1"}));
  EXPECT_EQ(scan(range("", "b", "a")), Keys{});
  EXPECT_EQ(scan(range("a/", "x")), Keys{});
  EXPECT_EQ(scan(range("zzz")), Keys{});
}

TEST_F(KvSnapshotTest, APrefixEndsWhereNothingBeginsWithItAnyMore) {
  for (const char* key : {"a\xff", "a\xff\xff", "b", "\xff", "\xff\xff"}) put(key, "");
  EXPECT_EQ(keys(store_->scan(range("a\xff"), 10, now_)), (Keys{"a\xff", "a\xff\xff"}));
  EXPECT_EQ(keys(store_->scan(range("\xff"), 10, now_)), (Keys{"\xff", "\xff\xff"}));
}

TEST_F(KvSnapshotTest, PagesSayWhetherThereIsMore) {
  for (const char* key : {"a", "b", "c"}) put(key, "");
  KvPage page = store_->scan({}, 2, now_);
  EXPECT_EQ(keys(page), (Keys{"a", "b"}));
  EXPECT_TRUE(page.more);
  page = store_->scan(range("", {}, {}, "b"), 2, now_);
  EXPECT_EQ(keys(page), Keys{"c"});
  EXPECT_FALSE(page.more);
  EXPECT_FALSE(store_->scan({}, 3, now_).more);
  put("dead", "", 0);
  now_ += 1;
  EXPECT_FALSE(store_->scan({}, 3, now_).more) << "one that has expired is not more";
}

TEST_F(KvSnapshotTest, AKeyThatIsThereDuringAWholeScanIsSeenOnce) {
  std::set<std::string> stay;
  for (int i = 0; i < 200; ++i) {
    put("k" + std::to_string(i), "");
    if (i % 2 == 0) stay.insert("k" + std::to_string(i));
  }
  std::multiset<std::string> seen;
  std::optional<std::string> after;
  for (int step = 0;; ++step) {
    const KvPage page = store_->scan(kv_range("", {}, {}, after), 7, now_);
    for (const KvEntryRef& entry : page.entries) seen.insert(entry->key);
    if (!page.more) break;
    after = page.entries.back()->key;
    // The key of the cursor is deleted, others are added and deleted on both sides, the rest
    // change.
    store_->erase(std::to_string(step) + "x", kAnyVersion, now_);
    for (int i = step; i < 200; i += 11) {
      const std::string key = "k" + std::to_string(i);
      if (stay.count(key) > 0)
        put(key, "changed");
      else
        store_->erase(key, kAnyVersion, now_);
      put("k" + std::to_string(i) + "new", "");
    }
  }
  for (const std::string& key : stay) EXPECT_EQ(seen.count(key), 1u) << key;
  for (const std::string& key : seen) EXPECT_EQ(seen.count(key), 1u) << key;
}

TEST_F(KvSnapshotTest, ReadsBackwardsPageByPage) {
  Keys all;
  for (char c = 'a'; c <= 'y'; ++c) {
    all.insert(all.begin(), std::string(1, c));
    put(all.front(), "");
  }
  for (std::size_t limit = 1; limit <= 26; ++limit) {
    Keys read;
    std::optional<std::string> after;
    for (bool more = true; more;) {
      const KvRange range = kv_range("", {}, {}, after, KvOrder::kDescending);
      const KvPage page = store_->scan(range, limit, now_, KvOrder::kDescending);
      for (const KvEntryRef& entry : page.entries) read.push_back(entry->key);
      more = page.more;
      after = read.back();
    }
    EXPECT_EQ(read, all) << "limit " << limit;
  }
  const KvRange part = kv_range("", "c", "f", {}, KvOrder::kDescending);
  EXPECT_EQ(keys(store_->scan(part, 10, now_, KvOrder::kDescending)), (Keys{"e", "d", "c"}));
}

}  // namespace
}  // namespace sluice
