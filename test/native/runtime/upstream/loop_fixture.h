// A libuv loop of the test's own thread, and listening sockets on loopback.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/net/unique_fd.h"
#include "runtime/upstream/resolver.h"

namespace sluice {

/// Listens on a port of 127.0.0.1.
class Listener {
 public:
  explicit Listener(int backlog = 16) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto& address = reinterpret_cast<sockaddr_in&>(address_);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    listen(fd_.get(), backlog);
  }

  [[nodiscard]] const SocketAddress& address() const { return address_; }
  [[nodiscard]] UniqueFd accept() const { return UniqueFd(::accept(fd_.get(), nullptr, nullptr)); }

 private:
  UniqueFd fd_;
  SocketAddress address_{};
};

/// An address where nothing listens.
inline SocketAddress refusing_address() {
  return Listener().address();
}

/// An address that answers no attempt to connect: its queue of connections is full.
class SilentAddress {
 public:
  SilentAddress() : listener_(0) {
    for (int i = 0; i < 4; ++i) {
      clients_.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const auto& address = reinterpret_cast<const sockaddr&>(listener_.address());
      (void)connect(clients_.back().get(), &address, sizeof(sockaddr_in));
    }
  }

  [[nodiscard]] const SocketAddress& address() const { return listener_.address(); }

 private:
  Listener listener_;
  std::vector<UniqueFd> clients_;
};

class LoopTest : public testing::Test {
 protected:
  LoopTest() { uv_loop_init(&loop_); }
  ~LoopTest() override {
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "a handle was left open";
  }

  /// Turns the loop until `done`, which waits for events.
  void run_until(const std::function<bool()>& done) {
    while (!done()) uv_run(&loop_, UV_RUN_ONCE);
  }

  uv_loop_t loop_{};
};

}  // namespace sluice
