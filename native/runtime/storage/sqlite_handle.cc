#include "runtime/storage/sqlite_handle.h"

#include <cerrno>
#include <utility>

#include "core/base/siphash.h"

namespace sluice {

namespace {

void bind(sqlite3_stmt* statement, int index, const StoreValue& value) {
  // The values outlive the step, so nothing is copied.
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, index, *number);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  } else if (const auto* blob = std::get_if<StoreBlob>(&value)) {
    // A null pointer would be NULL, and an empty string's data need not be one.
    const char* const bytes = blob->bytes.empty() ? "" : blob->bytes.data();
    sqlite3_bind_blob64(statement, index, bytes, blob->bytes.size(), SQLITE_STATIC);
  } else {
    sqlite3_bind_null(statement, index);
  }
}

std::string bytes_of(const void* data, int length) {
  return length == 0
             ? std::string()
             : std::string(static_cast<const char*>(data), static_cast<std::size_t>(length));
}

StoreValue column(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, index);
    case SQLITE_TEXT: {
      const void* const data = sqlite3_column_text(statement, index);
      return bytes_of(data, sqlite3_column_bytes(statement, index));
    }
    case SQLITE_BLOB: {
      const void* const data = sqlite3_column_blob(statement, index);
      return StoreBlob{bytes_of(data, sqlite3_column_bytes(statement, index))};
    }
    default:
      return std::monostate{};
  }
}

void append_number(std::string& bytes, std::uint64_t number) {
  for (unsigned shift = 0; shift < 64; shift += 8) {
    bytes.push_back(static_cast<char>(number >> shift & 0xff));
  }
}

// Hashes each value with its type and length, so that a shift between columns changes the sum.
void row_sum(sqlite3_context* context, int count, sqlite3_value** values) {
  constexpr HashSecret kFixed{0x736c756963650001, 0x726f775f73756d21};  // files contain its sums
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    const int type = sqlite3_value_type(values[i]);
    bytes.push_back(static_cast<char>(type));
    if (type == SQLITE_NULL) continue;
    if (type == SQLITE_INTEGER) {
      append_number(bytes, static_cast<std::uint64_t>(sqlite3_value_int64(values[i])));
      continue;
    }
    const void* const data = sqlite3_value_blob(values[i]);
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(values[i]));
    append_number(bytes, size);
    if (size > 0) bytes.append(static_cast<const char*>(data), size);
  }
  sqlite3_result_int64(context, static_cast<std::int64_t>(keyed_hash(bytes, kFixed)));
}

}  // namespace

const char* name_of(StoreStatus status) {
  switch (status) {
    case StoreStatus::kOk:
      return "ok";
    case StoreStatus::kFull:
      return "full";
    case StoreStatus::kFailed:
      return "failed";
    case StoreStatus::kCorrupt:
      return "corrupt";
    case StoreStatus::kRefused:
      return "refused";
    case StoreStatus::kBusy:
      return "busy";
    case StoreStatus::kClosed:
      return "closed";
    case StoreStatus::kLocked:
      return "locked";
    case StoreStatus::kNotOurs:
      return "not_ours";
    case StoreStatus::kNewer:
      return "newer";
    case StoreStatus::kNoAccess:
      return "no_access";
    case StoreStatus::kMoved:
      return "moved";
  }
  return "failed";
}

StoreStatus status_of(sqlite3* connection, int code) {
  switch (code & 0xff) {  // the primary code of an extended one
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return StoreStatus::kOk;
    case SQLITE_FULL:
      return StoreStatus::kFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return StoreStatus::kCorrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return StoreStatus::kRefused;
    case SQLITE_IOERR: {
      // A full disk may also show as an I/O error of a sync or of the shared index.
      const int system = sqlite3_system_errno(connection);
      return system == ENOSPC || system == EDQUOT ? StoreStatus::kFull : StoreStatus::kFailed;
    }
    default:
      return StoreStatus::kFailed;
  }
}

int add_row_sum(sqlite3* connection) {
  return sqlite3_create_function_v2(connection, "row_sum", -1,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                                    &row_sum, nullptr, nullptr, nullptr);
}

int execute(sqlite3* connection, const char* sql) {
  return sqlite3_exec(connection, sql, nullptr, nullptr, nullptr);
}

SqliteStatement prepare(sqlite3* connection, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()),
                     SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return SqliteStatement(statement);
}

int run(sqlite3_stmt* statement, const std::vector<StoreValue>& values,
        std::vector<StoreRow>* rows) {
  int index = 0;
  for (const StoreValue& value : values) bind(statement, ++index, value);
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    if (rows == nullptr) continue;
    StoreRow& row = rows->emplace_back();
    const int columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; ++i) row.push_back(column(statement, i));
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code;
}

std::int64_t integer_of(sqlite3* connection, const char* sql, std::int64_t fallback) {
  const SqliteStatement statement = prepare(connection, sql);
  if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW) return fallback;
  return sqlite3_column_int64(statement.get(), 0);
}

}  // namespace sluice
