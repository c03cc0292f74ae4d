// StreamBuffer for callers that may block: plain C++ threads, never a reactor or the JS thread.
//
// Any number of threads; each call blocks its own thread until it is settled. close() on the
// buffer ends every wait.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/streams/stream_buffer.h"

namespace sluice {

/// Where one blocked thread sleeps until it is told that its turn may have come.
class TurnGate {
 public:
  void tell() {
    const std::lock_guard lock(mutex_);
    told_ = true;
    told_changed_.notify_one();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    told_changed_.wait(lock, [this] { return told_; });
    told_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_changed_;
  bool told_ = false;
};

/// Writes `chunk`, waiting while the buffer is full. False when the buffer is or gets closed; the
/// chunk is then not stored.
template <typename Chunk>
bool write_blocking(StreamBuffer<Chunk>& buffer, Chunk chunk) {
  // Shared: a turn may be notified once more after it was claimed.
  const auto gate = std::make_shared<TurnGate>();
  const auto written = buffer.write(std::move(chunk), [gate](Ticket) { gate->tell(); });
  BufferStatus status = written.status;
  while (status == BufferStatus::kWaiting) {
    gate->wait();
    status = buffer.claim_write(written.ticket);
  }
  return status == BufferStatus::kDone;
}

/// Reads the next chunk, waiting while there is none. Empty once the buffer is closed and drained.
template <typename Chunk>
std::optional<Chunk> read_blocking(StreamBuffer<Chunk>& buffer) {
  const auto gate = std::make_shared<TurnGate>();
  auto result = buffer.read([gate](Ticket) { gate->tell(); });
  const Ticket ticket = result.ticket;
  while (result.status == BufferStatus::kWaiting) {
    gate->wait();
    result = buffer.claim_read(ticket);
  }
  if (result.status == BufferStatus::kClosed) return std::nullopt;
  return std::move(result.chunk);
}

}  // namespace sluice
