// Connections that are kept for later calls.
#pragma once

#include <uv.h>

#include <cstddef>
#include <list>
#include <string>

#include "core/base/time.h"
#include "runtime/upstream/connection.h"

namespace sluice {

/// Connections that are kept for later calls, by origin. While a connection is idle any byte or
/// close on it ends it: the byte belongs to no request. Loop thread only; destroyed while the loop
/// still runs.
class ConnectionPool {
 public:
  struct Limits {
    std::size_t connections = 256;  ///< Of all origins; beyond it the one idle longest is closed.
    Nanos idle = 118 * kSecond;     ///< The longest time that one is kept, as with libcurl.
  };

  ConnectionPool() : ConnectionPool(Limits{}) {}
  explicit ConnectionPool(Limits limits) : limits_(limits) {}

  void keep(const std::string& origin, UpstreamConnection connection, Nanos now);

  /// The connection to `origin` that was used last, of those that are open and silent; invalid if
  /// there is none. Others that it finds are closed. The caller must watch it before the loop
  /// turns.
  UpstreamConnection take(const std::string& origin, Nanos now);

  /// Closes the connections that have been idle for too long.
  void expire(Nanos now);
  [[nodiscard]] Nanos next_deadline() const {
    return idle_.empty() ? kNever : deadline_after(idle_.back().since, limits_.idle);
  }

  [[nodiscard]] std::size_t size() const { return idle_.size(); }

 private:
  struct Idle final : public SocketWatcher {
    Idle(ConnectionPool& owner, const std::string& its_origin, UpstreamConnection its_connection,
         Nanos now);
    void on_socket(int events) override;

    ConnectionPool& pool;
    std::string origin;
    UpstreamConnection connection;
    Nanos since;
  };

  Limits limits_;
  std::list<Idle> idle_;  // the one that was used last first
};

}  // namespace sluice
