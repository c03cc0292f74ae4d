// Writes a stream's frames to a browser's socket from the reactor, as HTTP/1.1 chunks.
//
// The descriptor is a duplicate of Node's. Either Node goes on reading, notices the client's
// leaving, and ends the response when the log has ended; the bytes in between are ours. Or Node has
// let go of its own (`take_over`): then the client's leaving is noticed here, the last chunk ends
// the response, and the descriptor may be given back afterwards.
//
// What the kernel does not take at once is kept here and sent when the socket is writable again;
// the owner is told, and gives nothing new before that. Reactor's thread only. Ends with its
// destruction, which closes the descriptor exactly once.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "runtime/loop/uv_handle.h"
#include "runtime/net/unique_fd.h"

namespace sluice {

class SocketEgress {
 public:
  /// Told what became of a write that the kernel did not take at once, and of a client that has
  /// left. May destroy the egress.
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

  /// A client whose machine or network is gone says so by no packet, and heartbeats are too small
  /// to fill the kernel: it is dead when nothing has been acknowledged for so long. Long enough for
  /// a network that comes back, and for a reader who takes little at a time. Linux only.
  static constexpr Nanos kSilenceMax = 60 * kSecond;

  enum class Sent : std::uint8_t { kAll, kPending, kGone };

  /// @param id the owner's name for it.
  SocketEgress(uv_loop_t* loop, UniqueFd fd, std::uint64_t id, Owner& owner,
               Nanos silence_max = kSilenceMax);
  SocketEgress(const SocketEgress&) = delete;
  SocketEgress& operator=(const SocketEgress&) = delete;
  ~SocketEgress();

  /// Nobody else has the socket any more: from now on it is watched for the client's leaving, by a
  /// FIN too, as Node does. What the client sends is not read; it waits for whoever is next.
  void take_over();

  /// Sends `frames` (not empty) as one chunk. Only while nothing is pending.
  /// @param last ends the body with it: of a socket that was taken over, Node ends its own.
  Sent send(std::string_view frames, bool last = false);

  /// The descriptor, no longer watched, of a socket that was taken over: for the client's next
  /// request. Ends the body where no batch was the last. Only while nothing is pending; nothing may
  /// be sent after. Invalid, and the descriptor closed, when the end could not be sent.
  [[nodiscard]] UniqueFd release();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool sole() const { return sole_; }

 private:
  bool watch(int events);
  void on_event(int status, int events);
  void on_writable();
  void on_dead();
  [[nodiscard]] bool at_end_of_input();

  uv_loop_t* loop_;
  UniqueFd fd_;
  std::uint64_t id_;
  Owner& owner_;
  std::string pending_;           // what the kernel has not taken yet
  std::size_t pending_from_ = 0;  // of it, what it has
  UvHandle<uv_poll_t> poll_;      // made when the socket is taken over, or first fills up
  bool sole_ = false;             // it was taken over
  bool body_ended_ = false;       // the last chunk is sent, or pending
  int idle_events_ = 0;           // what to watch for while nothing is pending
};

}  // namespace sluice
