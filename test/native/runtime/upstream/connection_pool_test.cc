// Connections that are kept for later calls, in injected time.
#include "runtime/upstream/connection_pool.h"

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "runtime/upstream/loop_fixture.h"

namespace sluice {
namespace {

const std::string kOrigin = "model 8000";

class ConnectionPoolTest : public LoopTest {
 protected:
  struct Pair {
    UpstreamConnection client;
    UniqueFd server;
  };

  Pair connect() {
    Pair pair;
    const auto& address = reinterpret_cast<const sockaddr&>(listener_.address());
    EXPECT_EQ(UpstreamConnection::connect(&loop_, address, pair.client), 0);
    pair.server = listener_.accept();
    return pair;
  }

  // Keeps a new connection; the result is its server's end.
  UniqueFd keep(ConnectionPool& pool, const std::string& origin, Nanos now) {
    Pair pair = connect();
    pool.keep(origin, std::move(pair.client), now);
    return std::move(pair.server);
  }

  static bool is_closed(const UniqueFd& server) {
    char byte = 0;
    return recv(server.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  Listener listener_;
};

TEST_F(ConnectionPoolTest, GivesTheConnectionThatWasUsedLast) {
  ConnectionPool pool;
  EXPECT_FALSE(pool.take(kOrigin, 0).valid());
  const UniqueFd first = keep(pool, kOrigin, 0);
  const UniqueFd second = keep(pool, kOrigin, 1);
  const UniqueFd other = keep(pool, "other 8000", 2);
  UpstreamConnection taken = pool.take(kOrigin, 3);
  ASSERT_TRUE(taken.valid());
  ASSERT_EQ(send(taken.fd(), "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(recv(second.get(), &byte, 1, 0), 1) << "the last one";
  EXPECT_TRUE(pool.take(kOrigin, 3).valid());
  EXPECT_FALSE(pool.take(kOrigin, 3).valid()) << "that of another origin is not for this one";
  EXPECT_EQ(pool.size(), 1u);
}

// What the server does to an idle connection.
const std::array<std::function<void(int)>, 3> kDisturbances{
    [](int fd) { send(fd, "HTTP/1.1 200 OK\r\n", 17, MSG_NOSIGNAL); },
    [](int fd) { shutdown(fd, SHUT_WR); },
    [](int fd) {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }};

TEST_F(ConnectionPoolTest, ADisturbedConnectionIsNotGivenBeforeTheLoopHasSeenIt) {
  for (const auto& disturb : kDisturbances) {
    ConnectionPool pool;
    const UniqueFd silent = keep(pool, kOrigin, 0);
    {
      const UniqueFd disturbed = keep(pool, kOrigin, 1);
      disturb(disturbed.get());
    }
    UpstreamConnection taken = pool.take(kOrigin, 2);
    ASSERT_TRUE(taken.valid());
    EXPECT_EQ(pool.size(), 0u) << "the disturbed one is closed";
    ASSERT_EQ(send(taken.fd(), "x", 1, MSG_NOSIGNAL), 1);
    char byte = 0;
    EXPECT_EQ(recv(silent.get(), &byte, 1, 0), 1);
  }
}

TEST_F(ConnectionPoolTest, ADisturbedConnectionIsClosedByTheLoop) {
  for (const auto& disturb : kDisturbances) {
    ConnectionPool pool;
    const UniqueFd silent = keep(pool, kOrigin, 0);
    {
      const UniqueFd disturbed = keep(pool, kOrigin, 1);
      disturb(disturbed.get());
    }
    run_until([&] { return pool.size() == 1; });
    EXPECT_FALSE(is_closed(silent));
  }
}

TEST_F(ConnectionPoolTest, ConnectionsThatAreIdleForTooLongAreClosed) {
  ConnectionPool pool({.idle = 10 * kSecond});
  EXPECT_EQ(pool.next_deadline(), kNever);
  const UniqueFd first = keep(pool, kOrigin, 0);
  const UniqueFd second = keep(pool, kOrigin, 3 * kSecond);
  EXPECT_EQ(pool.next_deadline(), 10 * kSecond);
  pool.expire(10 * kSecond - 1);
  EXPECT_EQ(pool.size(), 2u);
  pool.expire(10 * kSecond);
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_TRUE(is_closed(first));
  EXPECT_EQ(pool.next_deadline(), 13 * kSecond);
  EXPECT_FALSE(pool.take(kOrigin, 13 * kSecond).valid()) << "also without a call of `expire`";
  EXPECT_TRUE(is_closed(second));
}

TEST_F(ConnectionPoolTest, TheOldestIsClosedBeyondTheLimit) {
  ConnectionPool pool({.connections = 2});
  const UniqueFd first = keep(pool, kOrigin, 0);
  const UniqueFd second = keep(pool, "other 8000", 1);
  const UniqueFd third = keep(pool, kOrigin, 2);
  EXPECT_EQ(pool.size(), 2u);
  EXPECT_TRUE(is_closed(first));
  EXPECT_FALSE(is_closed(second) || is_closed(third));
}

}  // namespace
}  // namespace sluice
