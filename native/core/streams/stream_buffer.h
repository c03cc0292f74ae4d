// A bounded buffer of chunks between writers and readers, which wait in line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

/// Identifies a waiting write or read; 0: none. Tickets of one buffer are never reused.
using Ticket = std::uint64_t;

enum class BufferStatus {
  kDone,     ///< the chunk was stored, or a chunk was read
  kWaiting,  ///< not yet: wait for on_turn, then claim
  kClosed,   ///< write: the buffer is closed, the chunk was not stored. read: closed and drained
};

/// A bounded FIFO buffer of chunks. `Chunk` is any default-constructible, movable type; an empty
/// chunk is a chunk like any other.
///
/// Thread-safe: one mutex guards all state, and no callback runs while it is locked. `close` ends
/// every wait.
///
/// A caller that has to wait gets a Ticket and a place in a line. When its turn comes, its
/// `on_turn` runs on the thread whose call caused that, and the caller then claims the ticket. No
/// chunk moves before the claim: until then `abort` removes the waiter from the line, and those
/// after it move up. So an aborted reader loses no chunk, and an aborted writer leaves none behind.
///
/// Two lines, both first come, first served:
///
///   entries_  [ stored ... | chunks of waiting writers ... ]   at most `capacity` stored
///   readers_  [ ready  ... | waiting ...                   ]   as many ready as chunks stored
///
/// Turns come in the order of the line, and chunks leave oldest first in the order of the claims.
/// So each reader sees each writer's chunks in order, despite aborts.
template <typename Chunk>
class StreamBuffer {
 public:
  /// Called when the ticket's turn may have come; claim decides. It may be called more than once,
  /// and once more after an abort on another thread, so its captures must outlive the waiter.
  using OnTurn = std::function<void(Ticket)>;

  struct WriteResult {
    BufferStatus status;
    Ticket ticket;  ///< set when waiting
  };
  struct ReadResult {
    BufferStatus status;
    Ticket ticket;  ///< set when waiting
    Chunk chunk;    ///< set when done
  };

  /// `capacity` is in chunks, at least 1.
  explicit StreamBuffer(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {}
  StreamBuffer(const StreamBuffer&) = delete;
  StreamBuffer& operator=(const StreamBuffer&) = delete;

  /// Stores `chunk`, or joins the line when the buffer is full: a chunk takes up room until it is
  /// read or claimed. kClosed after close(). On other threads `on_turn` may run before this
  /// returns.
  WriteResult write(Chunk chunk, OnTurn on_turn) {
    Turns turns;
    std::unique_lock lock(mutex_);
    WriteResult result{store(chunk, turns), 0};
    if (result.status == BufferStatus::kWaiting) {
      result.ticket = ++last_ticket_;
      entries_.push_back(Entry{std::move(chunk), result.ticket, false});
      const auto entry = std::prev(entries_.end());
      if (first_unstored_ == entries_.end()) first_unstored_ = entry;
      waiters_.emplace(result.ticket, Waiter{std::move(on_turn), Place::kWriterInLine, entry, {}});
    }
    lock.unlock();
    call(turns);
    return result;
  }

  /// Stores `chunk` if there is room for it now. kWaiting: there is none, and the chunk is dropped.
  BufferStatus try_write(Chunk chunk) {
    Turns turns;
    std::unique_lock lock(mutex_);
    const BufferStatus status = store(chunk, turns);
    lock.unlock();
    call(turns);
    return status;
  }

  /// Takes the oldest chunk, or joins the line when there is none to take or others came first.
  /// kClosed once the buffer is closed and drained. `on_turn` may run before this returns.
  ReadResult read(OnTurn on_turn) {
    Turns turns;
    std::unique_lock lock(mutex_);
    ReadResult result = take(turns);
    if (result.status == BufferStatus::kWaiting) {
      result.ticket = ++last_ticket_;
      readers_.push_back(Reader{result.ticket, false});
      const auto reader = std::prev(readers_.end());
      if (first_unready_ == readers_.end()) first_unready_ = reader;
      waiters_.emplace(result.ticket, Waiter{std::move(on_turn), Place::kReader, {}, reader});
      rebalance(turns);
    }
    lock.unlock();
    call(turns);
    return result;
  }

  /// Takes the oldest chunk if a read would not have to wait for it; kWaiting, without a ticket, if
  /// it would.
  ReadResult try_read() {
    Turns turns;
    std::unique_lock lock(mutex_);
    ReadResult result = take(turns);
    lock.unlock();
    call(turns);
    return result;
  }

  /// Settles a waiting write. kDone and kClosed spend the ticket: from then on it cannot be
  /// aborted. kWaiting: the turn has not come, or was withdrawn, or the ticket is spent.
  BufferStatus claim_write(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    const auto found = waiters_.find(ticket);
    if (found == waiters_.end()) return BufferStatus::kWaiting;
    const Waiter& waiter = found->second;
    BufferStatus status = BufferStatus::kWaiting;
    if (waiter.place == Place::kWriterTaken) status = BufferStatus::kDone;
    if (waiter.place == Place::kWriterRefused) status = BufferStatus::kClosed;
    if (waiter.place == Place::kWriterInLine && waiter.entry->stored) {
      waiter.entry->writer = 0;
      status = BufferStatus::kDone;
    }
    if (status != BufferStatus::kWaiting) waiters_.erase(found);
    return status;
  }

  /// Settles a waiting read; statuses as for claim_write.
  ReadResult claim_read(Ticket ticket) {
    Turns turns;
    std::unique_lock lock(mutex_);
    ReadResult result{BufferStatus::kWaiting, ticket, Chunk{}};
    const auto found = waiters_.find(ticket);
    if (found == waiters_.end() || found->second.place != Place::kReader) return result;
    const auto reader = found->second.reader;
    if (!reader->ready) return result;
    if (stored_ > 0) {
      result.status = BufferStatus::kDone;
      result.chunk = take_oldest();
    } else {
      result.status = BufferStatus::kClosed;
    }
    drop(reader);
    waiters_.erase(found);
    rebalance(turns);
    lock.unlock();
    call(turns);
    return result;
  }

  /// Takes a waiter out of its line, whether or not its turn has come, and passes the turn on.
  /// False when that is too late (claimed, refused by close, or its chunk has been read already)
  /// or the ticket is unknown; a ticket not yet claimed is then still to be claimed.
  bool abort(Ticket ticket) {
    Turns turns;
    std::unique_lock lock(mutex_);
    const auto found = waiters_.find(ticket);
    if (found == waiters_.end()) return false;
    const Waiter& waiter = found->second;
    if (waiter.place == Place::kReader) {
      drop(waiter.reader);
    } else if (waiter.place == Place::kWriterInLine) {
      drop(waiter.entry);
    } else {
      return false;
    }
    waiters_.erase(found);
    rebalance(turns);
    lock.unlock();
    call(turns);
    return true;
  }

  /// Refuses waiting and later writes, and wakes every reader: the first in line get the stored
  /// chunks, the others see the end. A second close does nothing.
  void close() {
    Turns turns;
    std::unique_lock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    for (auto entry = first_unstored_; entry != entries_.end(); entry = entries_.erase(entry)) {
      waiters_.at(entry->writer).place = Place::kWriterRefused;
      tell(entry->writer, turns);
    }
    first_unstored_ = entries_.end();
    rebalance(turns);
    lock.unlock();
    call(turns);
  }

  /// Stored chunks, without those reserved for readers in line.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return stored_ - std::min(stored_, readers_.size());
  }

  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  struct Entry {
    Chunk chunk;
    Ticket writer;  // 0: no writer waits for this entry
    bool stored;
  };
  struct Reader {
    Ticket ticket;
    bool ready;
  };
  using Entries = std::list<Entry>;
  using Readers = std::list<Reader>;
  enum class Place { kReader, kWriterInLine, kWriterTaken, kWriterRefused };
  struct Waiter {
    OnTurn on_turn;
    Place place;
    typename Entries::iterator entry;
    typename Readers::iterator reader;
  };
  using Turns = std::vector<std::pair<OnTurn, Ticket>>;

