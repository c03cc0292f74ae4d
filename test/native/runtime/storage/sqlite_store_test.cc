// The store over real files in a folder of its own: commits, recovery, and every way a file or a
// disk may refuse.
#include "runtime/storage/sqlite_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

namespace sluice {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* kOneTable[] = {
    "CREATE TABLE log (n INTEGER PRIMARY KEY, text TEXT NOT NULL)"};
constexpr const char* kTwoTables[] = {kOneTable[0], "ALTER TABLE log ADD COLUMN more INTEGER"};
constexpr std::int32_t kId = 77;
constexpr StoreSql kSql[] = {
    {"add", "INSERT INTO log (n, text) VALUES (?, ?)"},
    {"all", "SELECT n, text FROM log ORDER BY n"},
    {"probe", "INSERT INTO log (n, text) VALUES (-1, 'probe')"},
    {"unprobe", "DELETE FROM log WHERE n = -1"},
    {"clear", "DELETE FROM log"},
    {"drop most", "DELETE FROM log WHERE n < 1000"},
};
constexpr StoreSql kSqlOfTwo[] = {
    kSql[0],
    {"all", "SELECT n, text, more FROM log ORDER BY n"},
    kSql[2],
    kSql[3],
};
constexpr StoreSchema kFirst{kId, kOneTable, kSql};
constexpr StoreSchema kSecond{kId, kTwoTables, kSqlOfTwo};
constexpr std::size_t kAdd = statement_at(kSql, "add");
constexpr std::size_t kClear = statement_at(kSql, "clear");
constexpr std::size_t kAll = statement_at(kSql, "all");

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    std::string name = (fs::temp_directory_path() / "sluice-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~SqliteStoreTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return (folder_ / "data.db").string(); }

  [[nodiscard]] StoreFile::Opened open(const StoreSchema& schema = kFirst,
                                       StoreFile::Mode mode = StoreFile::Mode::kWrite) const {
    return StoreFile::open(path(), mode, schema);
  }

  static StoreBatch entry(std::int64_t n, std::string text = "text") {
    return {{kAdd, {n, std::move(text)}}};
  }

  // Commits and waits until it is told.
  static StoreStatus commit(SqliteStore& store, StoreBatch batch) {
    auto told = std::make_shared<std::promise<StoreStatus>>();
    const StoreStatus taken =
        store.commit(std::move(batch), [told](StoreStatus status) { told->set_value(status); });
    return taken == StoreStatus::kOk ? told->get_future().get() : taken;
  }

  [[nodiscard]] std::vector<std::int64_t> numbers() const {
    StoreFile::Opened opened = open();
    EXPECT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
    std::vector<StoreRow> rows;
    if (opened.file) {
      EXPECT_EQ(opened.file->select(kAll, {}, rows), StoreStatus::kOk);
    }
    std::vector<std::int64_t> numbers;
    for (const StoreRow& row : rows) numbers.push_back(std::get<std::int64_t>(row[0]));
    return numbers;
  }

  [[nodiscard]] std::string bytes() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void overwrite(std::size_t from, const std::string& with) const {
    std::fstream out(path(), std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(from));
    out << with;
  }

  fs::path folder_;
};

TEST_F(SqliteStoreTest, KeepsWhatWasCommittedInTheOrderGiven) {
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

TEST_F(SqliteStoreTest, CommitsInOneTransactionWhatQueuedUpMeanwhile) {
  SqliteStore store(open().file);
  // The thread is held up in the first one's call while the others queue up.
  std::promise<void> held;
  std::promise<void> queued;
  ASSERT_EQ(store.commit(entry(1),
                         [&](StoreStatus) {
                           held.set_value();
                           queued.get_future().wait();
                         }),
            StoreStatus::kOk);
  held.get_future().wait();
  std::promise<void> all;
  std::vector<std::int64_t> told;  // the store's thread alone, until `all`
  for (std::int64_t n = 2; n <= 100; ++n) {
    ASSERT_EQ(store.commit(entry(n),
                           [&, n](StoreStatus status) {
                             EXPECT_EQ(status, StoreStatus::kOk);
                             told.push_back(n);
                             if (n == 100) all.set_value();
                           }),
              StoreStatus::kOk);
  }
  queued.set_value();
  all.get_future().wait();
  EXPECT_EQ(told.size(), 99u);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(store.stats().commits, 2u);
  EXPECT_EQ(store.stats().batches, 100u);
}

TEST_F(SqliteStoreTest, FailsOnlyTheBatchThatBreaksARule) {
  {
    SqliteStore store(open().file);
    EXPECT_EQ(commit(store, entry(1)), StoreStatus::kOk);
    std::promise<void> held;
    std::promise<void> queued;
    store.commit(entry(2), [&](StoreStatus) {
      held.set_value();
      queued.get_future().wait();
    });
    held.get_future().wait();
    std::array<std::promise<StoreStatus>, 3> told;
    const auto into = [&told](std::size_t i) {
      return [&told, i](StoreStatus status) { told[i].set_value(status); };
    };
    store.commit(entry(3), into(0));
    // All or nothing: 5 is not there either.
    store.commit({{kAdd, {std::int64_t{5}, "five"}}, {kAdd, {std::int64_t{1}, "again"}}}, into(1));
    store.commit(entry(4), into(2));
    queued.set_value();
    EXPECT_EQ(told[0].get_future().get(), StoreStatus::kOk);
    EXPECT_EQ(told[1].get_future().get(), StoreStatus::kRefused);
    EXPECT_EQ(told[2].get_future().get(), StoreStatus::kOk);
    EXPECT_EQ(store.state(), StoreStatus::kOk);
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(SqliteStoreTest, RefusesWhatItsQueueHasNoRoomFor) {
  SqliteStore store(open().file, {.batches_max = 2, .bytes_max = 1000});
  std::promise<void> held;
  std::promise<void> release;
  store.commit(entry(1), [&](StoreStatus) {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  const auto ignore = [](StoreStatus) {};
  EXPECT_EQ(store.commit(entry(2), ignore), StoreStatus::kOk);
  EXPECT_EQ(store.commit(entry(3, std::string(2000, 'x')), ignore), StoreStatus::kBusy);
  EXPECT_EQ(store.commit(entry(4), ignore), StoreStatus::kOk);
  EXPECT_EQ(store.commit(entry(5), ignore), StoreStatus::kBusy);
  release.set_value();
  store.close();
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 4}));
}

TEST_F(SqliteStoreTest, WritesWhatIsQueuedWhenItClosesAndThenTakesNothing) {
  std::atomic<int> told = 0;
  SqliteStore store(open().file);
  for (std::int64_t n = 1; n <= 50; ++n) store.commit(entry(n), [&](StoreStatus) { ++told; });
  store.close();
  EXPECT_EQ(told, 50);
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

TEST_F(SqliteStoreTest, KeepsWhatItAcknowledgedWhenItsProcessIsKilled) {
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
    EXPECT_LE(recovered, acknowledged + 1);  // on the disk, and killed before it could say so
  }
}

TEST_F(SqliteStoreTest, BringsAnOlderFileUpToDate) {
  {
    SqliteStore store(open(kFirst).file);
    commit(store, entry(1, "old"));
  }
  StoreFile::Opened opened = open(kSecond);
  ASSERT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
  std::vector<StoreRow> rows;
  ASSERT_EQ(opened.file->select(kAll, {}, rows), StoreStatus::kOk);
  EXPECT_EQ(rows, (std::vector<StoreRow>{{std::int64_t{1}, std::string("old"), std::monostate{}}}));
}

// From any version in one transaction: what fails on the way leaves the file as it was.
TEST_F(SqliteStoreTest, IsBroughtUpToDateWhollyOrNotAtAll) {
  static constexpr const char* kBroken[] = {kOneTable[0], kTwoTables[1], "CREATE TABLE log (n)"};
  { EXPECT_EQ(open(kFirst).status, StoreStatus::kOk); }
  const StoreSchema broken{kId, kBroken, kSqlOfTwo};
  EXPECT_NE(open(broken).status, StoreStatus::kOk);
  StoreFile::Opened opened = open(kFirst);
  EXPECT_EQ(opened.status, StoreStatus::kOk) << "still of the first version: " << opened.detail;
}

TEST_F(SqliteStoreTest, NamesARowThatIsNotAsItWasWritten) {
  static constexpr const char* kSummed[] = {
      "CREATE TABLE log (n INTEGER PRIMARY KEY, text TEXT NOT NULL, checksum INTEGER NOT NULL)"};
  static constexpr StoreSql kSqlOfSummed[] = {
      {"add", "INSERT INTO log VALUES (?1, ?2, row_sum(?1, ?2))"},
      kSql[1],
      {"probe", "DELETE FROM log WHERE n = -1"},
      {"unprobe", "DELETE FROM log WHERE n = -1"},
  };
  static constexpr StoreSql kChecks[] = {
      {"log", "SELECT 'row ' || n FROM log WHERE checksum <> row_sum(n, text)"}};
  const StoreSchema summed{kId, kSummed, kSqlOfSummed, kChecks};
  {
    SqliteStore store(open(summed).file);
    commit(store, entry(1, "first text"));
    commit(store, entry(2, "second text"));
  }
  EXPECT_EQ(open(summed).status, StoreStatus::kOk);
  const std::size_t at = bytes().find("second text");
  ASSERT_NE(at, std::string::npos);
  overwrite(at, "S");
  const std::string before = bytes();
  for (const auto mode : {StoreFile::Mode::kRead, StoreFile::Mode::kWrite}) {
    const StoreFile::Opened opened = open(summed, mode);
    EXPECT_EQ(opened.status, StoreStatus::kCorrupt);
    EXPECT_EQ(opened.detail, "row 2: its checksum does not fit");
  }
  EXPECT_TRUE(bytes() == before);
}

TEST_F(SqliteStoreTest, LeavesAFileOfANewerVersionAlone) {
  { EXPECT_EQ(open(kSecond).status, StoreStatus::kOk); }
  const std::string before = bytes();
  const StoreFile::Opened opened = open(kFirst);
  EXPECT_EQ(opened.status, StoreStatus::kNewer);
  EXPECT_EQ(opened.detail, "it has version 2, this program knows up to 1");
  EXPECT_TRUE(bytes() == before);
}

TEST_F(SqliteStoreTest, LeavesFilesOfOthersAlone) {
  const StoreSchema other{kId + 1, kOneTable, kSql};
  { EXPECT_EQ(open(other).status, StoreStatus::kOk); }
  std::string before = bytes();
  EXPECT_EQ(open().status, StoreStatus::kNotOurs);
  EXPECT_TRUE(bytes() == before);

  fs::remove(path());
  std::ofstream(path()) << std::string(5000, 'x');
  before = bytes();
  EXPECT_EQ(open().status, StoreStatus::kNotOurs);
  EXPECT_TRUE(bytes() == before);
}

TEST_F(SqliteStoreTest, ReportsDamageAndLeavesTheFileAlone) {
  {
    SqliteStore store(open().file);
    for (std::int64_t n = 1; n <= 200; ++n) commit(store, entry(n, std::string(100, 'x')));
  }
  // A page in the middle of the table (pages have 4096 bytes; the first holds the schema).
  overwrite(3 * 4096, std::string(4096, '\x5a'));
  const std::string before = bytes();
  const StoreFile::Opened opened = open();
  EXPECT_EQ(opened.status, StoreStatus::kCorrupt);
  EXPECT_NE(opened.detail, "");
  EXPECT_TRUE(bytes() == before);
}

TEST_F(SqliteStoreTest, StopsWritingToAFileThatIsDamagedWhileItIsOpen) {
  // More than SQLite keeps in memory, so that it has to read the file again.
  StoreFile::Opened opened = open();
  for (std::int64_t n = 1; n <= 300; ++n) {
    const StoreBatch batch = entry(n, std::string(20'000, 'x'));
    ASSERT_EQ(opened.file->write({&batch}), StoreStatus::kOk);
  }
  opened.file.reset();
  opened = open();
  overwrite(4096, std::string(bytes().size() - 4096, '\x5a'));
  const std::string before = bytes();
  SqliteStore store(std::move(opened.file));
  EXPECT_EQ(commit(store, {{kClear, {}}}), StoreStatus::kCorrupt);
  EXPECT_EQ(store.state(), StoreStatus::kCorrupt);
  EXPECT_EQ(commit(store, entry(1000)), StoreStatus::kCorrupt);
  store.close();
  EXPECT_TRUE(bytes() == before);
}

TEST_F(SqliteStoreTest, HasItsFileToItselfButForReaders) {
  StoreFile::Opened first = open();
  ASSERT_EQ(first.status, StoreStatus::kOk);
  const StoreFile::Opened second = open();
  EXPECT_EQ(second.status, StoreStatus::kLocked);
  EXPECT_NE(second.detail.find(path()), std::string::npos);

  const StoreBatch batch = entry(1);
  ASSERT_EQ(first.file->write({&batch}), StoreStatus::kOk);
  const StoreFile::Opened reader = open(kFirst, StoreFile::Mode::kRead);
  ASSERT_EQ(reader.status, StoreStatus::kOk) << reader.detail;
  std::vector<StoreRow> rows;
  EXPECT_EQ(reader.file->select(kAll, {}, rows), StoreStatus::kOk);
  EXPECT_EQ(rows.size(), 1u);

  first.file.reset();
  EXPECT_EQ(open().status, StoreStatus::kOk);
}

// Whatever lies beside it is deleted, and whichever name leads to it.
TEST_F(SqliteStoreTest, IsLockedItself) {
  StoreFile::Opened first = open();
  ASSERT_EQ(first.status, StoreStatus::kOk);
  for (const auto& each : fs::directory_iterator(folder_)) {
    EXPECT_EQ(each.path().string().find("-lock"), std::string::npos);
  }
  fs::create_hard_link(path(), folder_ / "link.db");
  EXPECT_EQ(StoreFile::open((folder_ / "link.db").string(), StoreFile::Mode::kWrite, kFirst).status,
            StoreStatus::kLocked);
  // In another process, of which the list of this one says nothing.
  const pid_t other = ::fork();
  if (other == 0) {
    const int fd = ::open(path().c_str(), O_RDWR | O_CLOEXEC);
    const bool locked = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ::_exit(locked ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(status, 0);
}

class MovedFileTest : public SqliteStoreTest, public testing::WithParamInterface<const char*> {};

TEST_P(MovedFileTest, IsWrittenNoMore) {
  const std::string how = GetParam();
  SqliteStore store(open().file);
  ASSERT_EQ(commit(store, entry(1)), StoreStatus::kOk);
  const fs::path away = folder_ / "away.db";
  if (how == "removed") {
    fs::remove(path());
  } else {
    fs::rename(path(), away);
  }
  if (how == "replaced") std::ofstream(path()) << "another file";
  EXPECT_EQ(commit(store, entry(2)), StoreStatus::kMoved);
  EXPECT_EQ(store.state(), StoreStatus::kMoved);
  EXPECT_EQ(store.room(), StoreStatus::kMoved);
  std::promise<StoreStatus> told;
  store.commit_until_written(entry(3), [&](StoreStatus status) { told.set_value(status); });
  EXPECT_EQ(told.get_future().get(), StoreStatus::kMoved);
  if (how == "replaced") {
    EXPECT_EQ(bytes(), "another file");
  }
  store.close();
  if (how == "removed") return;
  // Put back, it has all that was acknowledged.
  fs::rename(away, path());
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1}));
}

INSTANTIATE_TEST_SUITE_P(Ways, MovedFileTest, testing::Values("renamed", "replaced", "removed"));

TEST_F(SqliteStoreTest, LeavesNothingOfDeletedRowsOnTheDisk) {
  const std::string secret = "a secret that is erased";
  SqliteStore store(open().file);
  for (std::int64_t n = 1; n <= 200; ++n) commit(store, entry(n, secret + std::string(4000, '.')));
  commit(store, entry(1000, "stays"));
  const auto on_disk = [&](const std::string& text) {
    for (const auto& each : fs::directory_iterator(folder_)) {
      std::ifstream in(each.path(), std::ios::binary);
      const std::string all{std::istreambuf_iterator<char>(in), {}};
      if (all.find(text) != std::string::npos) return true;
    }
    return false;
  };
  ASSERT_TRUE(on_disk(secret));
  const auto size = [&] { return fs::file_size(path()); };
  std::promise<StoreStatus> told;
  StoreBatch batch{{statement_at(kSql, "drop most"), {}}};
  ASSERT_EQ(store.commit(
                std::move(batch), [&](StoreStatus s) { told.set_value(s); }, true),
            StoreStatus::kOk);
  EXPECT_EQ(told.get_future().get(), StoreStatus::kOk);
  EXPECT_FALSE(on_disk(secret));
  EXPECT_TRUE(on_disk("stays"));
  EXPECT_LT(size(), 100'000u) << "made smaller";
}

TEST_F(SqliteStoreTest, SaysWhyAFileCannotBeMade) {
  const auto opened =
      StoreFile::open((folder_ / "nowhere" / "data.db").string(), StoreFile::Mode::kWrite, kFirst);
  EXPECT_EQ(opened.status, StoreStatus::kNoAccess);
  EXPECT_NE(opened.detail.find("No such file or directory"), std::string::npos);
  EXPECT_EQ(open(kFirst, StoreFile::Mode::kRead).status, StoreStatus::kNoAccess);
}

TEST_F(SqliteStoreTest, FailsWhatTheFileHasNoRoomForAndGoesOn) {
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
  // Has room for a few small entries alone.
  [[nodiscard]] std::unique_ptr<StoreFile> small_file(std::int64_t pages = 8) const {
    StoreFile::Opened opened = open();
    opened.file->limit_pages(pages);
    return std::move(opened.file);
  }

  // `n` such that the file's rows tell in which order they were written.
  static StoreBatch append(std::int64_t n, std::size_t size = 10) {
    return entry(n, std::string(size, 'x'));
  }
};

TEST_F(UntilWrittenTest, IsWrittenInOrderWithAllElse) {
  std::atomic<int> told = 0;
  {
    SqliteStore store(open().file);
    store.commit_until_written(append(1), [&](StoreStatus status) {
      EXPECT_EQ(status, StoreStatus::kOk);
      ++told;
    });
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, {}), StoreStatus::kOk) << "a barrier";
    EXPECT_EQ(told, 1);
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2}));
}

TEST_F(UntilWrittenTest, WaitsForRoomWhileAllElseIsTold) {
  {
    SqliteStore store(small_file(), {.retry_interval = 1ms});
    std::promise<StoreStatus> written;
    store.commit_until_written(append(1, 100'000),
                               [&](StoreStatus status) { written.set_value(status); });
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, entry(3)), StoreStatus::kFull) << "not ahead of the others";
    EXPECT_EQ(commit(store, {}), StoreStatus::kFull) << "a barrier is behind what is not written";
    EXPECT_EQ(store.state(), StoreStatus::kFull);
    EXPECT_EQ(store.room(), StoreStatus::kFull);
    store.commit_until_written(append(4), nullptr);
    std::future<StoreStatus> told = written.get_future();
    EXPECT_EQ(told.wait_for(20ms), std::future_status::timeout);
    store.close();
    EXPECT_EQ(told.get(), StoreStatus::kClosed) << "there never was room";
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{}));
}

