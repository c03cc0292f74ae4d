// Connecting to the first of several addresses that answers.
#include "runtime/upstream/dialer.h"

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "runtime/upstream/loop_fixture.h"

namespace sluice {
namespace {

// Longer than any test runs.
constexpr std::uint64_t kLongMs = 3'600'000;

class DialerTest : public LoopTest, public Dialer::Events {
 protected:
  void dial(std::vector<SocketAddress> addresses, Dialer::Timing timing) {
    dialer_ = std::make_unique<Dialer>(&loop_, std::move(addresses), timing, *this);
    EXPECT_FALSE(connection_.valid() || error_) << "events come later";
  }
  void wait() {
    run_until([this] { return connection_.valid() || error_; });
  }
  [[nodiscard]] std::uint16_t peer_port() const {
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    getpeername(connection_.fd(), reinterpret_cast<sockaddr*>(&peer), &length);
    return peer.sin_port;
  }
  static std::uint16_t port_of(const Listener& listener) {
    return reinterpret_cast<const sockaddr_in&>(listener.address()).sin_port;
  }

  void on_connected(UpstreamConnection connection) override {
    dialer_.reset();
    connection_ = std::move(connection);
  }
  void on_unreachable(int error) override {
    dialer_.reset();
    error_ = error;
  }

  std::unique_ptr<Dialer> dialer_;
  UpstreamConnection connection_;
  std::optional<int> error_;
};

TEST_F(DialerTest, UsesTheFirstAddressThatAnswers) {
  const Listener first;
  const Listener second;
  dial({first.address(), second.address()}, {.next_after_ms = kLongMs});
  wait();
  EXPECT_EQ(peer_port(), port_of(first));
  connection_ = {};
}

TEST_F(DialerTest, TriesTheNextAddressAtOnceWhenOneRefuses) {
  const Listener last;
  dial({refusing_address(), refusing_address(), last.address()}, {.next_after_ms = kLongMs});
  wait();
  EXPECT_EQ(peer_port(), port_of(last));
  connection_ = {};
}

TEST_F(DialerTest, TriesTheNextAddressWhenOneIsSilent) {
  const SilentAddress silent;
  const Listener last;
  dial({silent.address(), last.address()}, {.next_after_ms = 5, .give_up_after_ms = kLongMs});
  wait();
  EXPECT_EQ(peer_port(), port_of(last));
  connection_ = {};
}

TEST_F(DialerTest, ReportsTheLastErrorWhenAllRefuse) {
  dial({refusing_address(), refusing_address()}, {});
  wait();
  EXPECT_EQ(error_, ECONNREFUSED);
}

TEST_F(DialerTest, ReportsARefusalRatherThanAnAddressWithoutARoute) {
  SocketAddress unreachable{};
  ASSERT_TRUE(parse_address("255.255.255.255", unreachable));
  set_port(unreachable, 1);
  dial({unreachable, refusing_address(), unreachable}, {});
  wait();
  EXPECT_EQ(error_, ECONNREFUSED);
}

TEST_F(DialerTest, FailsAfterTheLastAddress) {
  const SilentAddress silent;
  dial({silent.address(), silent.address()}, {.next_after_ms = 2, .give_up_after_ms = 20});
  wait();
  EXPECT_EQ(error_, ETIMEDOUT);
}

TEST_F(DialerTest, ReportsAnAddressThatTheSystemRejects) {
  SocketAddress broadcast{};
  ASSERT_TRUE(parse_address("255.255.255.255", broadcast));
  set_port(broadcast, 1);
  dial({broadcast}, {});
  wait();
  ASSERT_TRUE(error_);
  EXPECT_NE(*error_, 0);
}

TEST_F(DialerTest, WithoutAnAddressThereIsNoError) {
  dial({}, {});
  wait();
  EXPECT_EQ(error_, 0);
}

TEST_F(DialerTest, LeavesNothingBehindWhenItIsDropped) {
  const SilentAddress silent;
  dial({silent.address(), silent.address()}, {.next_after_ms = kLongMs});
  uv_run(&loop_, UV_RUN_NOWAIT);
  dialer_.reset();
}

}  // namespace
}  // namespace sluice
