// An open data file: checked, migrated, and locked against other writers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/storage/sqlite_handle.h"
#include "runtime/storage/store_lock.h"
#include "runtime/storage/store_schema.h"

namespace sluice {

/// A change: the index of a statement of the schema, and the values to bind.
struct StoreWrite {
  std::size_t statement;
  std::vector<StoreValue> values;
};

/// Changes that are applied in one transaction.
using StoreBatch = std::vector<StoreWrite>;

/// An open data file.
///
/// One thread at a time may use it; SqliteStore passes it to its writer thread. While a StoreFile
/// exists, an flock on the file excludes other processes, and a list of the files open in this
/// process excludes its other stores. The kernel releases the flock however the process ends.
/// SQLite's POSIX locks do not replace it: they do not exclude within a process, and closing any
/// descriptor of the file releases them. Therefore no second descriptor is opened next to a store
/// of this process.
///
/// A file of another program, of a newer version, or damaged is left unchanged. So is one that was
/// renamed, removed or replaced while open; each transaction checks for that. The destructor
/// checkpoints the log into the file and removes the log.
class StoreFile {
 public:
  enum class Mode : std::uint8_t {
    kWrite,  // exclusive; the file is created if it is missing
    kRead,   // next to a writer; all queries see the state at the first one
  };

  struct Opened {
    StoreStatus status = StoreStatus::kOk;
    std::string detail;               // the error message of SQLite or the system
    std::unique_ptr<StoreFile> file;  // only with kOk
  };

  /// @param path absolute
  static Opened open(const std::string& path, Mode mode,
                     const StoreSchema& schema = store_schema());

  StoreFile(const StoreFile&) = delete;
  StoreFile& operator=(const StoreFile&) = delete;
  ~StoreFile();

  /// Applies the changes in one transaction and syncs it to the disk. With any status but kOk no
  /// change was applied. An unknown statement is kRefused. kMoved is permanent.
  StoreStatus write(const std::vector<const StoreBatch*>& batches);

  /// Runs a query of the schema. Returns kOk, or the error that ended the reading.
  StoreStatus select(std::size_t statement, const StoreRow& values, std::vector<StoreRow>& rows);

  /// The index of a statement; the number of statements for an unknown name.
  [[nodiscard]] std::size_t statement(std::string_view name) const {
    return statement_at(schema_.statements, name);
  }

  /// Erases deleted rows from the disk: truncates the log, and shrinks the file when a quarter of
  /// it is free. Returns false when a reader blocks this; try again.
  bool scrub();

  /// Limits the file to this many pages, for tests; beyond that the disk counts as full.
  void limit_pages(std::int64_t pages);

 private:
  StoreFile(const StoreSchema& schema, std::unique_ptr<StoreLock> lock, SqliteConnection connection)
      : schema_(schema), lock_(std::move(lock)), connection_(std::move(connection)) {}

  StoreStatus check_sums(std::string& detail);
  void keep_log();
  StoreStatus check(Mode mode, std::string& detail);
  StoreStatus migrate(std::int64_t version, std::string& detail);
  StoreStatus prepare_all();

  const StoreSchema& schema_;
  std::unique_ptr<StoreLock> lock_;  // with Mode::kWrite; released last
  SqliteConnection connection_;
  std::vector<SqliteStatement> statements_;
};

}  // namespace sluice
