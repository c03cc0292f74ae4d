#include "runtime/storage/store_schema.h"

namespace sluice {

namespace {

// Times ending in _ms are Unix milliseconds; those of jobs in _ns are spans since the job was
// created. `usage`, `head`, `retry` and `details` of a job are JSON. A row of tokens holds a chunk:
// the `text` of `count` tokens from `seq` on, and in `ends` the end offset of each. `kinds` is NULL
// if all are plain text, else it has the count of tool calls before the chunk, and a byte for each
// token: its EntryKind, plus 8 if it has aux data. `aux` has the length and the bytes of each aux
// data. Numbers in blobs have 32 bits, little-endian. Prompts are not stored: no request reads them
// again.
//
// `ledger` has one row per event of core/ledger/event.h: ids from 1 without gaps, times on the
// ledger's clock, types and codes as the numbers of their enumerations. `kv` has one row per entry
// with its version; `expires_ns` is Unix time, NULL for no expiry. The single row of `kv_state`
// holds a version at least as high as that of any deletion.
//
// `checksum` is the row_sum (runtime/storage/sqlite_handle.h) of a row's other columns, in the
// order of the lists below. It is verified when the file is opened.
//
// `usage` holds sums of the usage of ended jobs, by hours since 1970. The transaction that adds a
// job to a sum also marks the job as `counted`.
#define JOB_BEFORE "number, id, principal, model, created_at_ms, metadata, cache, prompt_tokens"
#define JOB_COLUMNS_2                                                                         \
  JOB_BEFORE                                                                                  \
  ", attempt, started_ns, first_token_ns, ended_ns, ended_at_ms, status, reason, error_code," \
  " error_message, error_type, usage_prompt_tokens, usage_completion_tokens, details,"        \
  " skipped_ids, extra"
#define JOB_COLUMNS JOB_COLUMNS_2 ", usage, raw_reason, head, retry, whole"
#define TOKEN_COLUMNS_2 "job, attempt, seq, count, text, ends"
#define TOKEN_COLUMNS TOKEN_COLUMNS_2 ", kinds, aux"
#define KEY_COLUMNS "name, fingerprint, answer, expires_at_ms"
#define EVENT_COLUMNS                                                                          \
  "id, type, at_ns, key, payer, payee, amount, target, time_ns, force, due_ns, code, refused," \
  " linked, metadata"
#define EVENT_VALUES                                                   \
  "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15," \
  " row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15))"
#define ENTRY_COLUMNS "version, key, kind, value, expires_ns"
#define USAGE_COLUMNS                                                                    \
  "hour, principal, model, requests, prompt_tokens, completion_tokens, cached_requests," \
  " cached_prompt_tokens, cached_completion_tokens, cost"

constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  principal TEXT NOT NULL,
  model TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  metadata TEXT,
  cache TEXT,
  prompt_tokens INTEGER NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1,
  started_ns INTEGER,
  first_token_ns INTEGER,
  ended_ns INTEGER,
  ended_at_ms INTEGER,
  status TEXT,
  reason TEXT,
  error_code TEXT,
  error_message TEXT,
  error_type TEXT,
  usage_prompt_tokens INTEGER,
  usage_completion_tokens INTEGER,
  details TEXT,
  skipped_ids INTEGER NOT NULL DEFAULT 0,
  extra TEXT,
  counted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE tokens (
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  text BLOB NOT NULL,
  ends BLOB NOT NULL,
  PRIMARY KEY (job, attempt, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (
  name TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  answer TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY,
  type INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  key TEXT NOT NULL,
  payer TEXT NOT NULL,
  payee TEXT NOT NULL,
  amount INTEGER NOT NULL,
  target INTEGER NOT NULL,
  time_ns INTEGER NOT NULL,
  force INTEGER NOT NULL,
  due_ns INTEGER NOT NULL,
  code INTEGER NOT NULL,
  refused INTEGER NOT NULL
) STRICT;
CREATE TABLE kv (
  version INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  value BLOB NOT NULL,
  expires_ns INTEGER
) STRICT;
CREATE TABLE kv_state (id INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;
INSERT INTO kv_state (id, version) VALUES (1, 0);
CREATE TABLE usage (
  hour INTEGER NOT NULL,
  principal TEXT NOT NULL,
  model TEXT NOT NULL,
  requests INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_requests INTEGER NOT NULL,
  cached_prompt_tokens INTEGER NOT NULL,
  cached_completion_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (hour, principal, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE probe (id INTEGER PRIMARY KEY, filler BLOB NOT NULL) STRICT;
)sql",
    "ALTER TABLE ledger ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ledger ADD COLUMN metadata TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tokens ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE idempotency ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ledger ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE kv ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE kv_state ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE usage ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;"
    "UPDATE jobs SET checksum = row_sum(" JOB_COLUMNS_2
    ", counted);"
    "UPDATE tokens SET checksum = row_sum(" TOKEN_COLUMNS_2
    ");"
    "UPDATE idempotency SET checksum = row_sum(" KEY_COLUMNS
    ");"
    "UPDATE ledger SET checksum = row_sum(" EVENT_COLUMNS
    ");"
    "UPDATE kv SET checksum = row_sum(" ENTRY_COLUMNS
    ");"
    "UPDATE kv_state SET checksum = row_sum(id, version);"
    "UPDATE usage SET checksum = row_sum(" USAGE_COLUMNS ");",
    // A damaged row keeps its checksum, which does not fit the new columns either.
    "ALTER TABLE jobs ADD COLUMN usage TEXT;"
    "ALTER TABLE jobs ADD COLUMN raw_reason TEXT;"
    "ALTER TABLE jobs ADD COLUMN head TEXT;"
    "ALTER TABLE jobs ADD COLUMN retry TEXT;"
    "ALTER TABLE jobs ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tokens ADD COLUMN kinds BLOB;"
    "ALTER TABLE tokens ADD COLUMN aux BLOB;"
    "UPDATE jobs SET checksum = row_sum(" JOB_COLUMNS
    ", counted) WHERE checksum = row_sum(" JOB_COLUMNS_2
    ", counted);"
    "UPDATE tokens SET checksum = row_sum(" TOKEN_COLUMNS
    ") WHERE checksum = row_sum(" TOKEN_COLUMNS_2 ");",
};

constexpr StoreSql kChecks[] = {
    {"jobs", "SELECT 'job ' || id FROM jobs WHERE checksum <> row_sum(" JOB_COLUMNS ", counted)"},
    {"tokens",
     "SELECT 'the text of job ' || coalesce((SELECT id FROM jobs WHERE number = job), job) ||"
     " ' from token ' || seq FROM tokens WHERE checksum <> row_sum(" TOKEN_COLUMNS ")"},
    {"idempotency",
     "SELECT 'an idempotency key that expires at ' || expires_at_ms || ' ms' FROM idempotency"
     " WHERE checksum <> row_sum(" KEY_COLUMNS ")"},
    {"ledger",
     "SELECT 'event ' || id || ' of its ledger' FROM ledger"
     " WHERE checksum <> row_sum(" EVENT_COLUMNS ")"},
    {"kv",
     "SELECT 'the key ' || CAST(key AS TEXT) || ' of version ' || version FROM kv"
     " WHERE checksum <> row_sum(" ENTRY_COLUMNS ")"},
    {"kv_state",
     "SELECT 'the version of its keys' FROM kv_state WHERE checksum <> row_sum(id, version)"},
    {"usage",
     "SELECT 'the usage of ' || principal || ' in hour ' || hour FROM usage"
     " WHERE checksum <> row_sum(" USAGE_COLUMNS ")"},
};

constexpr StoreSql kStatements[] = {
    {"add_job",
     "INSERT OR REPLACE INTO jobs (" JOB_BEFORE ", extra, checksum)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, NULL,"
     " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, ?9, NULL, NULL, NULL,"
     " NULL, 0, 0))"},
    {"mark_job",
     "UPDATE jobs SET attempt = ?2, started_ns = ?3, first_token_ns = ?4, head = ?5, retry = ?6,"
     " whole = ?7, checksum = row_sum(" JOB_BEFORE
     ", ?2, ?3, ?4, ended_ns, ended_at_ms, status, reason,"
     " error_code, error_message, error_type, usage_prompt_tokens, usage_completion_tokens,"
     " details, skipped_ids, extra, usage, raw_reason, ?5, ?6, ?7, counted) WHERE number = ?1"},
    {"end_job",
     "UPDATE jobs SET attempt = ?2, started_ns = ?3, first_token_ns = ?4, ended_ns = ?5,"
     " ended_at_ms = ?6, status = ?7, reason = ?8, error_code = ?9, error_message = ?10,"
     " error_type = ?11, usage_prompt_tokens = ?12, usage_completion_tokens = ?13, details = ?14,"
     " skipped_ids = ?15, usage = ?16, raw_reason = ?17, head = ?18, retry = ?19, whole = ?20,"
     " checksum = row_sum(" JOB_BEFORE ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
     " ?15, extra, ?16, ?17, ?18, ?19, ?20, counted) WHERE number = ?1"},
    {"set_extra",
     "UPDATE jobs SET extra = ?2, checksum = row_sum(" JOB_BEFORE
     ", attempt, started_ns, first_token_ns, ended_ns, ended_at_ms, status, reason, error_code,"
     " error_message, error_type, usage_prompt_tokens, usage_completion_tokens, details,"
     " skipped_ids, ?2, usage, raw_reason, head, retry, whole, counted) WHERE id = ?1"},
    {"erase_job", "DELETE FROM jobs WHERE id = ?"},
    {"erase_tokens", "DELETE FROM tokens WHERE job IN (SELECT number FROM jobs WHERE id = ?)"},
    {"erase_jobs_of", "DELETE FROM jobs WHERE principal = ?"},
    {"erase_tokens_of",
     "DELETE FROM tokens WHERE job IN (SELECT number FROM jobs WHERE principal = ?)"},
    // The name of a key is the key, a line feed, and the principal.
    {"erase_keys_of", "DELETE FROM idempotency WHERE substr(name, instr(name, char(10)) + 1) = ?"},
    {"drop_job", "DELETE FROM jobs WHERE number = ?"},
    {"jobs", "SELECT " JOB_COLUMNS ", counted FROM jobs ORDER BY number"},
    // Tokens may arrive after the purge of their job; they must not be stored.
    {"add_tokens", "INSERT OR REPLACE INTO tokens (" TOKEN_COLUMNS ", checksum)"
                   " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
                   " row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                   " WHERE EXISTS (SELECT 1 FROM jobs WHERE number = ?1)"},
    {"trim_tokens", "DELETE FROM tokens WHERE job = ?1 AND (attempt < ?2 OR seq + count <= ?3)"},
    {"drop_tokens", "DELETE FROM tokens WHERE job = ?"},
    {"tokens",
     "SELECT seq, count, text, ends, kinds, aux FROM tokens WHERE job = ? AND attempt = ?"
     " ORDER BY seq"},
    {"add_key", "INSERT OR REPLACE INTO idempotency (" KEY_COLUMNS ", checksum)"
                " VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?3, ?4))"},
    {"drop_key", "DELETE FROM idempotency WHERE name = ?"},
    {"keys",
     "SELECT name, fingerprint, answer, expires_at_ms FROM idempotency ORDER BY expires_at_ms"},
    // Not OR REPLACE: an event is written once and never changed.
    {"add_event", "INSERT INTO ledger (" EVENT_COLUMNS ", checksum) VALUES " EVENT_VALUES},
    // Exception: the erasure of a name.
    {"replace_event",
     "INSERT OR REPLACE INTO ledger (" EVENT_COLUMNS ", checksum) VALUES " EVENT_VALUES},
    {"events", "SELECT " EVENT_COLUMNS " FROM ledger WHERE id > ?1 ORDER BY id LIMIT ?2"},
    {"set_entry", "INSERT OR REPLACE INTO kv (" ENTRY_COLUMNS ", checksum)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, row_sum(?1, ?2, ?3, ?4, ?5))"},
    {"drop_entry", "DELETE FROM kv WHERE key = ?"},
    {"drop_version", "DELETE FROM kv WHERE version = ?"},
    {"raise_version",
     "UPDATE kv_state SET version = max(version, ?1),"
     " checksum = row_sum(id, max(version, ?1))"},
    {"entries", "SELECT " ENTRY_COLUMNS " FROM kv WHERE version > ?1 ORDER BY version LIMIT ?2"},
    {"version", "SELECT version FROM kv_state"},
    // Sums saturate, so that the row is never refused: tokens at 2^53 - 1, the largest exact
    // integer in JavaScript.
    {"add_usage",
     "INSERT INTO usage (" USAGE_COLUMNS ") SELECT ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
     " WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND counted = 1)"
     " ON CONFLICT (hour, principal, model) DO UPDATE SET requests = requests + excluded.requests,"
     " prompt_tokens = min(prompt_tokens + excluded.prompt_tokens, 9007199254740991),"
     " completion_tokens = min(completion_tokens + excluded.completion_tokens, 9007199254740991),"
     " cached_requests = cached_requests + excluded.cached_requests,"
     " cached_prompt_tokens ="
     " min(cached_prompt_tokens + excluded.cached_prompt_tokens, 9007199254740991),"
     " cached_completion_tokens ="
     " min(cached_completion_tokens + excluded.cached_completion_tokens, 9007199254740991),"
     " cost = min(cost, 9223372036854775807 - excluded.cost) + excluded.cost"},
    // Runs after each `add_usage`: updates the checksum of the inserted or changed row.
    {"seal_usage", "UPDATE usage SET checksum = row_sum(" USAGE_COLUMNS ")"
                   " WHERE hour = ? AND principal = ? AND model = ?"},
    {"count_job",
     "UPDATE jobs SET counted = 1, checksum = row_sum(" JOB_COLUMNS ", 1) WHERE id = ?"},
    {"drop_usage_of", "DELETE FROM usage WHERE principal = ?"},
    {"drop_usage", "DELETE FROM usage WHERE hour <= ?"},
    {"usage", "SELECT " USAGE_COLUMNS " FROM usage ORDER BY hour, principal, model"},
    {"probe", "INSERT OR REPLACE INTO probe (id, filler) VALUES (1, zeroblob(65536))"},
    {"unprobe", "DELETE FROM probe"},
};

constexpr std::int32_t kApplicationId = 0x736c6369;  // "slci"

constexpr StoreSchema kSchema{kApplicationId, kMigrations, kStatements, kChecks};

}  // namespace

const StoreSchema& store_schema() {
  return kSchema;
}

}  // namespace sluice
