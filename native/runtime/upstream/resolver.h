// Looks up the addresses of host names without blocking the loop.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/time.h"
#include "runtime/loop/uv_handle.h"

namespace sluice {

using SocketAddress = sockaddr_storage;

/// Looks up the addresses of host names, each name once at a time, on a thread of its own.
/// Addresses are remembered for a minute; failures are not. The number of names is that of the
/// configuration.
///
/// Destroying it does not wait for running look-ups: their threads end by themselves. Loop thread
/// only; destroyed while the loop still runs.
class Resolver {
 public:
  class Waiter {
   public:
    /// @param addresses in the order to try them, without a port; empty if the look-up failed.
    /// Valid
    ///   during the call. The waiter is forgotten before.
    virtual void on_addresses(const std::vector<SocketAddress>& addresses) = 0;

   protected:
    ~Waiter() = default;
  };

  explicit Resolver(uv_loop_t* loop) : loop_(loop) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// The addresses of `host`, if it is an address itself or is remembered; else nullptr.
  const std::vector<SocketAddress>* known(const std::string& host, Nanos now);

  /// Looks `host` up, and calls `waiter` later, unless it is forgotten. False if the system has no
  /// descriptor or thread for it.
  bool look_up(const std::string& host, Waiter& waiter);
  void forget(Waiter& waiter);

 private:
  struct Mailbox;
  struct Host {
    std::vector<SocketAddress> addresses;
    Nanos expires_at = 0;
    bool running = false;  // its look-up
    std::list<Waiter*> waiters;
  };

  bool start();
  void take_results();

  uv_loop_t* loop_;
  std::unordered_map<std::string, Host> hosts_;
  std::shared_ptr<Mailbox> mailbox_;  // shared with the threads
  UvHandle<uv_async_t> wake_;
};

/// `text` as an IPv4 or IPv6 address; false if it is none.
bool parse_address(const std::string& text, SocketAddress& address);

void set_port(SocketAddress& address, std::uint16_t port);

/// Alternates between the families of addresses, beginning with the first one (RFC 8305, 4).
std::vector<SocketAddress> interleave(const std::vector<SocketAddress>& addresses);

}  // namespace sluice