  // Moves the chunk into the buffer where there is room; kWaiting leaves it as it is.
  BufferStatus store(Chunk& chunk, Turns& turns) {
    if (closed_) return BufferStatus::kClosed;
    if (entries_.size() >= capacity_) return BufferStatus::kWaiting;
    entries_.push_back(Entry{std::move(chunk), 0, true});
    ++stored_;
    rebalance(turns);
    return BufferStatus::kDone;
  }

  ReadResult take(Turns& turns) {
    if (!readers_.empty()) return {BufferStatus::kWaiting, 0, Chunk{}};
    if (stored_ == 0) {
      return {closed_ ? BufferStatus::kClosed : BufferStatus::kWaiting, 0, Chunk{}};
    }
    ReadResult result{BufferStatus::kDone, 0, take_oldest()};
    rebalance(turns);
    return result;
  }

  void tell(Ticket ticket, Turns& turns) {
    turns.emplace_back(waiters_.at(ticket).on_turn, ticket);
  }

  static void call(const Turns& turns) {
    for (const auto& [on_turn, ticket] : turns) on_turn(ticket);
  }

  // Moves both boundaries to where they belong, and collects the tickets whose turn has come.
  void rebalance(Turns& turns) {
    while (stored_ < capacity_ && first_unstored_ != entries_.end()) {
      first_unstored_->stored = true;
      tell(first_unstored_->writer, turns);
      ++first_unstored_;
      ++stored_;
    }
    const std::size_t ready = closed_ ? readers_.size() : std::min(readers_.size(), stored_);
    for (; ready_ < ready; ++ready_, ++first_unready_) {
      first_unready_->ready = true;
      tell(first_unready_->ticket, turns);
    }
    // An aborted writer took its chunk back: the last reader that was called waits again.
    for (; ready_ > ready; --ready_) {
      --first_unready_;
      first_unready_->ready = false;
    }
  }

  Chunk take_oldest() {
    const auto entry = entries_.begin();
    if (entry->writer != 0) waiters_.at(entry->writer).place = Place::kWriterTaken;
    Chunk chunk = std::move(entry->chunk);
    entries_.erase(entry);
    --stored_;
    return chunk;
  }

  void drop(typename Readers::iterator reader) {
    if (reader == first_unready_) ++first_unready_;
    if (reader->ready) --ready_;
    readers_.erase(reader);
  }

  void drop(typename Entries::iterator entry) {
    if (entry == first_unstored_) ++first_unstored_;
    if (entry->stored) --stored_;
    entries_.erase(entry);
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  Entries entries_;
  Readers readers_;
  typename Entries::iterator first_unstored_ = entries_.end();
  typename Readers::iterator first_unready_ = readers_.end();
  std::size_t stored_ = 0;
  std::size_t ready_ = 0;
  std::unordered_map<Ticket, Waiter> waiters_;
  Ticket last_ticket_ = 0;
  bool closed_ = false;
};

}  // namespace sluice
