// RAII owners for SQLite's C API, and the mapping of its result codes to StoreStatus.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice {

/// The result of an operation on a store.
enum class StoreStatus : std::uint8_t {
  kOk,
  kFull,      // no space left on the disk: nothing was written, a later try may succeed
  kFailed,    // I/O error, or locked by another program: nothing was written, as above
  kCorrupt,   // the file is damaged; the store writes no more
  kRefused,   // this change violates a constraint of its table; only this one was not written
  kBusy,      // the write queue is full
  kClosed,    // the store is closed
  kLocked,    // another process, or another store of this process, has the file open
  kNotOurs,   // the file was not created by this program
  kNewer,     // a later version wrote the file
  kNoAccess,  // the file cannot be opened or created
  kMoved,     // the file was renamed, removed or replaced; the store writes no more
};

/// The name of a status in JavaScript: "ok", "full", "failed", ...
const char* name_of(StoreStatus status);

/// A BLOB value.
struct StoreBlob {
  std::string bytes;
  bool operator==(const StoreBlob&) const = default;
};

/// A column: NULL, an integer, UTF-8 text, bytes.
using StoreValue = std::variant<std::monostate, std::int64_t, std::string, StoreBlob>;
using StoreRow = std::vector<StoreValue>;

/// A number as SQLite stores it, in two's complement.
inline StoreValue store_number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

struct SqliteCloser {
  void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};
struct SqliteFinalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
/// A connection. One thread at a time may use it; it may pass from thread to thread. SQLite is
/// linked statically with hidden symbols, because Node may export its own copy.
using SqliteConnection = std::unique_ptr<sqlite3, SqliteCloser>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteFinalizer>;

/// The status for a result code of the last call on this connection.
StoreStatus status_of(sqlite3* connection, int code);

/// Adds the SQL function `row_sum(column, ...)` to a connection: a checksum of values and their
/// types. Returns SQLite's result code.
int add_row_sum(sqlite3* connection);

/// Runs SQL that returns no rows. Returns SQLite's result code.
int execute(sqlite3* connection, const char* sql);

/// Prepares a statement for repeated use; nullptr when the SQL does not match the tables.
SqliteStatement prepare(sqlite3* connection, std::string_view sql);

/// Binds `values` and runs a statement to its end. Returns SQLITE_DONE or an error code.
/// @param rows receives the result rows; nullptr: they are discarded
int run(sqlite3_stmt* statement, const std::vector<StoreValue>& values,
        std::vector<StoreRow>* rows);

/// Runs a query and returns the first column of its first row, or `fallback`.
std::int64_t integer_of(sqlite3* connection, const char* sql, std::int64_t fallback);

}  // namespace sluice
