// Transactions: reads, conflicts, and atomicity.
#include "core/kv/transaction.h"

#include "core/kv/fixture.h"

namespace sluice {
namespace {

class KvTransactionTest : public KvTest {
 protected:
  using KvTest::KvTest;

  std::optional<std::string> read(KvTransaction& tx, const std::string& key) {
    return text(tx.get(key, now_));
  }
  KvStatus write(KvTransaction& tx, const std::string& key, const std::string& value,
                 Nanos ttl = kNever) {
    return tx.set(key, {value}, ttl);
  }
  KvStatus commit(KvTransaction& tx) { return tx.commit(now_).status; }

  KvTransaction tx_{store_};
};

TEST_F(KvTransactionTest, CommitsAllItsWrites) {
  put("gone", "");
  write(tx_, "b", "2", 10);
  write(tx_, "a", "1");
  tx_.erase("gone");
  tx_.erase("never was");
  EXPECT_EQ(all_keys(), Keys{"gone"}) << "nothing before the commit";
  const KvResult result = tx_.commit(now_);
  EXPECT_EQ(result.status, KvStatus::kDone);
  EXPECT_EQ(result.version, store_->version());
  EXPECT_EQ(all_keys(), (Keys{"a", "b"}));
  EXPECT_NE(version_of("a"), version_of("b"));
  EXPECT_EQ(tx_.version_of("a"), version_of("a"));
  EXPECT_EQ(tx_.version_of("b"), version_of("b"));
  EXPECT_EQ(tx_.version_of("gone"), 4u);
  EXPECT_EQ(tx_.version_of("never was"), kAbsent);
  EXPECT_EQ(store_->version(), 4u) << "what changes nothing takes no version";
}

TEST_F(KvTransactionTest, ReadsItsOwnWrites) {
  put("a", "1");
  EXPECT_EQ(read(tx_, "a"), "1");
  write(tx_, "a", "2", 10);
  EXPECT_EQ(read(tx_, "a"), "2");
  EXPECT_EQ(tx_.get("a", now_)->version, kAbsent);
  EXPECT_EQ(tx_.get("a", now_)->last_alive, now_ + 10);
  tx_.erase("a");
  EXPECT_EQ(read(tx_, "a"), std::nullopt);
  write(tx_, "a", "");
  EXPECT_EQ(read(tx_, "a"), "");
  EXPECT_EQ(value_of("a"), "1");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(value_of("a"), "");
}

TEST_F(KvTransactionTest, FailsWhenAReadValueHasChanged) {
  put("a", "1");
  read(tx_, "a");
  write(tx_, "b", "2");
  put("a", "1");
  EXPECT_EQ(commit(tx_), KvStatus::kConflict) << "the same value, another version";
  EXPECT_EQ(value_of("b"), std::nullopt);
}

TEST_F(KvTransactionTest, RemembersKeysThatWereNotThere) {
  read(tx_, "a");
  write(tx_, "b", "2");
  put("a", "1");
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
}

TEST_F(KvTransactionTest, DeletedAndMadeAgainIsAnother) {
  put("a", "1");
  read(tx_, "a");
  store_->erase("a", kAnyVersion, now_);
  put("a", "1");
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
}

TEST_F(KvTransactionTest, MadeAndDeletedIsAsBefore) {
  read(tx_, "a");
  put("a", "1");
  store_->erase("a", kAnyVersion, now_);
  write(tx_, "b", "2");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
}

TEST_F(KvTransactionTest, WritesAloneNeverConflict) {
  put("a", "1");
  write(tx_, "a", "2");
  tx_.erase("b");
  put("a", "3");
  put("b", "3");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(value_of("a"), "2");
  EXPECT_EQ(value_of("b"), std::nullopt);
}

TEST_F(KvTransactionTest, AChangeBeforeTheFirstReadIsNoConflict) {
  put("a", "1");
  put("b", "1");
  EXPECT_EQ(read(tx_, "a"), "1");
  put("b", "2");
  EXPECT_EQ(read(tx_, "b"), "2");
  write(tx_, "c", "3");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
}

TEST_F(KvTransactionTest, NeverShowsHalvesOfTwoStates) {
  put("a", "old");
  put("b", "old");
  EXPECT_EQ(read(tx_, "a"), "old");
  put("a", "new");
  put("b", "new");
  EXPECT_EQ(read(tx_, "a"), "old") << "what was read reads so again";
  EXPECT_FALSE(tx_.doomed());
  EXPECT_EQ(read(tx_, "b"), std::nullopt);
  EXPECT_TRUE(tx_.doomed());
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
}

TEST_F(KvTransactionTest, WatchedAndExpiredBeforeTheCommitAborts) {
  put("a", "1", 10);
  read(tx_, "a");
  write(tx_, "b", "2");
  now_ += 11;
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
  EXPECT_EQ(value_of("b"), std::nullopt);
}

TEST_F(KvTransactionTest, ExpiredWhenReadDoesNotAbort) {
  put("a", "1", 10);
  now_ += 11;
  EXPECT_EQ(read(tx_, "a"), std::nullopt);
  write(tx_, "b", "2");
  now_ += 100;
  store_->reclaim(10, now_);
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
}

TEST_F(KvTransactionTest, ExpiredSinceItBeganAndBeforeItIsReadDoesNotAbort) {
  put("a", "1", 10);
  EXPECT_EQ(read(tx_, "other"), std::nullopt);
  now_ += 11;
  EXPECT_EQ(read(tx_, "a"), std::nullopt);
  write(tx_, "b", "2");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
}

TEST_F(KvTransactionTest, TimesToLiveRunFromTheCommit) {
  put("kept", "1", 10);
  write(tx_, "a", "1", 50);
  write(tx_, "kept", "2");
  now_ += 100;
  EXPECT_EQ(read(tx_, "a"), "1");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(store_->get("a", now_)->last_alive, now_ + 50);
  EXPECT_EQ(store_->get("kept", now_)->last_alive, kNever);
}

TEST_F(KvTransactionTest, AFailedOneTouchesNoTtl) {
  put("a", "1", 50);
  const Nanos end = now_ + 50;
  read(tx_, "watched");
  write(tx_, "a", "2", 1000);
  put("watched", "");
  now_ += 5;
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
  EXPECT_EQ(store_->get("a", now_)->last_alive, end);
}

TEST_F(KvTransactionTest, ScansSeeOwnWritesInTheirPlaces) {
  for (const char* key : {"a", "c", "e", "g"}) put(key, "store");
  write(tx_, "b", "own");
  write(tx_, "c", "own");
  tx_.erase("e");
  write(tx_, "h", "own");
  write(tx_, "z", "own");
  const KvRange upto_y = kv_range("", {}, "y", {});
  const KvPage page = tx_.scan(upto_y, 10, now_);
  EXPECT_EQ(keys(page), (Keys{"a", "b", "c", "g", "h"}));
  EXPECT_EQ(page.entries[2]->value.bytes, "own");
  EXPECT_FALSE(page.more);
  for (std::size_t limit = 1; limit < 5; ++limit) {
    const KvPage part = tx_.scan(upto_y, limit, now_);
    EXPECT_EQ(part.entries.size(), limit);
    EXPECT_TRUE(part.more);
    const KvPage rest = tx_.scan(kv_range("", {}, "y", part.entries.back()->key), 10, now_);
    EXPECT_EQ(rest.entries.size(), 5 - limit);
  }
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
}

TEST_F(KvTransactionTest, KeepsTheEndThatAKeyHas) {
  put("timed", "1", 50);
  put("stays", "1");
  read(tx_, "timed");
  EXPECT_EQ(write(tx_, "timed", "2", kKeepEnd), KvStatus::kDone);
  write(tx_, "stays", "2", kKeepEnd);
  write(tx_, "new", "2", kKeepEnd);
  write(tx_, "own", "1", 7);
  write(tx_, "own", "2", kKeepEnd);
  EXPECT_EQ(tx_.get("timed", now_)->last_alive, now_ + 50);
  EXPECT_EQ(tx_.get("own", now_)->last_alive, now_ + 7);
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(store_->get("timed", now_)->last_alive, now_ + 50);
  EXPECT_EQ(store_->get("stays", now_)->last_alive, kNever);
  EXPECT_EQ(store_->get("new", now_)->last_alive, kNever);
  EXPECT_EQ(store_->get("own", now_)->last_alive, now_ + 7);
}

TEST_F(KvTransactionTest, TouchesAnExistingKeyAndWatchesIt) {
  put("a", "1");
  EXPECT_TRUE(tx_.touch("a", 5, now_));
  EXPECT_FALSE(tx_.touch("none", 5, now_));
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(store_->get("a", now_)->last_alive, now_ + 5);
  EXPECT_EQ(value_of("a"), "1");
  KvTransaction other(store_);
  EXPECT_TRUE(other.touch("a", 9, now_));
  put("a", "2");
  EXPECT_EQ(commit(other), KvStatus::kConflict);
}

TEST_F(KvTransactionTest, AScanWatchesForKeysThatComeAndGo) {
  for (const char* key : {"a/1", "a/3", "b"}) put(key, "");
  const auto after_scan = [&](auto change) {
    KvTransaction tx(store_);
    EXPECT_EQ(keys(tx.scan(kv_range("a/", {}, {}, {}), 10, now_)), (Keys{"a/1", "a/3"}));
    write(tx, "sum", "2");
    change();
    return commit(tx);
  };
  EXPECT_EQ(after_scan([] {}), KvStatus::kDone);
  EXPECT_EQ(after_scan([&] { put("b", "2"); }), KvStatus::kDone);
  EXPECT_EQ(after_scan([&] { put("a/3", "2"); }), KvStatus::kConflict);
  EXPECT_EQ(after_scan([&] { put("a/2", "2"); }), KvStatus::kConflict);
  store_->erase("a/2", kAnyVersion, now_);
  EXPECT_EQ(after_scan([&] {
              put("a/2", "");
              store_->erase("a/2", kAnyVersion, now_);
            }),
            KvStatus::kDone);
  EXPECT_EQ(after_scan([&] {
              put("a/2", "");
              store_->erase("a/1", kAnyVersion, now_);
            }),
            KvStatus::kConflict)
      << "as many keys as before, but others";
}

TEST_F(KvTransactionTest, APageWatchesNoFurtherThanItWent) {
  for (const char* key : {"a", "c", "e", "g"}) put(key, "");
  EXPECT_EQ(keys(tx_.scan({}, 2, now_)), (Keys{"a", "c"}));
  put("f", "");
  put("g", "2");
  KvTransaction other(store_);
  other.scan({}, 2, now_);
  put("b", "");
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
  EXPECT_EQ(commit(other), KvStatus::kConflict);
  KvTransaction third(store_);
  EXPECT_EQ(keys(third.scan({}, 2, now_)), (Keys{"a", "b"}));
  put("d", "");
  EXPECT_EQ(commit(third), KvStatus::kDone);
}

TEST_F(KvTransactionTest, AScanDoomsWhereItSeesAnotherVersionThanARead) {
  put("a", "1");
  read(tx_, "a");
  put("a", "2");
  EXPECT_TRUE(tx_.scan({}, 10, now_).entries.empty());
  EXPECT_TRUE(tx_.doomed());
}

TEST_F(KvTransactionTest, EndsWithItsCommit) {
  write(tx_, "a", "1");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(commit(tx_), KvStatus::kConflict);
  EXPECT_EQ(read(tx_, "a"), std::nullopt);
}

class KvTransactionLimitsTest : public KvTransactionTest {
 protected:
  KvTransactionLimitsTest()
      : KvTransactionTest(
            KvLimits{.max_keys = 2, .max_key_bytes = 4, .max_value_bytes = 8, .max_bytes = 12}) {}
};

TEST_F(KvTransactionLimitsTest, TakeThemAllTogether) {
  EXPECT_EQ(write(tx_, "12345", ""), KvStatus::kKeyTooLong);
  EXPECT_EQ(write(tx_, "1", "123456789"), KvStatus::kValueTooLong);
  EXPECT_EQ(write(tx_, "a", "12345678"), KvStatus::kDone);
  EXPECT_EQ(write(tx_, "b", "123"), KvStatus::kBytesFull) << "more than there could ever be";
  EXPECT_EQ(write(tx_, "b", ""), KvStatus::kDone);
  EXPECT_EQ(write(tx_, "c", ""), KvStatus::kDone);
  EXPECT_EQ(commit(tx_), KvStatus::kKeysFull);
  EXPECT_EQ(store_->size(), 0u);
}

TEST_F(KvTransactionLimitsTest, CountTheEntriesAfterTheCommit) {
  put("a", "1234");
  put("b", "1234");
  write(tx_, "c", "12345678");
  tx_.erase("a");
  tx_.erase("b");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(store_->bytes(), 9u);
  KvTransaction second(store_);
  write(second, "d", "123");
  EXPECT_EQ(commit(second), KvStatus::kBytesFull);
}

TEST_F(KvTransactionTest, AShareHasLimitsOfItsOwn) {
  const KvShare share{kv_range("a/", {}, {}, {}), 2, 12};
  const auto try_to = [&](std::initializer_list<std::pair<const char*, const char*>> sets) {
    KvTransaction tx(store_);
    for (const auto& [key, value] : sets)
      write(tx, key, value, std::string(key) == "a/3" ? 10 : kNever);
    return tx.commit(now_, &share).status;
  };
  put("a", "of another one, as those below");
  put("a0", "");
  put("b", "");
  EXPECT_EQ(try_to({{"a/1", ""}, {"a/2", ""}, {"a/3", ""}}), KvStatus::kShareKeysFull);
  EXPECT_EQ(try_to({{"a/1", "1234"}, {"a/3", "12345"}}), KvStatus::kShareBytesFull);
  EXPECT_EQ(try_to({{"a/1", "123"}, {"a/3", "123"}}), KvStatus::kDone);
  EXPECT_EQ(try_to({{"a/1", "1234"}}), KvStatus::kShareBytesFull);
  EXPECT_EQ(try_to({{"a/1", ""}}), KvStatus::kDone);
  EXPECT_EQ(try_to({{"a/2", ""}}), KvStatus::kShareKeysFull);
  now_ += 11;
  EXPECT_EQ(try_to({{"a/2", ""}}), KvStatus::kDone) << "what has expired makes room";
  store_->erase("a/1", kAnyVersion, now_);
  EXPECT_EQ(try_to({{"a/4", "12345"}}), KvStatus::kDone);
}

TEST_F(KvTransactionTest, AnAreaOfManySharesHasLimitsOfItsOwn) {
  const KvShare share{kv_range("x/a/", {}, {}, {}), 2, 100};
  const KvShare area{kv_range("x/", {}, {}, {}), 3, 16};
  const auto try_to = [&](const char* key, const char* value) {
    KvTransaction tx(store_);
    write(tx, key, value);
    return tx.commit(now_, &share, &area).status;
  };
  put("w", "of no area, as the one below");
  put("y", "");
  put("x/b/1", "12345");
  EXPECT_EQ(try_to("x/a/1", "1234567"), KvStatus::kBytesFull);
  EXPECT_EQ(try_to("x/a/1", ""), KvStatus::kDone);
  put("x/b/2", "");
  EXPECT_EQ(try_to("x/a/2", ""), KvStatus::kKeysFull) << "the share would have room";
  store_->erase("x/b/1", kAnyVersion, now_);
  store_->erase("x/b/2", kAnyVersion, now_);
  EXPECT_EQ(try_to("x/a/2", ""), KvStatus::kDone);
  EXPECT_EQ(try_to("x/a/3", ""), KvStatus::kShareKeysFull) << "the area would have room";
}

TEST_F(KvTransactionLimitsTest, ExpiredEntriesMakeRoom) {
  put("a", "1234", 10);
  put("b", "1234", 10);
  now_ += 11;
  write(tx_, "b", "1234567");
  write(tx_, "c", "1");
  tx_.erase("a");
  EXPECT_EQ(commit(tx_), KvStatus::kDone);
  EXPECT_EQ(all_keys(), (Keys{"b", "c"}));
  EXPECT_EQ(store_->size(), 2u);
}

}  // namespace
}  // namespace sluice
