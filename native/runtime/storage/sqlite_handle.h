// SQLite's C API with owners: a connection, its statements, and what an error means to a store.
//
// The library is linked statically with its symbols hidden, because Node may bring one of its own.
// A connection is used by one thread at a time; it may be handed from one to another. Ends with
// its owner.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice {

/// How an operation of a store went.
enum class StoreStatus : std::uint8_t {
  kOk,
  kFull,      // no space left on the disk: nothing was written, a later try may succeed
  kFailed,    // the disk or another program is in the way: nothing was written, as above
  kCorrupt,   // the file is damaged: nothing is written to it any more
  kRefused,   // this change broke a rule of its table; it alone was not written
  kBusy,      // too much is waiting to be written
  kClosed,    // the store is closed
  kLocked,    // another process, or another store of this one, has the file
  kNotOurs,   // the file is something else
  kNewer,     // a later version wrote it
  kNoAccess,  // it cannot be opened or created
  kMoved,     // another file, or none, has its name now: nothing is written any more
};

/// A status as JavaScript knows it: "ok", "full", "failed", ...
const char* name_of(StoreStatus status);

/// Bytes that are no text.
struct StoreBlob {
  std::string bytes;
  bool operator==(const StoreBlob&) const = default;
};

/// A column: NULL, an integer, UTF-8 text, bytes.
using StoreValue = std::variant<std::monostate, std::int64_t, std::string, StoreBlob>;
using StoreRow = std::vector<StoreValue>;

struct SqliteCloser {
  void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};
struct SqliteFinalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteConnection = std::unique_ptr<sqlite3, SqliteCloser>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteFinalizer>;

/// What a result code of the last call on this connection comes to.
StoreStatus status_of(sqlite3* connection, int code);

/// Gives a connection the SQL function `row_sum(column, ...)`: a checksum of values and their
/// types, for the column that keeps it. SQLite's result code.
int add_row_sum(sqlite3* connection);

/// Runs SQL without results. SQLite's result code.
int execute(sqlite3* connection, const char* sql);

/// A statement to be run many times; nullptr when the SQL does not fit the file.
SqliteStatement prepare(sqlite3* connection, std::string_view sql);

/// Runs a statement to its end with these values. SQLITE_DONE, or the code of what went wrong.
/// @param rows where its rows go; nullptr drops them
int run(sqlite3_stmt* statement, const std::vector<StoreValue>& values,
        std::vector<StoreRow>* rows);

/// The first column of a statement's first row as an integer, or `fallback`.
std::int64_t integer_of(sqlite3* connection, const char* sql, std::int64_t fallback);

}  // namespace sluice
