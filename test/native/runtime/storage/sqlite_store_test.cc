// The store over real files: commits, recovery after a kill, and a full disk.
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sqlite_store_fixture.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

TEST_F(SqliteStoreTest, KeepsCommittedBatchesInTheirOrder) {
  {
    SqliteStore store(open().file);
    for (std::int64_t n = 1; n <= 3; ++n) EXPECT_EQ(commit(store, entry(n)), StoreStatus::kOk);
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST_F(SqliteStoreTest, KeepsEveryKindOfValue) {
  const std::string text("a\0b\n\xc3\xa4", 6);
  {
    StoreFile::Opened opened = open();
    const StoreBatch batch = entry(9'007'199'254'740'993, text);
    EXPECT_EQ(opened.file->write({&batch}), StoreStatus::kOk);
  }
  StoreFile::Opened opened = open();
  std::vector<StoreRow> rows;
  ASSERT_EQ(opened.file->select(kAll, {}, rows), StoreStatus::kOk);
  EXPECT_EQ(rows, (std::vector<StoreRow>{{std::int64_t{9'007'199'254'740'993}, text}}));
}

TEST_F(SqliteStoreTest, CommitsQueuedBatchesInOneTransaction) {
  SqliteStore store(open().file);
  Blocker blocker(store, entry(1));
  std::promise<void> all;
  std::vector<std::int64_t> reported;  // the store's thread alone, until `all`
  for (std::int64_t n = 2; n <= 100; ++n) {
    ASSERT_EQ(store.commit(entry(n),
                           [&, n](StoreStatus status) {
                             EXPECT_EQ(status, StoreStatus::kOk);
                             reported.push_back(n);
                             if (n == 100) all.set_value();
                           }),
              StoreStatus::kOk);
  }
  blocker.release();
  all.get_future().wait();
  EXPECT_EQ(reported.size(), 99u);
  EXPECT_TRUE(std::is_sorted(reported.begin(), reported.end()));
  EXPECT_EQ(store.stats().commits, 2u);
  EXPECT_EQ(store.stats().batches, 100u);
}

TEST_F(SqliteStoreTest, FailsOnlyTheBatchThatViolatesAConstraint) {
  {
    SqliteStore store(open().file);
    EXPECT_EQ(commit(store, entry(1)), StoreStatus::kOk);
    Blocker blocker(store, entry(2));
    std::array<std::promise<StoreStatus>, 3> results;
    const auto into = [&results](std::size_t i) {
      return [&results, i](StoreStatus status) { results[i].set_value(status); };
    };
    store.commit(entry(3), into(0));
    // All or nothing: row 5 is not written either.
    store.commit({{kAdd, {std::int64_t{5}, "five"}}, {kAdd, {std::int64_t{1}, "again"}}}, into(1));
    store.commit(entry(4), into(2));
    blocker.release();
    EXPECT_EQ(results[0].get_future().get(), StoreStatus::kOk);
    EXPECT_EQ(results[1].get_future().get(), StoreStatus::kRefused);
    EXPECT_EQ(results[2].get_future().get(), StoreStatus::kOk);
    EXPECT_EQ(store.state(), StoreStatus::kOk);
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(SqliteStoreTest, RefusesBatchesBeyondTheBoundsOfItsQueue) {
  SqliteStore store(open().file, {.batches_max = 2, .bytes_max = 1000});
  Blocker blocker(store, entry(1));
  const auto ignore = [](StoreStatus) {};
  EXPECT_EQ(store.commit(entry(2), ignore), StoreStatus::kOk);
  EXPECT_EQ(store.commit(entry(3, std::string(2000, 'x')), ignore), StoreStatus::kBusy);
  EXPECT_EQ(store.commit(entry(4), ignore), StoreStatus::kOk);
  EXPECT_EQ(store.commit(entry(5), ignore), StoreStatus::kBusy);
  blocker.release();
  store.close();
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 4}));
}

TEST_F(SqliteStoreTest, WritesQueuedBatchesWhenItClosesAndThenRefuses) {
  std::atomic<int> reported = 0;
  SqliteStore store(open().file);
  for (std::int64_t n = 1; n <= 50; ++n) store.commit(entry(n), [&](StoreStatus) { ++reported; });
  store.close();
  EXPECT_EQ(reported, 50);
  EXPECT_EQ(store.commit(entry(51), [](StoreStatus) {}), StoreStatus::kClosed);
  EXPECT_EQ(numbers().size(), 50u);
}

TEST_F(SqliteStoreTest, MovesItsLogIntoTheFileWhenItCloses) {
  {
    SqliteStore store(open().file);
    commit(store, entry(1));
    EXPECT_TRUE(fs::exists(path() + "-wal"));
  }
  EXPECT_FALSE(fs::exists(path() + "-wal"));
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(SqliteStoreTest, KeepsAcknowledgedBatchesWhenItsProcessIsKilled) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer knows no threads in a process that was forked";
#endif
  std::mt19937 random(20);
  for (int round = 0; round < 5; ++round) {
    fs::remove(path());
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // No allocation lock can be held here: the test has one thread at this point.
      SqliteStore store(open().file);
      for (std::int64_t n = 1;; ++n) {
        if (commit(store, entry(n)) != StoreStatus::kOk) ::_exit(1);
        if (::write(pipe[1], &n, sizeof(n)) != sizeof(n)) ::_exit(1);
      }
    }
    ::close(pipe[1]);
    std::int64_t acknowledged = 0;
    const std::int64_t until = std::uniform_int_distribution<std::int64_t>(1, 60)(random);
    while (acknowledged<until&& ::read(pipe[0], &acknowledged, sizeof(acknowledged))> 0) {
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(pipe[0], &acknowledged, sizeof(acknowledged)) > 0) {
    }
    ::close(pipe[0]);
    ASSERT_GE(acknowledged, until);
    const auto recovered = static_cast<std::int64_t>(numbers().size());
    EXPECT_GE(recovered, acknowledged);
    EXPECT_LE(recovered, acknowledged + 1);  // on the disk, and killed before the acknowledgement
  }
}

TEST_F(SqliteStoreTest, FailsABatchWithoutRoomInTheFileAndContinues) {
  StoreFile::Opened opened = open();
  opened.file->limit_pages(8);
  SqliteStore store(std::move(opened.file), {.retry_interval = 1ms});
  EXPECT_EQ(commit(store, entry(1)), StoreStatus::kOk);
  EXPECT_EQ(commit(store, entry(2, std::string(100'000, 'x'))), StoreStatus::kFull);
  EXPECT_EQ(commit(store, entry(3)), StoreStatus::kOk);
  EXPECT_EQ(store.state(), StoreStatus::kOk);
  store.close();
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 3}));
}

class UntilWrittenTest : public SqliteStoreTest {
 protected:
  // A file with room for a few small entries.
  [[nodiscard]] std::unique_ptr<StoreFile> small_file(std::int64_t pages = 8) const {
    StoreFile::Opened opened = open();
    opened.file->limit_pages(pages);
    return std::move(opened.file);
  }

  // An entry with the number `n`; the rows of the file then show the order of writing.
  static StoreBatch append(std::int64_t n, std::size_t size = 10) {
    return entry(n, std::string(size, 'x'));
  }
};

TEST_F(UntilWrittenTest, IsWrittenInOrderWithOtherBatches) {
  std::atomic<int> reported = 0;
  {
    SqliteStore store(open().file);
    store.commit_until_written(append(1), [&](StoreStatus status) {
      EXPECT_EQ(status, StoreStatus::kOk);
      ++reported;
    });
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, {}), StoreStatus::kOk) << "a barrier";
    EXPECT_EQ(reported, 1);
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2}));
}

TEST_F(UntilWrittenTest, WaitsForRoomWhileOtherBatchesFail) {
  {
    SqliteStore store(small_file(), {.retry_interval = 1ms});
    std::promise<StoreStatus> written;
    store.commit_until_written(append(1, 100'000),
                               [&](StoreStatus status) { written.set_value(status); });
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, entry(3)), StoreStatus::kFull) << "not ahead of earlier batches";
    EXPECT_EQ(commit(store, {}), StoreStatus::kFull) << "a barrier waits for earlier batches";
    EXPECT_EQ(store.state(), StoreStatus::kFull);
    EXPECT_EQ(store.room(), StoreStatus::kFull);
    store.commit_until_written(append(4), nullptr);
    std::future<StoreStatus> result = written.get_future();
    EXPECT_EQ(result.wait_for(20ms), std::future_status::timeout);
    store.close();
    EXPECT_EQ(result.get(), StoreStatus::kClosed) << "the file never had room";
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{}));
}

TEST_F(UntilWrittenTest, ReportsRoomByTheLengthOfTheQueue) {
  SqliteStore store(open().file, {.batches_max = 2});
  Blocker blocker(store, entry(1));
  EXPECT_EQ(store.room(), StoreStatus::kOk);
  for (std::int64_t n = 2; n <= 4; ++n) store.commit_until_written(append(n), nullptr);
  EXPECT_EQ(store.stats().queued, 3u);
  EXPECT_EQ(store.room(), StoreStatus::kBusy);
  EXPECT_EQ(store.commit(entry(5), [](StoreStatus) {}), StoreStatus::kBusy);
  blocker.release();
  store.close();
  EXPECT_EQ(store.room(), StoreStatus::kClosed);
  StoreStatus after = StoreStatus::kOk;
  store.commit_until_written(append(6), [&](StoreStatus status) { after = status; });
  EXPECT_EQ(after, StoreStatus::kClosed);
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

// A batch that can never be written must not be skipped: file and memory would differ silently.
TEST_F(UntilWrittenTest, NoBatchOvertakesOneThatViolatesAConstraint) {
  {
    SqliteStore store(open().file, {.retry_interval = 1ms});
    EXPECT_EQ(commit(store, entry(1)), StoreStatus::kOk);
    store.commit_until_written(append(1), nullptr);
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, entry(3)), StoreStatus::kFailed);
    // room() stays kFailed during the retries.
    const auto end = std::chrono::steady_clock::now() + 20ms;
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_EQ(store.room(), StoreStatus::kFailed);
    }
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1}));
}

