// An HTTP server that answers every request with an event stream and writes one token into it per
// interval, with one write each: the mock upstream and the generator floor. One thread; runs until
// it is killed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace sluice::bench {

class PacedServer {
 public:
  // Appends the bytes of token `seq`, made at `sent_us`.
  using AppendToken = void (*)(std::string& out, uint64_t seq, int64_t sent_us);

  PacedServer(int port, int64_t interval_us, AppendToken append_token);
  [[noreturn]] void run();

 private:
  struct Connection {
    bool is_open = false;
    bool is_streaming = false;
    bool waits_for_room = false;
    uint32_t generation = 0;  // identifies turns of an earlier connection with this descriptor
    uint64_t seq = 0;
    std::string request;
    std::string unsent;
  };
  struct Turn {
    int64_t due_us;
    int fd;
    uint32_t generation;
  };

  void accept_all();
  void on_readable(int fd);
  void start_stream(int fd, Connection& connection);
  void take_turns();
  void send_or_keep(int fd, Connection& connection);
  void drop(int fd);

  int epoll_;
  int listener_;
  int64_t interval_us_;
  AppendToken append_token_;
  std::vector<Connection> connections_;  // by descriptor
  std::deque<Turn> turns_;               // in the order they fall due
};

}  // namespace sluice::bench
