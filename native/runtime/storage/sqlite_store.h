// The store: a data file, its writer thread, and the bounded queue of changes to write.
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

#include "runtime/storage/store_file.h"

namespace sluice {

/// Writes batches of changes to a StoreFile on its own thread.
///
/// Group commit: the batches queued during one transaction form the next one, in order of arrival.
/// The disk is synced once per group, and each caller learns when its own changes are on the disk.
///
/// The queue is bounded. A batch beyond the bound is refused with kBusy, and the caller decides
/// what to do. While the disk is full, queued batches fail and the store retries; `state` reports
/// when there is room again. Nothing more is written to a damaged file or to one that was moved.
///
/// Changes already made in memory (ledger, keys and values) can be neither refused nor failed:
/// `commit_until_written` keeps them at the head of the queue, in order, until they are on the
/// disk. Callers bound their number by checking `room` before they accept a new request.
///
/// Any thread may call any function except `close`. `close`, or the destructor, writes the queued
/// changes, checkpoints the log into the file, and joins the thread; afterwards `commit` returns
/// kClosed. Changes that a full disk has held back until then are lost; they were never
/// acknowledged.
class SqliteStore {
 public:
  struct Options {
    std::size_t batches_max = 65'536;               // batches in the queue
    std::size_t bytes_max = 64u << 20;              // bytes in the queue
    std::chrono::milliseconds retry_interval{250};  // between attempts while the disk is full
  };

  struct Stats {
    std::uint64_t commits = 0;  // transactions
    std::uint64_t batches = 0;  // in these transactions
    std::uint64_t queued = 0;   // batches in the queue
  };

  /// Called once, on the store's thread, when the changes are on the disk or have failed. Must not
  /// wait for the store.
  using Done = std::function<void(StoreStatus)>;

  explicit SqliteStore(std::unique_ptr<StoreFile> file) : SqliteStore(std::move(file), Options{}) {}
  SqliteStore(std::unique_ptr<StoreFile> file, Options options);
  ~SqliteStore();
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Queues changes. Returns kOk when `done` will be called; with any other status it will not.
  /// @param scrub erase the deleted rows from the disk before `done` is called (see
  ///   StoreFile::scrub; a reader in another program may delay the erasure)
  StoreStatus commit(StoreBatch batch, Done done, bool scrub = false);

  /// Queues changes and retries them, ahead of all later ones, until they are on the disk. `done`
  /// may be empty. It receives kOk, or the reason why they will never be written: kClosed, kCorrupt
  /// or kMoved; it may be called before this function returns.
  void commit_until_written(StoreBatch batch, Done done);

  /// Whether to accept a new request that will need a write: kOk, or else `state`, or kBusy while
  /// the queue is full.
  [[nodiscard]] StoreStatus room() const;

  /// The result of the last transaction: kOk, kFull or kFailed; kCorrupt and kMoved are permanent.
  [[nodiscard]] StoreStatus state() const { return state_.load(std::memory_order_relaxed); }

  [[nodiscard]] Stats stats() const;

  /// Writes the queued changes and stops the thread. Idempotent. Must not be called from `done`.
  void close();

 private:
  struct Entry {
    StoreBatch batch;
    Done done;
    std::size_t bytes = 0;
    bool until_written = false;
    bool scrub = false;

    void tell(StoreStatus status) const {
      if (done) done(status);
    }
  };

  void run();
  bool take(std::vector<Entry>& group);
  void write(std::vector<Entry>& group);
  void write_each(std::vector<Entry>& group);
  void put_back(std::vector<Entry>& kept);
  [[nodiscard]] bool is_full(std::size_t bytes) const;
  StoreStatus transact(const std::vector<const StoreBatch*>& batches);
  void probe();
  void scrub();

  std::unique_ptr<StoreFile> file_;  // used by the thread only, once it runs
  const Options options_;
  const StoreBatch probe_batch_;
  const StoreBatch unprobe_batch_;
  bool unscrubbed_ = false;  // thread only: deleted rows may still be on the disk
  std::atomic<StoreStatus> state_{StoreStatus::kOk};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> batches_{0};

  mutable std::mutex mutex_;  // guards the five below
  std::condition_variable wake_;
  std::vector<Entry> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t kept_ = 0;  // entries at the head of queue_ that a write has failed for
  bool closing_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sluice
