// A TCP connection to Redis on a reactor's loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/transport.h"
#include "runtime/loop/reactor.h"
#include "runtime/loop/uv_handle.h"

namespace sluice {

/// Plain TCP by libuv, with keep-alive and without Nagle's delay. After each event the reactor
/// advances its machines. Reactor's thread only; destroyed, or closed, while its loop still runs.
class TcpTransport final : public redis::Transport {
 public:
  explicit TcpTransport(Reactor& reactor) : reactor_(reactor) {}
  ~TcpTransport() override { close(); }
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;

  void open(const redis::Address& address, Events& events) override;
  void write(std::string bytes) override;
  void close() override;

 private:
  struct Write;

  int connect(const redis::Address& address);
  void begin();
  void fail(int status);
  void queue(std::string bytes);
  void on_read(std::string_view bytes);
  void on_written(int status);

  Reactor& reactor_;
  Events* events_ = nullptr;
  UvHandle<uv_tcp_t> tcp_;
  UvHandle<uv_timer_t> failing_;  // reports a failure in `open` or `write` later
  int failure_ = 0;
  std::vector<char> input_;
};

}  // namespace sluice
