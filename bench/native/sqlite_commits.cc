// The least that a durable record costs with SQLite: one thread, one prepared INSERT, and nothing
// else. Usage: sqlite_commits FILE MILLISECONDS ROWS; ROWS go into each transaction. Prints one
// line of JSON.
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

// About the size of a small job in the data file.
constexpr int kBytes = 200;

void must(int code, const char* call) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return;
  std::fprintf(stderr, "sqlite_commits: %s: %s\n", call, sqlite3_errstr(code));
  std::exit(1);
}

void run(sqlite3* db, const char* sql) {
  must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), sql);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: sqlite_commits FILE MILLISECONDS ROWS\n");
    return 2;
  }
  const auto span = std::chrono::milliseconds(std::atoi(argv[2]));
  const int rows = std::atoi(argv[3]);
  sqlite3* db = nullptr;
  must(sqlite3_open(argv[1], &db), "open");
  run(db, "PRAGMA journal_mode = WAL");
  run(db, "PRAGMA synchronous = FULL");
  run(db, "CREATE TABLE records (n INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT");
  sqlite3_stmt* insert = nullptr;
  must(sqlite3_prepare_v2(db, "INSERT INTO records (value) VALUES (?)", -1, &insert, nullptr),
       "prepare");
  const std::string value(kBytes, 'x');
  long done = 0;
  const Clock::time_point start = Clock::now();
  while (Clock::now() - start < span) {
    run(db, "BEGIN IMMEDIATE");
    for (int i = 0; i < rows; ++i) {
      must(sqlite3_bind_blob(insert, 1, value.data(), kBytes, SQLITE_STATIC), "bind");
      must(sqlite3_step(insert), "insert");
      must(sqlite3_reset(insert), "reset");
    }
    run(db, "COMMIT");
    done += rows;
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  std::printf("{\"perSecond\":%.1f}\n", static_cast<double>(done) / took.count());
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return 0;
}
