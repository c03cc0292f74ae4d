// The schema of a data file: its migrations, and the statements that use its tables. Plain
// constants; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

/// A statement and its name.
struct StoreSql {
  std::string_view name;
  std::string_view sql;
};

/// The tables and statements of a data file. A new kind of record (a journal, a table of keys)
/// takes a new migration at the end of the list and its statements. A released migration never
/// changes.
struct StoreSchema {
  /// SQLite's application_id, stored in the file's header: identifies a file of this program.
  std::int32_t application_id;
  /// The n-th migrates version n - 1 to version n.
  std::span<const char* const> migrations;
  std::span<const StoreSql> statements;
  /// One query per table for the rows with a wrong checksum. It returns a description of each.
  std::span<const StoreSql> checks{};
};

/// The schema of the gateway's data file.
const StoreSchema& store_schema();

/// The index of a statement; `statements.size()` for an unknown name.
constexpr std::size_t statement_at(std::span<const StoreSql> statements, std::string_view name) {
  std::size_t at = 0;
  while (at < statements.size() && statements[at].name != name) ++at;
  return at;
}

/// The index of a statement of the gateway's data file.
inline std::size_t store_statement(std::string_view name) {
  return statement_at(store_schema().statements, name);
}

}  // namespace sluice
