// Connects to the first of several addresses that answers.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/loop/uv_handle.h"
#include "runtime/upstream/connection.h"
#include "runtime/upstream/resolver.h"

namespace sluice {

/// Connects to the first of several addresses that answers (RFC 8305): tries the next one when an
/// attempt has failed, or has not succeeded in a while, and keeps the earlier attempts meanwhile.
/// Destroying it ends all attempts. Loop thread only; destroyed while the loop still runs.
class Dialer {
 public:
  class Events {
   public:
    /// The last call is one of these two; each may destroy the dialer.
    virtual void on_connected(UpstreamConnection connection) = 0;
    /// @param error number of the system's error, of the last attempt; of the last one with a route
    ///   to its address, if there was one. 0 if there was no address.
    virtual void on_unreachable(int error) = 0;

   protected:
    ~Events() = default;
  };

  struct Timing {
    std::uint64_t next_after_ms = 250;         ///< As RFC 8305, 8, recommends.
    std::uint64_t give_up_after_ms = 300'000;  ///< From the start; ETIMEDOUT.
  };

  /// Events come later, never from within this call.
  Dialer(uv_loop_t* loop, std::vector<SocketAddress> addresses, Timing timing, Events& events);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

 private:
  struct Attempt;

  void try_next();
  void arm();
  void on_timer();
  void on_settled(Attempt& attempt);
  void note(int error);
  [[nodiscard]] bool exhausted() const { return attempts_.empty() && next_ == addresses_.size(); }

  uv_loop_t* loop_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;  // of addresses_
  Timing timing_;
  Events& events_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  UvHandle<uv_timer_t> timer_;
  std::uint64_t gives_up_at_ms_;
  int last_error_ = 0;
};

}  // namespace sluice
