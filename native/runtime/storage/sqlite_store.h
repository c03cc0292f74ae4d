// The store: a data file, the thread that writes it, and the queue in front of that thread.
//
// Group commit: what queued up while the last transaction went to the disk goes into the next one,
// in the order in which it came. So the disk is waited for once per group, not once per change, and
// each caller learns when its own changes are on the disk.
//
// The queue is bounded; beyond the bound a change is refused (kBusy) and its caller decides. A full
// disk fails what is queued, and the store goes on trying: `state` says when there is room again. A
// damaged file, or one whose name another file has now, is not written to any more.
//
// Changes that are made in memory first (the ledger, keys and values) can be neither refused nor
// failed: `commit_until_written` keeps them at the head of the queue, in order, until they are on
// the disk. Callers keep that bounded: they check `room` before they accept a new request.
//
// All but `close` from any thread. `close`, or the destructor, writes what is queued, moves the log
// into the file, and joins; after that `commit` answers kClosed. What a full disk has kept from
// being written until then is lost; it was never acknowledged.
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
    std::uint64_t queued = 0;   // batches that wait for the next one
  };

  /// Told once, on the store's thread, when the changes are on the disk or have failed. Must not
  /// wait for the store.
  using Done = std::function<void(StoreStatus)>;

  explicit SqliteStore(std::unique_ptr<StoreFile> file) : SqliteStore(std::move(file), Options{}) {}
  SqliteStore(std::unique_ptr<StoreFile> file, Options options);
  ~SqliteStore();
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Queues changes. kOk: `done` will be called; anything else: it will not. `scrub`: nothing of
  /// the rows that they delete is left on the disk when it is (see StoreFile::scrub; a reader of
  /// another program may put that off).
  StoreStatus commit(StoreBatch batch, Done done, bool scrub = false);

  /// Queues changes that stay queued, ahead of all that came later, until they are on the disk,
  /// whatever that takes. `done` may be empty; it is told kOk then, or why that will never be:
  /// kClosed, kCorrupt or kMoved. It may be told so within the call.
  void commit_until_written(StoreBatch batch, Done done);

  /// Whether something new should be begun that will have to be written: kOk, what `state` says, or
  /// kBusy while the queue is full.
  [[nodiscard]] StoreStatus room() const;

  /// How the last transaction went: kOk, kFull, kFailed; or kCorrupt or kMoved, which stay.
  [[nodiscard]] StoreStatus state() const { return state_.load(std::memory_order_relaxed); }

  [[nodiscard]] Stats stats() const;

  /// See above. Idempotent; not from `done`.
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

  std::unique_ptr<StoreFile> file_;  // the thread's, once it runs
  const Options options_;
  const StoreBatch probe_batch_;
  const StoreBatch unprobe_batch_;
  bool unscrubbed_ = false;  // the thread's: deleted rows may be on the disk still
  std::atomic<StoreStatus> state_{StoreStatus::kOk};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> batches_{0};

  mutable std::mutex mutex_;  // guards the five below
  std::condition_variable wake_;
  std::vector<Entry> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t kept_ = 0;  // at its head: that have been tried
  bool closing_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sluice
