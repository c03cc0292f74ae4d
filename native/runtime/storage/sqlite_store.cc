#include "runtime/storage/sqlite_store.h"

#include <algorithm>
#include <iterator>
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

// Whether the status is permanent: the store writes no more.
bool is_final(StoreStatus status) {
  return status == StoreStatus::kCorrupt || status == StoreStatus::kMoved;
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

StoreStatus SqliteStore::commit(StoreBatch batch, Done done, bool scrub) {
  const std::size_t bytes = bytes_of(batch);
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return StoreStatus::kClosed;
    if (is_final(state())) return state();
    if (is_full(bytes)) return StoreStatus::kBusy;
    queued_bytes_ += bytes;
    queue_.push_back({std::move(batch), std::move(done), bytes, false, scrub});
  }
  wake_.notify_one();
  return StoreStatus::kOk;
}

void SqliteStore::commit_until_written(StoreBatch batch, Done done) {
  Entry entry{std::move(batch), std::move(done), 0, true, false};
  entry.bytes = bytes_of(entry.batch);
  StoreStatus refused = StoreStatus::kOk;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) {
      refused = StoreStatus::kClosed;
    } else if (is_final(state())) {
      refused = state();
    } else {
      queued_bytes_ += entry.bytes;
      queue_.push_back(std::move(entry));
    }
  }
  if (refused == StoreStatus::kOk) {
    wake_.notify_one();
  } else {
    entry.tell(refused);
  }
}

// Requires the mutex. A batch larger than the bound is accepted when the queue is empty.
bool SqliteStore::is_full(std::size_t bytes) const {
  if (queue_.size() >= options_.batches_max) return true;
  return !queue_.empty() && queued_bytes_ + bytes > options_.bytes_max;
}

StoreStatus SqliteStore::room() const {
  const std::lock_guard lock(mutex_);
  if (closing_) return StoreStatus::kClosed;
  if (state() != StoreStatus::kOk) return state();
  return is_full(0) ? StoreStatus::kBusy : StoreStatus::kOk;
}

SqliteStore::Stats SqliteStore::stats() const {
  const std::lock_guard lock(mutex_);
  return {commits_.load(std::memory_order_relaxed), batches_.load(std::memory_order_relaxed),
          queue_.size()};
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
  for (bool last = false; !last;) {
    last = take(group);
    if (!group.empty()) {
      write(group);
    } else if (!last && state() != StoreStatus::kOk) {
      probe();
    }
    if (unscrubbed_) scrub();
    if (last) {
      for (const Entry& entry : group) entry.tell(StoreStatus::kClosed);
    } else {
      put_back(group);
    }
    group.clear();
  }
  file_.reset();
}

// Waits for work and takes the whole queue. Returns true when the store is closing.
bool SqliteStore::take(std::vector<Entry>& group) {
  std::unique_lock lock(mutex_);
  // A failed entry waits for the retry interval; new entries do not trigger its retry.
  const auto called = [this] { return queue_.size() > kept_ || closing_; };
  const auto closing = [this] { return closing_; };
  const StoreStatus now = state();
  if (is_final(now) || (now == StoreStatus::kOk && !unscrubbed_)) {
    // Not wait(lock, ...): libstdc++ 12 gave it a new symbol version, GLIBCXX_3.4.30, and a binary
    // built there would not load on Ubuntu 22.04 or RHEL 9. The timed forms are inline.
    wake_.wait_until(lock, std::chrono::steady_clock::time_point::max(), called);
  } else if (kept_ == 0) {
    wake_.wait_for(lock, options_.retry_interval, called);
  } else {
    wake_.wait_for(lock, options_.retry_interval, closing);
  }
  group.swap(queue_);
  queued_bytes_ = 0;
  kept_ = 0;
  return closing_;
}

// Entries left in the group afterwards must be retried.
void SqliteStore::write(std::vector<Entry>& group) {
  std::vector<const StoreBatch*> batches;
  batches.reserve(group.size());
  for (const Entry& entry : group) batches.push_back(&entry.batch);
  const StoreStatus status = transact(batches);
  if (status == StoreStatus::kRefused) {
    write_each(group);
    return;
  }
  const bool again = status == StoreStatus::kFull || status == StoreStatus::kFailed;
  const bool deletes =
      std::any_of(group.begin(), group.end(), [](const Entry& entry) { return entry.scrub; });
  if (status == StoreStatus::kOk && deletes) scrub();
  std::erase_if(group, [&](const Entry& entry) {
    if (again && entry.until_written) return false;
    entry.tell(status);
    return true;
  });
}

// One batch of the group violates a constraint: write each alone, so that the others do not fail.
// No batch may overtake one that must be written. If that one is refused, file and memory have
// diverged, and no later batch is reported as written.
void SqliteStore::write_each(std::vector<Entry>& group) {
  std::vector<Entry> kept;
  StoreStatus status = StoreStatus::kOk;
  for (Entry& entry : group) {
    if (kept.empty()) status = transact({&entry.batch});
    if (status == StoreStatus::kOk && entry.scrub) scrub();
    if (entry.until_written && status == StoreStatus::kRefused) {
      status = StoreStatus::kFailed;
      state_.store(status, std::memory_order_relaxed);
    }
    if (entry.until_written && (status == StoreStatus::kFull || status == StoreStatus::kFailed)) {
      kept.push_back(std::move(entry));
    } else {
      entry.tell(status);
    }
  }
  group = std::move(kept);
}

void SqliteStore::put_back(std::vector<Entry>& kept) {
  if (kept.empty()) return;
  const std::lock_guard lock(mutex_);
  kept_ = kept.size();
  for (const Entry& entry : kept) queued_bytes_ += entry.bytes;
  std::move(queue_.begin(), queue_.end(), std::back_inserter(kept));
  queue_.swap(kept);
}

StoreStatus SqliteStore::transact(const std::vector<const StoreBatch*>& batches) {
  if (is_final(state())) return state();
  const StoreStatus status = file_->write(batches);
  // A constraint violation does not change the state of the disk.
  if (status != StoreStatus::kRefused) state_.store(status, std::memory_order_relaxed);
  if (status == StoreStatus::kOk) {
    commits_.fetch_add(1, std::memory_order_relaxed);
    batches_.fetch_add(batches.size(), std::memory_order_relaxed);
  }
  return status;
}

void SqliteStore::scrub() {
  unscrubbed_ = !is_final(state()) && !file_->scrub();
}

// Tests whether the disk has room again: for the writes of a few jobs, since a single free page
// would be used up at once.
void SqliteStore::probe() {
  if (transact({&probe_batch_}) == StoreStatus::kOk) transact({&unprobe_batch_});
}

}  // namespace sluice
