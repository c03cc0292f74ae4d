#include "runtime/upstream/connection_pool.h"

#include <utility>

namespace sluice {

ConnectionPool::Idle::Idle(ConnectionPool& owner, const std::string& its_origin,
                           UpstreamConnection its_connection, Nanos now)
    : pool(owner), origin(its_origin), connection(std::move(its_connection)), since(now) {
  connection.watch(UV_READABLE, this);
}

void ConnectionPool::Idle::on_socket(int /*events*/) {
  pool.idle_.remove_if([this](const Idle& each) { return &each == this; });
}

void ConnectionPool::keep(const std::string& origin, UpstreamConnection connection, Nanos now) {
  idle_.emplace_front(*this, origin, std::move(connection), now);
  if (idle_.size() > limits_.connections) idle_.pop_back();
}

UpstreamConnection ConnectionPool::take(const std::string& origin, Nanos now) {
  expire(now);
  for (auto each = idle_.begin(); each != idle_.end();) {
    if (each->origin != origin) {
      ++each;
      continue;
    }
    UpstreamConnection connection = std::move(each->connection);
    each = idle_.erase(each);
    if (!connection.has_input()) return connection;
  }
  return {};
}

void ConnectionPool::expire(Nanos now) {
  while (next_deadline() <= now) idle_.pop_back();
}

}  // namespace sluice
