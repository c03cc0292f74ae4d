// What a data file holds: its tables, version by version, and the statements that use them.
//
// A new kind of record (a journal, a table of keys) is one more migration at the end of the list
// and a few statements; everything goes through the same queue and the same transactions. Versions
// that have been released are never changed. Plain constants; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

/// A statement and the name by which it is asked for.
struct StoreSql {
  std::string_view name;
  std::string_view sql;
};

struct StoreSchema {
  /// Marks a file as ours; SQLite keeps it in the file's header.
  std::int32_t application_id;
  /// The n-th makes version n of version n - 1.
  std::span<const char* const> migrations;
  std::span<const StoreSql> statements;
  /// Queries for rows whose checksum does not fit, by table; each answers with what such a row is,
  /// for people.
  std::span<const StoreSql> checks{};
};

/// The gateway's own.
const StoreSchema& store_schema();

/// The place of a statement in its schema, or its size for an unknown name.
constexpr std::size_t statement_at(std::span<const StoreSql> statements, std::string_view name) {
  std::size_t at = 0;
  while (at < statements.size() && statements[at].name != name) ++at;
  return at;
}

}  // namespace sluice
