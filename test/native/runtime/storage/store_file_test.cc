// The data file: versions, damage, locks, and files that were moved or cannot be opened.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <future>
#include <string>
#include <variant>
#include <vector>

#include "sqlite_store_fixture.h"

namespace sluice {
namespace {

class StoreFileTest : public SqliteStoreTest {};

TEST_F(StoreFileTest, UpgradesAnOlderFile) {
  {
    SqliteStore store(open(kFirstSchema).file);
    commit(store, entry(1, "old"));
  }
  StoreFile::Opened opened = open(kSecondSchema);
  ASSERT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
  std::vector<StoreRow> rows;
  ASSERT_EQ(opened.file->select(kAll, {}, rows), StoreStatus::kOk);
  EXPECT_EQ(rows, (std::vector<StoreRow>{{std::int64_t{1}, std::string("old"), std::monostate{}}}));
}

// All steps of an upgrade are one transaction: a failing step leaves the file unchanged.
TEST_F(StoreFileTest, UpgradesWhollyOrNotAtAll) {
  static constexpr const char* kBroken[] = {kOneTable[0], kTwoTables[1], "CREATE TABLE log (n)"};
  { EXPECT_EQ(open(kFirstSchema).status, StoreStatus::kOk); }
  const StoreSchema broken{kId, kBroken, kSqlOfTwo};
  EXPECT_NE(open(broken).status, StoreStatus::kOk);
  StoreFile::Opened opened = open(kFirstSchema);
  EXPECT_EQ(opened.status, StoreStatus::kOk) << "still of the first version: " << opened.detail;
}

TEST_F(StoreFileTest, NamesARowWithAWrongChecksum) {
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

TEST_F(StoreFileTest, LeavesAFileOfANewerVersionAlone) {
  { EXPECT_EQ(open(kSecondSchema).status, StoreStatus::kOk); }
  const std::string before = bytes();
  const StoreFile::Opened opened = open(kFirstSchema);
  EXPECT_EQ(opened.status, StoreStatus::kNewer);
  EXPECT_EQ(opened.detail, "it has version 2, this program knows up to 1");
  EXPECT_TRUE(bytes() == before);
}

TEST_F(StoreFileTest, LeavesFilesOfOtherProgramsAlone) {
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

TEST_F(StoreFileTest, ReportsDamageAndLeavesTheFileAlone) {
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

TEST_F(StoreFileTest, StopsWritingToAFileThatIsDamagedWhileItIsOpen) {
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

TEST_F(StoreFileTest, AllowsOneWriterAndManyReaders) {
  StoreFile::Opened first = open();
  ASSERT_EQ(first.status, StoreStatus::kOk);
  const StoreFile::Opened second = open();
  EXPECT_EQ(second.status, StoreStatus::kLocked);
  EXPECT_NE(second.detail.find(path()), std::string::npos);

  const StoreBatch batch = entry(1);
  ASSERT_EQ(first.file->write({&batch}), StoreStatus::kOk);
  const StoreFile::Opened reader = open(kFirstSchema, StoreFile::Mode::kRead);
  ASSERT_EQ(reader.status, StoreStatus::kOk) << reader.detail;
  std::vector<StoreRow> rows;
  EXPECT_EQ(reader.file->select(kAll, {}, rows), StoreStatus::kOk);
  EXPECT_EQ(rows.size(), 1u);

  first.file.reset();
  EXPECT_EQ(open().status, StoreStatus::kOk);
}

// The lock is on the file itself: it does not depend on files beside it or on the name used.
TEST_F(StoreFileTest, IsLockedItself) {
  StoreFile::Opened first = open();
  ASSERT_EQ(first.status, StoreStatus::kOk);
  for (const auto& each : fs::directory_iterator(folder_)) {
    EXPECT_EQ(each.path().string().find("-lock"), std::string::npos);
  }
  fs::create_hard_link(path(), folder_ / "link.db");
  EXPECT_EQ(
      StoreFile::open((folder_ / "link.db").string(), StoreFile::Mode::kWrite, kFirstSchema).status,
      StoreStatus::kLocked);
  // In another process, which does not have this process's list of open files.
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

class MovedFileTest : public StoreFileTest, public testing::WithParamInterface<const char*> {};

TEST_P(MovedFileTest, IsNotWrittenAnyMore) {
  const std::string change = GetParam();
  SqliteStore store(open().file);
  ASSERT_EQ(commit(store, entry(1)), StoreStatus::kOk);
  const fs::path away = folder_ / "away.db";
  if (change == "removed") {
    fs::remove(path());
  } else {
    fs::rename(path(), away);
  }
  if (change == "replaced") std::ofstream(path()) << "another file";
  EXPECT_EQ(commit(store, entry(2)), StoreStatus::kMoved);
  EXPECT_EQ(store.state(), StoreStatus::kMoved);
  EXPECT_EQ(store.room(), StoreStatus::kMoved);
  std::promise<StoreStatus> result;
  store.commit_until_written(entry(3), [&](StoreStatus status) { result.set_value(status); });
  EXPECT_EQ(result.get_future().get(), StoreStatus::kMoved);
  if (change == "replaced") {
    EXPECT_EQ(bytes(), "another file");
  }
  store.close();
  if (change == "removed") return;
  // Moved back, it contains all acknowledged rows.
  fs::rename(away, path());
  EXPECT_EQ(numbers(), (std::vector<std::int64_t>{1}));
}

INSTANTIATE_TEST_SUITE_P(Changes, MovedFileTest, testing::Values("renamed", "replaced", "removed"));

TEST_F(StoreFileTest, LeavesNothingOfDeletedRowsOnTheDisk) {
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
  std::promise<StoreStatus> result;
  StoreBatch batch{{statement_at(kSql, "drop most"), {}}};
  ASSERT_EQ(store.commit(
                std::move(batch), [&](StoreStatus s) { result.set_value(s); }, true),
            StoreStatus::kOk);
  EXPECT_EQ(result.get_future().get(), StoreStatus::kOk);
  EXPECT_FALSE(on_disk(secret));
  EXPECT_TRUE(on_disk("stays"));
  EXPECT_LT(size(), 100'000u) << "made smaller";
}

TEST_F(StoreFileTest, ReportsWhyAFileCannotBeCreated) {
  const auto opened = StoreFile::open((folder_ / "nowhere" / "data.db").string(),
                                      StoreFile::Mode::kWrite, kFirstSchema);
  EXPECT_EQ(opened.status, StoreStatus::kNoAccess);
  EXPECT_NE(opened.detail.find("No such file or directory"), std::string::npos);
  EXPECT_EQ(open(kFirstSchema, StoreFile::Mode::kRead).status, StoreStatus::kNoAccess);
}

}  // namespace
}  // namespace sluice
