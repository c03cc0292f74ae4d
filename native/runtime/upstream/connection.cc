#include "runtime/upstream/connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace sluice {

namespace {

constexpr int kKeepAliveSeconds = 60;

void set_option(int socket, int level, int name, int value) {
  setsockopt(socket, level, name, &value, sizeof value);
}

socklen_t size_of(const sockaddr& address) {
  return address.sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

}  // namespace

UpstreamConnection& UpstreamConnection::operator=(UpstreamConnection&& other) noexcept {
  if (this == &other) return *this;
  poll_ = std::move(other.poll_);
  fd_ = std::move(other.fd_);
  events_ = std::exchange(other.events_, 0);
  return *this;
}

int UpstreamConnection::connect(uv_loop_t* loop, const sockaddr& address,
                                UpstreamConnection& made) {
  UpstreamConnection connection;
#ifdef SOCK_CLOEXEC
  connection.fd_ = UniqueFd(socket(address.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
#else
  connection.fd_ = UniqueFd(socket(address.sa_family, SOCK_STREAM, IPPROTO_TCP));
#endif
  const int fd = connection.fd();
  if (fd < 0) return errno;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto* const poll = new uv_poll_t{};
  if (const int status = uv_poll_init_socket(loop, poll, fd);
      status != 0) {  // not blocking from here
    delete poll;
    return -status;
  }
  connection.poll_.reset(poll);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveSeconds);
#endif
#ifdef SO_NOSIGPIPE
  set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  if (::connect(fd, &address, size_of(address)) != 0 && errno != EINPROGRESS && errno != EINTR) {
    return errno;
  }
  made = std::move(connection);
  return 0;
}

int UpstreamConnection::error() const {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

void UpstreamConnection::watch(int events, SocketWatcher* watcher) {
  if (!poll_) return;
  poll_->data = watcher;
  // libuv stops watching a socket with an error.
  const bool active = uv_is_active(reinterpret_cast<uv_handle_t*>(poll_.get())) != 0;
  if (events == events_ && active == (events != 0)) return;
  events_ = events;
  if (events == 0) {
    uv_poll_stop(poll_.get());
    return;
  }
  uv_poll_start(poll_.get(), events, [](uv_poll_t* handle, int status, int happened) {
    static_cast<SocketWatcher*>(handle->data)->on_socket(status < 0 ? 0 : happened);
  });
}

bool UpstreamConnection::has_input() const {
  pollfd look{.fd = fd(), .events = POLLIN, .revents = 0};
  return !valid() || poll(&look, 1, 0) != 0;
}

}  // namespace sluice
