// The store: a data file, the thread that writes it, and the queue in front of that thread.
//
// Group commit: what queued up while the last transaction went to the disk goes into the next one,
// in the order in which it came. So the disk is waited for once per group, not once per change, and
// each caller is told when its own changes are on the disk.
//
// The queue is bounded; beyond the bound a change is refused (kBusy) and its caller decides. A full
// disk fails what is queued, and the store goes on trying: `state` says when there is room again. A
// damaged file is not written to any more.
//
// `commit` and `state` from any thread. `close`, or the destructor, writes what is queued, moves
// the log into the file, and joins; after that `commit` answers kClosed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/store_file.h"

namespace sluice {

class SqliteStore {
 public:
  struct Options {
    std::size_t batches_max = 65'536;               // that wait for the disk
    std::size_t bytes_max = 64u << 20;              // of those
    std::chrono::milliseconds retry_interval{250};  // while the disk is full
  };

  struct Stats {
    std::uint64_t commits = 0;  // transactions
    std::uint64_t batches = 0;  // in those
  };

  /// Told once, on the store's thread, when the changes are on the disk or have failed. Must not
  /// wait for the store.
  using Done = std::function<void(StoreStatus)>;

  explicit SqliteStore(std::unique_ptr<StoreFile> file) : SqliteStore(std::move(file), Options{}) {}
  SqliteStore(std::unique_ptr<StoreFile> file, Options options);
  ~SqliteStore();
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Queues changes. kOk: `done` will be called; anything else: it will not.
  StoreStatus commit(StoreBatch batch, Done done);

  /// How the last transaction went: kOk, kFull, kFailed or kCorrupt (which stays).
  [[nodiscard]] StoreStatus state() const { return state_.load(std::memory_order_relaxed); }

  [[nodiscard]] Stats stats() const;

  /// See above. Idempotent; not from `done`.
  void close();

 private:
  struct Entry {
    StoreBatch batch;
    Done done;
  };

  void run();
  void write(const std::vector<Entry>& group);
  void write_each(const std::vector<Entry>& group);
  StoreStatus transact(const std::vector<const StoreBatch*>& batches);
  void probe();

  std::unique_ptr<StoreFile> file_;  // the thread's, once it runs
  const Options options_;
  const StoreBatch probe_batch_;
  const StoreBatch unprobe_batch_;
  std::atomic<StoreStatus> state_{StoreStatus::kOk};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> batches_{0};

  std::mutex mutex_;  // guards the four below
  std::condition_variable wake_;
  std::vector<Entry> queue_;
  std::size_t queued_bytes_ = 0;
  bool closing_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sluice
