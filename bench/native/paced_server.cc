// Streams tokens at a given rate; see paced_server.h.
#include "paced_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "common.h"

namespace sluice::bench {
namespace {

// A reader that is further behind receives no more tokens until it has read some.
constexpr size_t kUnsentBytesMax = 64 * 1024;

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

PacedServer::PacedServer(int port, int64_t interval_us, AppendToken append_token)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      listener_(listen_on(port)),
      interval_us_(interval_us),
      append_token_(append_token) {
  watch(epoll_, listener_, EPOLLIN, static_cast<uint64_t>(listener_), true);
}

void PacedServer::run() {
  std::vector<epoll_event> events(512);
  for (;;) {
    int timeout_ms = -1;
    if (!turns_.empty()) {
      const int64_t wait_us = turns_.front().due_us - now_us();
      timeout_ms = wait_us <= 0 ? 0 : static_cast<int>(wait_us / 1000) + 1;
    }
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      const int fd = static_cast<int>(event.data.u64);
      if (fd == listener_) {
        accept_all();
        continue;
      }
      if ((event.events & EPOLLOUT) != 0) send_or_keep(fd, connections_[static_cast<size_t>(fd)]);
      if ((event.events & ~uint32_t{EPOLLOUT}) != 0) on_readable(fd);
    }
    take_turns();
  }
}

void PacedServer::accept_all() {
  for (int fd = accept_from(listener_); fd >= 0; fd = accept_from(listener_)) {
    const auto at = static_cast<size_t>(fd);
    if (connections_.size() <= at) connections_.resize(at + 1);
    const uint32_t generation = connections_[at].generation + 1;
    connections_[at] = Connection{};
    connections_[at].is_open = true;
    connections_[at].generation = generation;
    watch(epoll_, fd, EPOLLIN, static_cast<uint64_t>(fd), true);
  }
}

void PacedServer::on_readable(int fd) {
  Connection& connection = connections_[static_cast<size_t>(fd)];
  if (!connection.is_open) return;
  char bytes[4096];
  const ssize_t size = recv(fd, bytes, sizeof bytes, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    drop(fd);
    return;
  }
  if (connection.is_streaming) return;
  connection.request.append(bytes, static_cast<size_t>(size));
  const size_t head = connection.request.find("\r\n\r\n");
  if (head == std::string::npos) return;
  const std::string length(
      header_value(std::string_view(connection.request).substr(0, head), "content-length"));
  const size_t body = static_cast<size_t>(std::strtoul(length.c_str(), nullptr, 10));
  if (connection.request.size() >= head + 4 + body) start_stream(fd, connection);
}

void PacedServer::start_stream(int fd, Connection& connection) {
  connection.is_streaming = true;
  connection.request = {};
  connection.unsent.append(kHead);
  turns_.push_back({now_us() + interval_us_, fd, connection.generation});
  send_or_keep(fd, connection);
}

void PacedServer::take_turns() {
  while (!turns_.empty()) {
    const int64_t now = now_us();
    const Turn turn = turns_.front();
    if (turn.due_us > now) return;
    turns_.pop_front();
    Connection& connection = connections_[static_cast<size_t>(turn.fd)];
    if (!connection.is_open || connection.generation != turn.generation) continue;
    turns_.push_back({turn.due_us + interval_us_, turn.fd, turn.generation});
    if (connection.unsent.size() > kUnsentBytesMax) continue;
    append_token_(connection.unsent, ++connection.seq, now);
    send_or_keep(turn.fd, connection);
  }
}

void PacedServer::send_or_keep(int fd, Connection& connection) {
  if (!connection.is_open || connection.unsent.empty()) return;
  const ssize_t sent = send(fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    drop(fd);
    return;
  }
  connection.unsent.erase(0, static_cast<size_t>(std::max<ssize_t>(sent, 0)));
  const bool waits = !connection.unsent.empty();
  if (waits == connection.waits_for_room) return;
  connection.waits_for_room = waits;
  const uint32_t events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN;
  watch(epoll_, fd, events, static_cast<uint64_t>(fd), false);
}

void PacedServer::drop(int fd) {
  Connection& connection = connections_[static_cast<size_t>(fd)];
  connection.is_open = false;
  connection.request = {};
  connection.unsent = {};
  close(fd);
}

}  // namespace sluice::bench
