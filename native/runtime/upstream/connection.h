// A TCP connection to an upstream, watched on a loop.
#pragma once

#include <uv.h>

#include "runtime/loop/uv_handle.h"
#include "runtime/net/unique_fd.h"

namespace sluice {

/// Is called when a watched socket is ready.
class SocketWatcher {
 public:
  /// @param events of uv_poll_event; 0 for an error of the socket, which ends the watch.
  virtual void on_socket(int events) = 0;

 protected:
  ~SocketWatcher() = default;
};

/// A TCP connection, or the attempt to make one. Empty after a move. Loop thread only; destroyed
/// while the loop still runs.
class UpstreamConnection {
 public:
  UpstreamConnection() = default;
  UpstreamConnection(UpstreamConnection&&) noexcept = default;
  UpstreamConnection& operator=(UpstreamConnection&& other) noexcept;
  UpstreamConnection(const UpstreamConnection&) = delete;
  UpstreamConnection& operator=(const UpstreamConnection&) = delete;
  ~UpstreamConnection() = default;

  /// Begins to connect; the socket becomes writable once that has succeeded or failed. Child
  /// processes do not inherit it.
  /// @return 0, or the number of the system's error.
  static int connect(uv_loop_t* loop, const sockaddr& address, UpstreamConnection& made);

  /// How the attempt went: 0, or the number of the system's error.
  [[nodiscard]] int error() const;

  /// Watches for these events of uv_poll_event only, 0 for none. `watcher` must outlive the watch.
  void watch(int events, SocketWatcher* watcher);

  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Whether there is anything to read: bytes, a close, or an error.
  [[nodiscard]] bool has_input() const;

 private:
  UniqueFd fd_;
  UvHandle<uv_poll_t> poll_;  // closed before the descriptor, whose number can be reused at once
  int events_ = 0;
};

}  // namespace sluice