// A disk that fills up and later has room again.
TEST_F(SqliteStoreTest, RecoversFromAFullDisk) {
  const fs::path disk = folder_ / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "a small tmpfs cannot be mounted here (that needs root)";
  }
  const std::string data = (disk / "data.db").string();
  const std::string ballast = (disk / "ballast").string();
  {
    SqliteStore store(StoreFile::open(data, StoreFile::Mode::kWrite, store_schema()).file,
                      {.retry_interval = 1ms});
    const auto key = [](std::int64_t n, std::size_t size) -> StoreBatch {
      const std::size_t add = statement_at(store_schema().statements, "add_key");
      return {{add, {std::to_string(n), "f", std::string(size, 'a'), std::int64_t{0}}}};
    };
    EXPECT_EQ(commit(store, key(1, 100)), StoreStatus::kOk);
    std::ofstream(ballast) << std::string(1 << 20, 'b') << std::flush;
    StoreStatus status = StoreStatus::kOk;
    std::int64_t acknowledged = 1;
    // The log takes entries up to its remaining room; then the disk is full.
    for (std::int64_t n = 2; n < 1000; ++n) {
      status = commit(store, key(n, 4000));
      if (status != StoreStatus::kOk) break;
      acknowledged = n;
    }
    EXPECT_EQ(status, StoreStatus::kFull);
    EXPECT_EQ(store.state(), StoreStatus::kFull);
    // Changes made meanwhile are kept, in their order.
    const std::size_t change = statement_at(store_schema().statements, "set_entry");
    for (std::int64_t n = 1; n <= 200; ++n) {
      const StoreBlob value{std::string(1000, 'v')};
      store.commit_until_written({{change, {n, StoreBlob{"key"}, std::int64_t{0}, value, {}}}},
                                 nullptr);
    }
    EXPECT_EQ(commit(store, {}), StoreStatus::kFull);
    fs::remove(ballast);
    // The store detects the free room by itself.
    while (store.state() != StoreStatus::kOk) std::this_thread::yield();
    EXPECT_EQ(commit(store, key(5000, 4000)), StoreStatus::kOk);
    store.close();
    StoreFile::Opened opened = StoreFile::open(data, StoreFile::Mode::kWrite);
    ASSERT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
    std::vector<StoreRow> rows;
    opened.file->select(opened.file->statement("keys"), {}, rows);
    EXPECT_EQ(rows.size(), static_cast<std::size_t>(acknowledged) + 1);
    rows.clear();
    opened.file->select(opened.file->statement("entries"), {std::int64_t{0}, std::int64_t{10}},
                        rows);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0][0], StoreValue(std::int64_t{200})) << "the last one";
  }
  ASSERT_EQ(::umount(disk.c_str()), 0);
}

TEST_F(SqliteStoreTest, ReportsToEachThreadItsOwnCommits) {
  constexpr int kThreads = 8;
  constexpr int kEach = 40;
  {
    SqliteStore store(open().file);
    std::vector<std::thread> threads;
    std::atomic<int> ok = 0;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          if (commit(store, entry(t * kEach + i)) == StoreStatus::kOk) ++ok;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(ok, kThreads * kEach);
  }
  EXPECT_EQ(numbers().size(), static_cast<std::size_t>(kThreads * kEach));
}

TEST_F(SqliteStoreTest, HasStatementsThatMatchItsSchema) {
  const StoreFile::Opened opened = open(store_schema());
  EXPECT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
}

}  // namespace
}  // namespace sluice
