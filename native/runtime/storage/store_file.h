// A data file: opened, checked, brought up to date, and locked against everybody else.
//
// Used by one thread at a time; SqliteStore hands it to the one that writes. While a StoreFile
// lives, an flock on the file keeps other processes away, and a list of the files that this process
// has open keeps its other stores away; the kernel lets go of the lock however the process ends.
// (SQLite's own locks are POSIX locks. Those exclude nobody within a process, and they fall when
// any descriptor of the file is closed: so none is opened beside a store of this process.)
//
// A file that is not ours, is newer, or is damaged is left exactly as it is. So is one that was
// renamed, removed or replaced while it was open: that is looked for with each transaction. Ends
// with its destruction: what the log holds is then moved into the file, and the log removed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/storage/sqlite_handle.h"
#include "runtime/storage/store_lock.h"
#include "runtime/storage/store_schema.h"

namespace sluice {

/// A change: a statement of the schema and its values.
struct StoreWrite {
  std::size_t statement;
  std::vector<StoreValue> values;
};

/// Changes that are made together or not at all.
using StoreBatch = std::vector<StoreWrite>;

class StoreFile {
 public:
  enum class Mode : std::uint8_t {
    kWrite,  // ours alone; made when it is not there
    kRead,   // beside its writer, as it is at the first query
  };

  struct Opened {
    StoreStatus status = StoreStatus::kOk;
    std::string detail;               // what SQLite or the system says of it, for people
    std::unique_ptr<StoreFile> file;  // only when it is kOk
  };

  /// @param path absolute
  static Opened open(const std::string& path, Mode mode,
                     const StoreSchema& schema = store_schema());

  StoreFile(const StoreFile&) = delete;
  StoreFile& operator=(const StoreFile&) = delete;
  ~StoreFile();

  /// Makes the changes in one transaction and has it on the disk before it returns. Anything but
  /// kOk: none of them was made. A statement that the schema does not have is kRefused; kMoved
  /// stays.
  StoreStatus write(const std::vector<const StoreBatch*>& batches);

  /// The rows of a query of the schema; kOk, or why they could not be read to their end.
  StoreStatus select(std::size_t statement, const StoreRow& values, std::vector<StoreRow>& rows);

  /// The place of a statement, or the number of statements for an unknown name.
  [[nodiscard]] std::size_t statement(std::string_view name) const {
    return statement_at(schema_.statements, name);
  }

  /// Leaves nothing of deleted rows on the disk: empties the log, and makes the file smaller where
  /// a quarter of it is free. False: a reader is in the way; try again.
  bool scrub();

  /// Caps the file, for tests: beyond this many pages it is as if the disk were full.
  void limit_pages(std::int64_t pages);

 private:
  StoreFile(const StoreSchema& schema, std::unique_ptr<StoreLock> lock, SqliteConnection connection)
      : schema_(schema), lock_(std::move(lock)), connection_(std::move(connection)) {}

  StoreStatus check_sums(std::string& detail);
  void keep_log();
  StoreStatus check(Mode mode, std::string& detail);
  StoreStatus migrate(std::int64_t version);
  StoreStatus prepare_all();

  const StoreSchema& schema_;
  std::unique_ptr<StoreLock> lock_;  // of a file to write; let go of last
  SqliteConnection connection_;
  std::vector<SqliteStatement> statements_;
};

}  // namespace sluice
