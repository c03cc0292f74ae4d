// Writes a stream's frames to a browser's socket from the reactor, as HTTP/1.1 chunks.
//
// The descriptor is a duplicate of Node's: Node goes on reading, notices the client's leaving, and
// ends the response when the log has ended; the bytes in between are ours. What the kernel does not
// take at once is kept here and sent when the socket is writable again; the owner is told, and
// gives nothing new before that. Reactor's thread only. Ends with its destruction, which closes the
// descriptor exactly once.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/uv_handle.h"

namespace sluice {

/// A descriptor that is closed exactly once. Movable, not copyable.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  /// A duplicate of `fd` that child processes do not inherit; invalid when there is none to be had.
  static UniqueFd duplicate_of(int fd);

  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }
  int release();

 private:
  int fd_ = -1;
};

class SocketEgress {
 public:
  /// Told what became of a write that the kernel did not take at once. May destroy the egress.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Everything has been taken.
    virtual void on_drained(SocketEgress& egress) = 0;
    /// Some of it has been taken: the reader is alive.
    virtual void on_progress(SocketEgress& egress) = 0;
    /// The socket is dead.
    virtual void on_gone(SocketEgress& egress) = 0;
  };

  enum class Sent : std::uint8_t { kAll, kPending, kGone };

  /// @param id the owner's name for it.
  SocketEgress(uv_loop_t* loop, UniqueFd fd, std::uint64_t id, Owner& owner);
  SocketEgress(const SocketEgress&) = delete;
  SocketEgress& operator=(const SocketEgress&) = delete;
  ~SocketEgress();

  /// Sends `frames` (not empty) as one chunk. Only while nothing is pending.
  Sent send(std::string_view frames);

  [[nodiscard]] std::uint64_t id() const { return id_; }

 private:
  void wait_until_writable();
  void on_writable(int status);

  uv_loop_t* loop_;
  UniqueFd fd_;
  std::uint64_t id_;
  Owner& owner_;
  std::string pending_;           // what the kernel has not taken yet
  std::size_t pending_from_ = 0;  // of it, what it has
  UvHandle<uv_poll_t> poll_;      // made when the socket first fills up
};

}  // namespace sluice
