// A key-value store that is written to a file as it changes, and comes about from it again.
#include "runtime/storage/kv_rows.h"

#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "core/kv/fixture.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class KvRowsTest : public KvTest {
 protected:
  KvRowsTest() {
    std::string name = (fs::temp_directory_path() / "sluice-kv-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~KvRowsTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::unique_ptr<StoreFile> open() const {
    StoreFile::Opened opened =
        StoreFile::open((folder_ / "data.db").string(), StoreFile::Mode::kWrite);
    EXPECT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
    return std::move(opened.file);
  }

  // A new KvStore in place of the one there was, as the file has it.
  std::shared_ptr<SqliteStore> reopen(Nanos to_unix = 0) {
    std::unique_ptr<StoreFile> file = open();
    store_ = std::make_shared<KvStore>(KvLimits{});
    const KvLoaded loaded = load_kv(*file, *store_, to_unix, now_);
    EXPECT_EQ(loaded.problem, "");
    auto store = std::make_shared<SqliteStore>(std::move(file));
    keeper_ = std::make_shared<KvKeeper>(store, to_unix, store_->version());
    store_->observe([keeper = keeper_](auto changes) { keeper->on_changes(changes); });
    keeper_->drop(loaded.expired);
    return store;
  }

  [[nodiscard]] std::size_t rows() const {
    std::vector<StoreRow> found;
    const std::unique_ptr<StoreFile> file = open();
    file->select(file->statement("entries"), {std::int64_t{0}, std::int64_t{1000}}, found);
    return found.size();
  }

  // What is wrong with a file in which a statement was run.
  std::string problem_after(std::string_view statement, const StoreRow& values) {
    const std::unique_ptr<StoreFile> file = open();
    const StoreBatch batch{{file->statement(statement), values}};
    EXPECT_EQ(file->write({&batch}), StoreStatus::kOk);
    KvStore loaded({});
    return load_kv(*file, loaded, 0, now_).problem;
  }

  fs::path folder_;
  std::shared_ptr<KvKeeper> keeper_;
};

TEST_F(KvRowsTest, IsRestored) {
  auto file = reopen();
  EXPECT_EQ(store_->version(), kAbsent);
  put("a", "1");
  put(std::string("b\0\xff", 3), std::string("\0x", 2), 50);
  put("a", "2");
  put("gone", "3");
  store_->erase("gone", kAnyVersion, now_);
  file->close();
  EXPECT_EQ(keeper_->written(), 5u);

  file = reopen();
  EXPECT_EQ(store_->version(), 5u);
  EXPECT_EQ(keeper_->written(), 5u);
  EXPECT_EQ(store_->size(), 2u);
  EXPECT_EQ(value_of("a"), "2");
  EXPECT_EQ(version_of("a"), 3u);
  EXPECT_EQ(value_of(std::string("b\0\xff", 3)), std::string("\0x", 2));
  now_ += 51;
  EXPECT_EQ(value_of(std::string("b\0\xff", 3)), std::nullopt);
}

TEST_F(KvRowsTest, VersionsContinueAfterDeletedKeys) {
  auto file = reopen();
  put("a", "1");
  put("b", "2", 10);
  now_ += 11;
  store_->reclaim(10, now_);
  file = nullptr;
  store_ = nullptr;  // with its observer, which has the file
  keeper_ = nullptr;
  file = reopen();
  EXPECT_EQ(store_->version(), 2u) << "of what has expired";
  store_->erase("a", kAnyVersion, now_);
  file->close();
  EXPECT_EQ(rows(), 0u);
  file = reopen();
  EXPECT_EQ(put("a", "1").version, 4u) << "behind the deletion";
}

TEST_F(KvRowsTest, EndsByUnixTimeWhateverTheStoresOwnIs) {
  auto file = reopen(1000);
  now_ = 7;
  put("soon", "1", 10);
  put("later", "1", 100);
  file->close();
  now_ = 0;
  file = reopen(1018);  // in Unix time "soon" was over at 1017
  EXPECT_EQ(store_->version(), 2u);
  EXPECT_EQ(all_keys(), Keys{"later"});
  now_ = 1107 - 1018;
  EXPECT_EQ(value_of("later"), "1");
  now_ += 1;
  EXPECT_EQ(value_of("later"), std::nullopt);
  file->close();
  EXPECT_EQ(rows(), 1u) << "what was over is removed, what has expired since waits to be reclaimed";
}

