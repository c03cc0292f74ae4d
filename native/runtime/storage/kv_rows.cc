#include "runtime/storage/kv_rows.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace sluice {

namespace {

constexpr std::int64_t kEntriesPerPage = 1000;
constexpr std::size_t kEntryColumns = 5;
constexpr std::size_t kDroppedAtOnce = 1000;

// Indexes of the statements, looked up once.
struct Statements {
  std::size_t set = store_statement("set_entry");
  std::size_t drop = store_statement("drop_entry");
  std::size_t drop_version = store_statement("drop_version");
  std::size_t raise_version = store_statement("raise_version");
};

const Statements& statements() {
  static const Statements kFound;
  return kFound;
}

void append(StoreBatch& batch, const KvChange& change, Nanos to_unix) {
  const Statements& sql = statements();
  switch (change.kind) {
    case KvChange::Kind::kSet: {
      StoreValue expires;
      if (change.last_alive != kNever) expires = deadline_after(change.last_alive, to_unix);
      batch.push_back({sql.set,
                       {store_number(change.version), StoreBlob{std::string(change.key)},
                        store_number(change.value_kind), StoreBlob{std::string(change.value)},
                        std::move(expires)}});
      break;
    }
    case KvChange::Kind::kDeleted:
      batch.push_back({sql.drop, {StoreBlob{std::string(change.key)}}});
      batch.push_back({sql.raise_version, {store_number(change.version)}});
      break;
    case KvChange::Kind::kExpired:
      batch.push_back({sql.drop_version, {store_number(change.version)}});
      batch.push_back({sql.raise_version, {store_number(change.version)}});
      break;
  }
}

// Reads the change that made an entry. False for an invalid row. Columns are in the order of the
// table; the views are valid for as long as the row.
bool change_of(const StoreRow& row, Nanos to_unix, KvChange& change) {
  if (row.size() != kEntryColumns) return false;
  const auto* const version = std::get_if<std::int64_t>(&row[0]);
  const auto* const key = std::get_if<StoreBlob>(&row[1]);
  const auto* const kind = std::get_if<std::int64_t>(&row[2]);
  const auto* const value = std::get_if<StoreBlob>(&row[3]);
  if (version == nullptr || key == nullptr || kind == nullptr || value == nullptr) return false;
  if (*kind < 0 || *kind > std::numeric_limits<std::uint8_t>::max()) return false;
  change.version = static_cast<KvVersion>(*version);
  change.key = key->bytes;
  change.value = value->bytes;
  change.value_kind = static_cast<std::uint8_t>(*kind);
  change.last_alive = kNever;
  if (const auto* const expires = std::get_if<std::int64_t>(&row[4])) {
    if (*expires < 0) return false;
    if (*expires != kNever) change.last_alive = *expires - to_unix;
  }
  return true;
}

}  // namespace

KvLoaded load_kv(StoreFile& file, KvStore& kv, Nanos to_unix, Nanos now) {
  KvLoaded loaded;
  std::vector<StoreRow> rows;
  const auto* version =
      file.select(file.statement("version"), {}, rows) == StoreStatus::kOk && rows.size() == 1
          ? std::get_if<std::int64_t>(&rows[0][0])
          : nullptr;
  if (version == nullptr || *version < 0) return {"its keys have no version", {}};
  // The store is empty, so this deletes nothing.
  kv.load(
      {.kind = KvChange::Kind::kDeleted, .version = static_cast<KvVersion>(*version), .key = {}});
  const std::size_t entries = file.statement("entries");
  KvVersion last = kAbsent;
  std::uint64_t count = 0;
  do {
    rows.clear();
    if (file.select(entries, {store_number(last), kEntriesPerPage}, rows) != StoreStatus::kOk) {
      return {"its keys cannot be read", {}};
    }
    for (const StoreRow& row : rows) {
      KvChange change;
      if (!change_of(row, to_unix, change)) {
        return {"an entry behind version " + std::to_string(last) + " cannot be", {}};
      }
      last = change.version;
      if (change.last_alive < now) {
        change.kind = KvChange::Kind::kDeleted;  // sets the version only
        loaded.expired.push_back(last);
      } else {
        count += 1;
      }
      kv.load(change);
      if (kv.size() != count) {
        return {"the key of version " + std::to_string(last) + " is there twice", {}};
      }
    }
  } while (!rows.empty());
  return loaded;
}

KvKeeper::KvKeeper(std::shared_ptr<SqliteStore> store, Nanos to_unix, KvVersion version)
    : store_(std::move(store)),
      to_unix_(to_unix),
      written_(std::make_shared<std::atomic<KvVersion>>(version)) {}

void KvKeeper::on_changes(std::span<const KvChange> changes) {
  StoreBatch batch;
  KvVersion last = kAbsent;
  for (const KvChange& change : changes) {
    append(batch, change, to_unix_);
    if (change.kind != KvChange::Kind::kExpired) last = change.version;
  }
  if (last == kAbsent) {
    store_->commit_until_written(std::move(batch), nullptr);
    return;
  }
  store_->commit_until_written(std::move(batch), [written = written_, last](StoreStatus status) {
    if (status == StoreStatus::kOk) written->store(last, std::memory_order_release);
  });
}

void KvKeeper::drop(const std::vector<KvVersion>& expired) {
  std::vector<KvChange> changes;
  for (std::size_t i = 0; i < expired.size(); ++i) {
    changes.push_back({.kind = KvChange::Kind::kExpired, .version = expired[i], .key = {}});
    if (changes.size() < kDroppedAtOnce && i + 1 < expired.size()) continue;
    on_changes(changes);
    changes.clear();
  }
}

}  // namespace sluice
