// The link to Redis on a reactor.
#pragma once

#include <functional>
#include <random>

#include "core/base/executor.h"
#include "core/redis/link.h"
#include "runtime/loop/reactor.h"
#include "runtime/redis/tcp_transport.h"

namespace sluice {

/// A machine with the link and its two sockets.
///
/// Reactor's thread only, except the constructor and `link().figures()`. Ends with its reactor, or
/// when it is removed from it: the sockets are closed on that thread, pipelines that are owed an
/// answer are reported as lost, and so are later ones, for as long as the machine is advanced.
class RedisLink final : public Machine {
 public:
  /// @param reactor, observer outlive the link.
  RedisLink(redis::LinkOptions options, Reactor& reactor, redis::LinkObserver& observer)
      : random_(std::random_device{}()),
        writer_(reactor),
        subscriber_(reactor),
        link_(std::move(options), writer_, subscriber_, observer,
              [this] { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }) {}

  [[nodiscard]] redis::Link& link() { return link_; }
  [[nodiscard]] const redis::Link& link() const { return link_; }

  [[nodiscard]] Nanos next_deadline() const override { return link_.next_deadline(); }
  void advance(Nanos now) override { link_.advance(now); }
  void retire() override { link_.close(); }

 private:
  std::mt19937 random_;
  TcpTransport writer_;
  TcpTransport subscriber_;
  redis::Link link_;
};

}  // namespace sluice