TEST_F(UntilWrittenTest, AsksForRoomByTheLengthOfTheQueue) {
  SqliteStore store(open().file, {.batches_max = 2});
  std::promise<void> held;
  std::promise<void> release;
  store.commit(entry(1), [&](StoreStatus) {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  EXPECT_EQ(store.room(), StoreStatus::kOk);
  for (std::int64_t n = 2; n <= 4; ++n) store.commit_until_written(append(n), nullptr);
  EXPECT_EQ(store.stats().queued, 3u);
  EXPECT_EQ(store.room(), StoreStatus::kBusy);
  EXPECT_EQ(store.commit(entry(5), [](StoreStatus) {}), StoreStatus::kBusy);
  release.set_value();
  store.close();
  EXPECT_EQ(store.room(), StoreStatus::kClosed);
  StoreStatus after = StoreStatus::kOk;
  store.commit_until_written(append(6), [&](StoreStatus status) { after = status; });
  EXPECT_EQ(after, StoreStatus::kClosed);
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

// What cannot be written at all must not be skipped: the file would differ from the memory, and
// nobody would know.
TEST_F(UntilWrittenTest, NothingGoesAheadOfWhatBreaksARule) {
  {
    SqliteStore store(open().file, {.retry_interval = 1ms});
    EXPECT_EQ(commit(store, entry(1)), StoreStatus::kOk);
    store.commit_until_written(append(1), nullptr);
    store.commit_until_written(append(2), nullptr);
    EXPECT_EQ(commit(store, entry(3)), StoreStatus::kFailed);
    // Nor does it look as if there were room while it is tried again.
    const auto end = std::chrono::steady_clock::now() + 20ms;
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_EQ(store.room(), StoreStatus::kFailed);
    }
  }
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1}));
}

