// Writes a stream's frames to a client's socket from the reactor, as HTTP/1.1 chunks.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "runtime/loop/uv_handle.h"
#include "runtime/net/unique_fd.h"

namespace sluice {

/// Writes the chunks of one response to a duplicate of Node's descriptor.
///
/// By default Node keeps its descriptor: it reads from the socket, detects a disconnect, and ends
/// the response; this class writes the body in between. After `take_over` Node has closed its
/// descriptor: this class detects the disconnect, writes the last chunk, and can return the
/// descriptor.
///
/// Bytes that the kernel does not accept at once are buffered and sent when the socket is writable
/// again. The owner is notified then and sends no more before that. Reactor's thread only. The
/// destructor closes the descriptor.
class SocketEgress {
 public:
  /// Receives the progress of buffered writes and the disconnect of the client. May destroy the
  /// egress from a callback.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The kernel has accepted all bytes.
    virtual void on_drained(SocketEgress& egress) = 0;
    /// The kernel has accepted some bytes: the reader is alive.
    virtual void on_progress(SocketEgress& egress) = 0;
    /// The client has disconnected, or the connection has failed.
    virtual void on_gone(SocketEgress& egress) = 0;
  };

  /// The longest time without an acknowledgement (TCP_USER_TIMEOUT), after which the client counts
  /// as disconnected. A machine or network that fails sends no packet, and heartbeats are too small
  /// to fill the send buffer. Long enough for a network that recovers, and for a slow reader. Linux
  /// only.
  static constexpr Nanos kSilenceMax = 60 * kSecond;

  enum class Sent : std::uint8_t { kAll, kPending, kGone };

  /// @param id identifies the egress to its owner.
  SocketEgress(uv_loop_t* loop, UniqueFd fd, std::uint64_t id, Owner& owner,
               Nanos silence_max = kSilenceMax);
  SocketEgress(const SocketEgress&) = delete;
  SocketEgress& operator=(const SocketEgress&) = delete;
  ~SocketEgress();

  /// Call it once Node has closed its descriptor. From now on this object watches for the
  /// client's disconnect, which includes a FIN, as in Node. Bytes that the client sends stay in the
  /// kernel for the next reader.
  /// @param head of the response, which leaves with the first chunk; empty: Node has sent it.
  void take_over(std::string head = {});

  /// Sends `frames` (not empty) as one chunk. Only while nothing is pending.
  /// @param last the end of the stream: kGone if the client has left by now. After `take_over` the
  ///   last chunk, too; otherwise Node ends the body.
  Sent send(std::string_view frames, bool last = false);

  /// Stops watching a socket that was taken over and returns its descriptor, for the client's next
  /// request. Writes the last chunk unless `send` did. Only while nothing is pending; no `send` may
  /// follow. Returns an invalid descriptor, and closes the socket, if that chunk cannot be sent.
  [[nodiscard]] UniqueFd release();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool sole() const { return sole_; }

 private:
  bool watch(int events);
  void on_event(int status, int events);
  void on_writable();
  void on_dead();
  [[nodiscard]] bool at_end_of_input();
  [[nodiscard]] bool has_left() const;

  uv_loop_t* loop_;
  UniqueFd fd_;
  std::uint64_t id_;
  Owner& owner_;
  std::string head_;              // of the response, until the first chunk
  std::string pending_;           // bytes that the kernel has not accepted yet
  std::size_t pending_from_ = 0;  // the bytes of it that have been accepted
  UvHandle<uv_poll_t> poll_;      // created by take_over, or when the socket first fills up
  bool sole_ = false;             // take_over was called
  bool body_ended_ = false;       // the last chunk is sent, or pending
  int idle_events_ = 0;           // events to watch while nothing is pending
};

}  // namespace sluice
