// The least that a relay can cost: epoll, one read from the upstream and one write to the client
// for each token (or group of tokens). It looks for `"content":"`, and does not validate the JSON.
// One thread; runs until it is killed.
//
// Usage: floor_relay --upstream PORT [--port 0]
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "common.h"

namespace sluice::bench {
namespace {

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string make_upstream_request() {
  const std::string body =
      R"({"model":"mock","messages":[{"role":"user","content":"bench"}],"stream":true})";
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
         "Content-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

class FloorRelay {
 public:
  FloorRelay(int port, int upstream_port)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_on(port)),
        upstream_port_(upstream_port),
        request_(make_upstream_request()) {
    watch(epoll_, listener_, EPOLLIN, static_cast<uint64_t>(listener_), true);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        const int fd = static_cast<int>(event.data.u64);
        if (fd == listener_) {
          accept_all();
        } else if (ends_[static_cast<size_t>(fd)].is_upstream) {
          on_upstream(fd, event.events);
        } else {
          on_client(fd);
        }
      }
    }
  }

 private:
  struct End {
    bool is_open = false;
    bool is_upstream = false;
    int peer = -1;
    uint64_t seq = 0;
    std::string carry;  // an unfinished line
  };

  End& end_of(int fd) {
    const auto at = static_cast<size_t>(fd);
    if (ends_.size() <= at) ends_.resize(at + 1);
    return ends_[at];
  }

  void open(int fd, bool is_upstream, uint32_t events) {
    End& end = end_of(fd);
    end = End{};
    end.is_open = true;
    end.is_upstream = is_upstream;
    watch(epoll_, fd, events, static_cast<uint64_t>(fd), true);
  }

  void accept_all() {
    for (int fd = accept_from(listener_); fd >= 0; fd = accept_from(listener_)) {
      open(fd, false, EPOLLIN);
    }
  }

  void on_client(int fd) {
    if (!end_of(fd).is_open) return;
    char bytes[4096];
    const ssize_t size = recv(fd, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      drop(fd);
      return;
    }
    if (end_of(fd).peer >= 0) return;
    send(fd, kHead.data(), kHead.size(), MSG_NOSIGNAL);
    const int upstream = connect_to(upstream_port_);
    if (upstream < 0) fail("cannot connect to the upstream");
    open(upstream, true, EPOLLOUT);
    end_of(upstream).peer = fd;
    end_of(fd).peer = upstream;
  }

  void on_upstream(int fd, uint32_t events) {
    End& end = end_of(fd);
    if (!end.is_open) return;
    if ((events & EPOLLOUT) != 0) {
      send(fd, request_.data(), request_.size(), MSG_NOSIGNAL);
      watch(epoll_, fd, EPOLLIN, static_cast<uint64_t>(fd), false);
      return;
    }
    char bytes[16384];
    const ssize_t size = recv(fd, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      drop(fd);
      return;
    }
    const std::string_view frames = relay(end, {bytes, static_cast<size_t>(size)});
    if (frames.empty()) return;
    // A client that is this slow has no place in a measurement of the floor.
    if (send(end.peer, frames.data(), frames.size(), MSG_NOSIGNAL) < 0) drop(fd);
  }

  // The frames for the whole lines in `bytes`.
  std::string_view relay(End& end, std::string_view bytes) {
    constexpr std::string_view kContent = "\"content\":\"";
    frames_.clear();
    if (!end.carry.empty()) {
      joined_.assign(end.carry).append(bytes);
      bytes = joined_;
    }
    size_t line_start = 0;
    for (size_t line_end = bytes.find('\n'); line_end != std::string_view::npos;
         line_end = bytes.find('\n', line_start)) {
      const std::string_view line = bytes.substr(line_start, line_end - line_start);
      line_start = line_end + 1;
      const size_t content = line.find(kContent);
      if (content == std::string_view::npos) continue;
      const std::string_view rest = line.substr(content + kContent.size());
      append_token_chunk(frames_, ++end.seq, rest.substr(0, rest.find('"')));
    }
    end.carry.assign(bytes.substr(line_start));
    return frames_;
  }

  void drop(int fd) {
    End& end = end_of(fd);
    end.is_open = false;
    const int peer = end.peer;
    end.peer = -1;
    close(fd);
    if (peer >= 0 && end_of(peer).is_open) drop(peer);
  }

  int epoll_;
  int listener_;
  int upstream_port_;
  std::string request_;
  std::string frames_;
  std::string joined_;
  std::vector<End> ends_;  // by descriptor
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  const sluice::bench::Arguments arguments(argc, argv);
  sluice::bench::FloorRelay relay(static_cast<int>(arguments.number("port", 0)),
                                  static_cast<int>(arguments.number("upstream", 0)));
  relay.run();
}
