// A data file of two schema versions in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/storage/sqlite_store.h"

namespace sluice {

namespace fs = std::filesystem;

inline constexpr const char* kOneTable[] = {
    "CREATE TABLE log (n INTEGER PRIMARY KEY, text TEXT NOT NULL)"};
inline constexpr const char* kTwoTables[] = {kOneTable[0],
                                             "ALTER TABLE log ADD COLUMN more INTEGER"};
inline constexpr std::int32_t kId = 77;
inline constexpr StoreSql kSql[] = {
    {"add", "INSERT INTO log (n, text) VALUES (?, ?)"},
    {"all", "SELECT n, text FROM log ORDER BY n"},
    {"probe", "INSERT INTO log (n, text) VALUES (-1, 'probe')"},
    {"unprobe", "DELETE FROM log WHERE n = -1"},
    {"clear", "DELETE FROM log"},
    {"drop most", "DELETE FROM log WHERE n < 1000"},
};
inline constexpr StoreSql kSqlOfTwo[] = {
    kSql[0],
    {"all", "SELECT n, text, more FROM log ORDER BY n"},
    kSql[2],
    kSql[3],
};
inline constexpr StoreSchema kFirstSchema{kId, kOneTable, kSql};
inline constexpr StoreSchema kSecondSchema{kId, kTwoTables, kSqlOfTwo};
inline constexpr std::size_t kAdd = statement_at(kSql, "add");
inline constexpr std::size_t kClear = statement_at(kSql, "clear");
inline constexpr std::size_t kAll = statement_at(kSql, "all");

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    std::string name = (fs::temp_directory_path() / "sluice-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~SqliteStoreTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return (folder_ / "data.db").string(); }

  [[nodiscard]] StoreFile::Opened open(const StoreSchema& schema = kFirstSchema,
                                       StoreFile::Mode mode = StoreFile::Mode::kWrite) const {
    return StoreFile::open(path(), mode, schema);
  }

  static StoreBatch entry(std::int64_t n, std::string text = "text") {
    return {{kAdd, {n, std::move(text)}}};
  }

  // Commits a batch and waits for its status.
  static StoreStatus commit(SqliteStore& store, StoreBatch batch) {
    auto result = std::make_shared<std::promise<StoreStatus>>();
    const StoreStatus taken =
        store.commit(std::move(batch), [result](StoreStatus status) { result->set_value(status); });
    return taken == StoreStatus::kOk ? result->get_future().get() : taken;
  }

  // Blocks the thread of a store in the callback of a batch, so that further batches queue up.
  class Blocker {
   public:
    Blocker(SqliteStore& store, StoreBatch batch) {
      EXPECT_EQ(store.commit(std::move(batch),
                             [this](StoreStatus) {
                               blocked_.set_value();
                               released_.get_future().wait();
                             }),
                StoreStatus::kOk);
      blocked_.get_future().wait();
    }
    void release() { released_.set_value(); }

   private:
    std::promise<void> blocked_;
    std::promise<void> released_;
  };

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

}  // namespace sluice