TEST_F(KvRowsTest, ACommitIsThereWholeOrNotAtAll) {
  auto file = reopen();
  for (int round = 0; round < 50; ++round) {
    KvWrites writes;
    for (int key = 0; key < 10; ++key) {
      writes["k" + std::to_string(key)] = {KvValue{std::to_string(round)}, kNever};
    }
    store_->commit({}, writes, now_);
  }
  file->close();
  file = reopen();
  EXPECT_EQ(store_->version(), 500u);
  for (int key = 0; key < 10; ++key) EXPECT_EQ(value_of("k" + std::to_string(key)), "49");
}

TEST_F(KvRowsTest, NamesAnImpossibleEntry) {
  reopen()->close();
  const StoreBlob key{"a"};
  const StoreBlob value{"1"};
  const auto entry = [&](std::int64_t version, std::int64_t kind, const StoreValue& expires) {
    return StoreRow{version, key, kind, value, expires};
  };
  EXPECT_EQ(problem_after("set_entry", entry(1, 0, std::monostate{})), "");
  EXPECT_EQ(problem_after("set_entry", entry(2, 256, std::monostate{})),
            "an entry behind version 0 cannot be");
  EXPECT_EQ(problem_after("set_entry", entry(3, 0, std::int64_t{-5})),
            "an entry behind version 0 cannot be");
  EXPECT_EQ(problem_after("set_entry", entry(4, 3, std::int64_t{5})), "");
}

// Whatever has happened, and however often it was left and opened again.
TEST_F(KvRowsTest, AnyHistoryIsRestored) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    fs::remove(folder_ / "data.db");
    std::mt19937 random(seed);
    const auto any = [&random](int below) {
      return std::uniform_int_distribution<int>(0, below - 1)(random);
    };
    const auto key = [&any] { return "k" + std::to_string(any(12)); };
    const auto ttl = [&any] { return any(2) == 0 ? kNever : Nanos{any(40)}; };
    now_ = 1000;
    auto file = reopen();
    for (int step = 0; step < 300; ++step) {
      now_ += any(4);
      switch (any(8)) {
        case 0:
          store_->erase(key(), kAnyVersion, now_);
          break;
        case 1:
          store_->reclaim(static_cast<std::size_t>(any(3)), now_);
          break;
        case 2: {
          KvWrites writes;
          for (int i = any(5); i >= 0; --i) {
            writes[key()] = any(3) == 0 ? KvWrite{} : KvWrite{KvValue{"c"}, ttl()};
          }
          store_->commit({}, writes, now_);
          break;
        }
        default:
          put(key(), std::to_string(step), ttl());
      }
      if (any(40) != 0) continue;
      const KvPage before = store_->scan({}, 1000, now_);
      const KvVersion version = store_->version();
      file->close();
      now_ += any(2) * any(30);
      file = reopen();
      EXPECT_EQ(store_->version(), version) << "seed " << seed << " step " << step;
      std::size_t alive = 0;
      for (const KvEntryRef& entry : before.entries) {
        const KvEntryRef found = store_->get(entry->key, now_);
        ASSERT_EQ(static_cast<bool>(found), entry->alive(now_)) << entry->key;
        if (!found) continue;
        alive += 1;
        EXPECT_EQ(found->value, entry->value);
        EXPECT_EQ(found->version, entry->version);
        EXPECT_EQ(found->last_alive, entry->last_alive);
      }
      EXPECT_EQ(store_->size(), alive) << "nothing else";
    }
    file->close();
  }
}

// The end of the store comes in the middle of the changes: none is written in part, and those that
// are written are the first ones.
TEST_F(KvRowsTest, IsClosedWhileThreadsWrite) {
  for (int round = 0; round < 4; ++round) {
    auto file = reopen();
    const KvVersion before = store_->version();
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          KvWrites writes;
          writes["t" + std::to_string(t) + "-" + std::to_string(i % 20)] = {
              KvValue{std::to_string(i)}, kNever};
          writes["same"] = {KvValue{std::to_string(t)}, kNever};
          store_->commit({}, writes, now_);
        }
      });
    }
    while (keeper_->written() < before + 200) std::this_thread::yield();
    file->close();
    const KvVersion written = keeper_->written();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(keeper_->written(), written);
    EXPECT_GE(store_->version(), written);
    EXPECT_EQ(written % 2, 0u) << "whole commits";
    reopen()->close();
    EXPECT_EQ(store_->version(), written);
  }
}

}  // namespace
}  // namespace sluice