// A disk that is full, and has room again later.
TEST_F(SqliteStoreTest, LivesThroughAFullDisk) {
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
    // What the log has room for still is taken; then it is full.
    for (std::int64_t n = 2; n < 1000; ++n) {
      status = commit(store, key(n, 4000));
      if (status != StoreStatus::kOk) break;
      acknowledged = n;
    }
    EXPECT_EQ(status, StoreStatus::kFull);
    EXPECT_EQ(store.state(), StoreStatus::kFull);
    // What was decided meanwhile is not lost, nor put in another order.
    const std::size_t change = statement_at(store_schema().statements, "set_entry");
    for (std::int64_t n = 1; n <= 200; ++n) {
      const StoreBlob value{std::string(1000, 'v')};
      store.commit_until_written({{change, {n, StoreBlob{"key"}, std::int64_t{0}, value, {}}}},
                                 nullptr);
    }
    EXPECT_EQ(commit(store, {}), StoreStatus::kFull);
    fs::remove(ballast);
    // It notices by itself.
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

TEST_F(SqliteStoreTest, TellsManyThreadsOfTheirOwnCommits) {
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

TEST_F(SqliteStoreTest, HasStatementsThatFitItsSchema) {
  const StoreFile::Opened opened = open(store_schema());
  EXPECT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
}

}  // namespace
}  // namespace sluice
