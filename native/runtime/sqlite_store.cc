#include "runtime/sqlite_store.h"

#include <utility>

namespace sluice {

namespace {

std::size_t bytes_of(const StoreBatch& batch) {
  std::size_t bytes = 0;
  for (const StoreWrite& change : batch) {
    for (const StoreValue& value : change.values) {
      bytes += sizeof(value);
      if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
      if (const auto* blob = std::get_if<StoreBlob>(&value)) bytes += blob->bytes.size();
    }
  }
  return bytes;
}

}  // namespace

SqliteStore::SqliteStore(std::unique_ptr<StoreFile> file, Options options)
    : file_(std::move(file)),
      options_(options),
      probe_batch_{{file_->statement("probe"), {}}},
      unprobe_batch_{{file_->statement("unprobe"), {}}},
      thread_([this] { run(); }) {}

SqliteStore::~SqliteStore() {
  close();
}

StoreStatus SqliteStore::commit(StoreBatch batch, Done done) {
  const std::size_t bytes = bytes_of(batch);
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return StoreStatus::kClosed;
    if (state() == StoreStatus::kCorrupt) return StoreStatus::kCorrupt;
    if (queue_.size() >= options_.batches_max) return StoreStatus::kBusy;
    // One that is larger than the bound goes alone.
    if (!queue_.empty() && queued_bytes_ + bytes > options_.bytes_max) return StoreStatus::kBusy;
    queued_bytes_ += bytes;
    queue_.push_back({std::move(batch), std::move(done)});
  }
  wake_.notify_one();
  return StoreStatus::kOk;
}

SqliteStore::Stats SqliteStore::stats() const {
  return {commits_.load(std::memory_order_relaxed), batches_.load(std::memory_order_relaxed)};
}

void SqliteStore::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void SqliteStore::run() {
  std::vector<Entry> group;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto called = [this] { return !queue_.empty() || closing_; };
      const StoreStatus now = state();
      if (now == StoreStatus::kOk || now == StoreStatus::kCorrupt) {
        wake_.wait(lock, called);
      } else {
        wake_.wait_for(lock, options_.retry_interval, called);
      }
      if (queue_.empty() && closing_) break;
      group.swap(queue_);
      queued_bytes_ = 0;
    }
    if (group.empty()) {
      probe();
    } else {
      write(group);
    }
    group.clear();
  }
  file_.reset();
}

void SqliteStore::write(const std::vector<Entry>& group) {
  std::vector<const StoreBatch*> batches;
  batches.reserve(group.size());
  for (const Entry& entry : group) batches.push_back(&entry.batch);
  const StoreStatus status = transact(batches);
  if (status == StoreStatus::kRefused && group.size() > 1) {
    write_each(group);
    return;
  }
  for (const Entry& entry : group) entry.done(status);
}

// One of them breaks a rule; that must not be the others' fault.
void SqliteStore::write_each(const std::vector<Entry>& group) {
  for (const Entry& entry : group) entry.done(transact({&entry.batch}));
}

StoreStatus SqliteStore::transact(const std::vector<const StoreBatch*>& batches) {
  if (state() == StoreStatus::kCorrupt) return StoreStatus::kCorrupt;
  const StoreStatus status = file_->write(batches);
  state_.store(status == StoreStatus::kRefused ? StoreStatus::kOk : status,
               std::memory_order_relaxed);
  if (status == StoreStatus::kOk) {
    commits_.fetch_add(1, std::memory_order_relaxed);
    batches_.fetch_add(batches.size(), std::memory_order_relaxed);
  }
  return status;
}

// Whether there is room again: for about as much as a few jobs write at a time, and not for one
// page alone, which would only be taken back in the next moment.
void SqliteStore::probe() {
  if (transact({&probe_batch_}) == StoreStatus::kOk) transact({&unprobe_batch_});
}

}  // namespace sluice
