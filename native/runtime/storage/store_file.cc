#include "runtime/storage/store_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {

namespace {

// The longest that a reader in another program may delay a commit.
constexpr int kOthersMsMax = 5000;

// The status and the message for an errno of opening or locking a file.
StoreStatus refused(const std::string& path, int error, std::string& detail) {
  detail = path + ": " + std::strerror(error);
  if (error == EWOULDBLOCK) return StoreStatus::kLocked;
  return error == ENOSPC || error == EDQUOT ? StoreStatus::kFull : StoreStatus::kNoAccess;
}

// A file is shrunk when it has at least this many free pages and one page in four is free.
constexpr std::int64_t kFreePagesMax = 64;

}  // namespace

StoreFile::Opened StoreFile::open(const std::string& path, Mode mode, const StoreSchema& schema) {
  Opened opened;
  StoreLock::Taken held;
  const bool writes = mode == Mode::kWrite;
  if (writes) {
    held = StoreLock::take(path);
    if (!held.lock) {
      opened.status = refused(path, held.error, opened.detail);
      return opened;
    }
  }
  sqlite3* raw = nullptr;
  const int flags = (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  SqliteConnection connection(raw);
  if (code != SQLITE_OK) {
    opened.status = StoreStatus::kNoAccess;
    opened.detail = raw == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(raw);
    return opened;
  }
  // Closing must not write to the file before it passed all checks.
  sqlite3_busy_timeout(raw, kOthersMsMax);
  add_row_sum(raw);
  std::unique_ptr<StoreFile> file(
      new StoreFile(schema, std::move(held.lock), std::move(connection)));
  file->keep_log();
  opened.status = file->check(mode, opened.detail);
  if (opened.status != StoreStatus::kOk) return opened;
  if (writes) sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  opened.file = std::move(file);
  return opened;
}

StoreFile::~StoreFile() {
  statements_.clear();  // before their connection
}

StoreStatus StoreFile::check(Mode mode, std::string& detail) {
  sqlite3* const db = connection_.get();
  const auto failed = [&](StoreStatus status) {
    if (detail.empty()) detail = sqlite3_errmsg(db);
    return status;
  };
  constexpr std::int64_t kUnread = -1;
  const std::int64_t tables = integer_of(db, "SELECT count(*) FROM sqlite_schema", kUnread);
  if (tables == kUnread) {
    const int code = sqlite3_errcode(db) & 0xff;
    return failed(code == SQLITE_NOTADB ? StoreStatus::kNotOurs : status_of(db, code));
  }
  const std::int64_t application = integer_of(db, "PRAGMA application_id", kUnread);
  const std::int64_t version = integer_of(db, "PRAGMA user_version", kUnread);
  const bool fresh = tables == 0 && application == 0 && version == 0;
  const auto latest = static_cast<std::int64_t>(schema_.migrations.size());
  if (!fresh && application != schema_.application_id) {
    detail = "it is another program's database";
    return StoreStatus::kNotOurs;
  }
  if (version > latest) {
    detail = "it has version " + std::to_string(version) + ", this program knows up to " +
             std::to_string(latest);
    return StoreStatus::kNewer;
  }
  if (mode == Mode::kRead) {
    if (version == latest) {
      // One read transaction: all queries see the same state, despite concurrent writes.
      execute(db, "BEGIN");
      const StoreStatus sums = check_sums(detail);
      return sums == StoreStatus::kOk ? prepare_all() : failed(sums);
    }
    detail = "it has version " + std::to_string(version) + "; a server brings it up to date";
    return StoreStatus::kFailed;
  }
  // A full check is affordable: a start reads the whole file anyway.
  std::vector<StoreRow> found;
  const SqliteStatement look = prepare(db, "PRAGMA quick_check(1)");
  if (!look || run(look.get(), {}, &found) != SQLITE_DONE || found.empty() ||
      found.front() != StoreRow{std::string("ok")}) {
    if (!found.empty() && !found.front().empty()) {
      if (const auto* text = std::get_if<std::string>(&found.front().front())) detail = *text;
    }
    return failed(StoreStatus::kCorrupt);
  }
  if (version == latest) {
    const StoreStatus sums = check_sums(detail);
    if (sums != StoreStatus::kOk) return failed(sums);
  }
  // FULL: a commit survives a power failure once it returns; NORMAL would sync at the next
  // checkpoint only. Deleted rows are overwritten, so that purged text cannot be recovered.
  const int code = execute(db,
                           "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                           "PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 16777216;");
  if (code != SQLITE_OK) return failed(status_of(db, code));
  const StoreStatus migrated = migrate(version, detail);
  return migrated == StoreStatus::kOk ? prepare_all() : failed(migrated);
}

// Migrates in one transaction: a file has either its old version or the latest. A damaged row of an
// older version has a wrong checksum afterwards, too.
StoreStatus StoreFile::migrate(std::int64_t version, std::string& detail) {
  sqlite3* const db = connection_.get();
  const std::size_t latest = schema_.migrations.size();
  if (static_cast<std::size_t>(version) == latest) return StoreStatus::kOk;
  std::string sql = "BEGIN IMMEDIATE;";
  for (auto at = static_cast<std::size_t>(version); at < latest; ++at) {
    sql += std::string(schema_.migrations[at]) + ";";
  }
  sql += "PRAGMA application_id = " + std::to_string(schema_.application_id) +
         ";PRAGMA user_version = " + std::to_string(latest) + ";";
  int code = execute(db, sql.c_str());
  StoreStatus status = code == SQLITE_OK ? check_sums(detail) : status_of(db, code);
  if (status == StoreStatus::kOk) {
    code = execute(db, "COMMIT");
    if (code == SQLITE_OK) return StoreStatus::kOk;
    status = status_of(db, code);
  }
  if (detail.empty()) detail = sqlite3_errmsg(db);
  execute(db, "ROLLBACK");
  return status;
}

StoreStatus StoreFile::check_sums(std::string& detail) {
  for (const StoreSql& check : schema_.checks) {
    std::vector<StoreRow> found;
    const std::string sql = std::string(check.sql) + " LIMIT 1";
    const SqliteStatement look = prepare(connection_.get(), sql);
    if (!look || run(look.get(), {}, &found) != SQLITE_DONE) return StoreStatus::kCorrupt;
    if (found.empty()) continue;
    const auto* const what = std::get_if<std::string>(&found.front().front());
    detail = (what == nullptr ? std::string(check.name) : *what) + ": its checksum does not fit";
    return StoreStatus::kCorrupt;
  }
  return StoreStatus::kOk;
}

// Makes closing the connection leave the file and the log unchanged.
void StoreFile::keep_log() {
  sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

StoreStatus StoreFile::prepare_all() {
  for (const StoreSql& each : schema_.statements) {
    statements_.push_back(prepare(connection_.get(), each.sql));
    // The tables differ from the ones this version creates.
    if (!statements_.back()) return StoreStatus::kCorrupt;
  }
  return StoreStatus::kOk;
}

StoreStatus StoreFile::write(const std::vector<const StoreBatch*>& batches) {
  sqlite3* const db = connection_.get();
  if (lock_ && !lock_->in_place()) {
    keep_log();
    return StoreStatus::kMoved;
  }
  int code = execute(db, "BEGIN IMMEDIATE");
  for (const StoreBatch* batch : batches) {
    for (const StoreWrite& change : *batch) {
      if (code != SQLITE_OK) break;
      if (change.statement >= statements_.size()) {
        code = SQLITE_RANGE;
        break;
      }
      code = run(statements_[change.statement].get(), change.values, nullptr);
      if (code == SQLITE_DONE) code = SQLITE_OK;
    }
  }
  if (code == SQLITE_OK) code = execute(db, "COMMIT");
  if (code == SQLITE_OK) return StoreStatus::kOk;
  const StoreStatus status = status_of(db, code);
  // A full disk may have rolled it back already.
  if (sqlite3_get_autocommit(db) == 0) execute(db, "ROLLBACK");
  if (status == StoreStatus::kCorrupt) keep_log();
  return status;
}

StoreStatus StoreFile::select(std::size_t statement, const StoreRow& values,
                              std::vector<StoreRow>& rows) {
  if (statement >= statements_.size()) return StoreStatus::kRefused;
  const int code = run(statements_[statement].get(), values, &rows);
  return status_of(connection_.get(), code);
}

bool StoreFile::scrub() {
  sqlite3* const db = connection_.get();
  const std::int64_t free = integer_of(db, "PRAGMA freelist_count", 0);
  const std::int64_t pages = integer_of(db, "PRAGMA page_count", 0);
  if (free > kFreePagesMax && free > pages / 4) execute(db, "VACUUM");
  return integer_of(db, "PRAGMA wal_checkpoint(TRUNCATE)", 1) == 0;
}

void StoreFile::limit_pages(std::int64_t pages) {
  execute(connection_.get(), ("PRAGMA max_page_count = " + std::to_string(pages)).c_str());
}

}  // namespace sluice
