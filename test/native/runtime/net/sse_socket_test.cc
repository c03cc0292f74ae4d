// SocketEgress over real socket pairs on a real loop: chunk framing, a full kernel, a dead peer,
// and descriptors that are closed exactly once.
#include "runtime/net/sse_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

namespace sluice {
namespace {

class SocketEgressTest : public testing::Test, public SocketEgress::Owner {
 protected:
  void SetUp() override {
    ASSERT_EQ(uv_loop_init(&loop_), 0);
    std::array<int, 2> pair{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
    ours_ = UniqueFd(pair[0]);
    theirs_ = UniqueFd(pair[1]);
    const int small = 4096;
    setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    raw_ = ours_.get();
    egress_ = std::make_unique<SocketEgress>(&loop_, std::move(ours_), 7, *this);
  }

  void TearDown() override {
    egress_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "a handle was left on the loop";
    EXPECT_EQ(fcntl(raw_, F_GETFD), -1) << "the descriptor was left open";
  }

  // The bytes that the peer can read now.
  std::string received() {
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = read(theirs_.get(), buffer.data(), buffer.size())) > 0;) {
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

  void on_drained(SocketEgress& egress) override {
    EXPECT_EQ(egress.id(), 7u);
    ++drained_;
  }
  void on_progress(SocketEgress& /*egress*/) override { ++progress_; }
  void on_gone(SocketEgress& /*egress*/) override {
    ++gone_;
    egress_.reset();  // as an owner does
  }

  uv_loop_t loop_{};
  UniqueFd ours_;
  UniqueFd theirs_;
  int raw_ = -1;
  std::unique_ptr<SocketEgress> egress_;
  int drained_ = 0;
  int progress_ = 0;
  int gone_ = 0;
};

TEST_F(SocketEgressTest, SendsEachBatchAsOneChunk) {
  EXPECT_EQ(egress_->send("hello"), SocketEgress::Sent::kAll);
  EXPECT_EQ(egress_->send(std::string(26, 'x')), SocketEgress::Sent::kAll);
  EXPECT_EQ(received(), "5\r\nhello\r\n1a\r\n" + std::string(26, 'x') + "\r\n");
}

TEST_F(SocketEgressTest, KeepsBytesRefusedByTheKernelAndSendsThemLater) {
  std::string body;
  for (int i = 0; body.size() < 200'000; ++i) body += std::to_string(i) + ",";
  ASSERT_EQ(egress_->send(body), SocketEgress::Sent::kPending);
  std::string all;
  while (drained_ == 0) {
    all += received();
    uv_run(&loop_, UV_RUN_NOWAIT);
  }
  all += received();
  EXPECT_GT(progress_, 0) << "a slow reader is seen to be alive";
  const std::string size = all.substr(0, all.find('\r'));
  EXPECT_EQ(std::stoul(size, nullptr, 16), body.size());
  EXPECT_EQ(all, size + "\r\n" + body + "\r\n");
  EXPECT_EQ(egress_->send("next"), SocketEgress::Sent::kAll);
  EXPECT_EQ(received(), "4\r\nnext\r\n");
}

TEST_F(SocketEgressTest, ADeadPeerIsAnAnswerNotASignal) {
  theirs_ = UniqueFd();
  EXPECT_EQ(egress_->send("hello"), SocketEgress::Sent::kGone);
}

TEST_F(SocketEgressTest, APeerThatDiesWhileAWriteIsPendingIsReported) {
  ASSERT_EQ(egress_->send(std::string(200'000, 'x')), SocketEgress::Sent::kPending);
  theirs_ = UniqueFd();
  while (gone_ == 0) uv_run(&loop_, UV_RUN_ONCE);
  EXPECT_EQ(drained_, 0);
}

TEST_F(SocketEgressTest, MayBeDestroyedWhileAWriteIsPending) {
  ASSERT_EQ(egress_->send(std::string(200'000, 'x')), SocketEgress::Sent::kPending);
  egress_.reset();
  received();
  uv_run(&loop_, UV_RUN_NOWAIT);
  EXPECT_EQ(drained_ + gone_, 0);
}

TEST_F(SocketEgressTest, OnlyOneThatWasTakenOverEndsTheBody) {
  EXPECT_EQ(egress_->send("hello", true), SocketEgress::Sent::kAll);
  EXPECT_EQ(received(), "5\r\nhello\r\n");
  egress_->take_over();
  EXPECT_EQ(egress_->send("bye", true), SocketEgress::Sent::kAll);
  EXPECT_EQ(received(), "3\r\nbye\r\n0\r\n\r\n");
}

TEST_F(SocketEgressTest, TheHeadIsSentOnceWithTheFirstChunk) {
  egress_->take_over("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(received(), "");
  EXPECT_EQ(egress_->send("hello"), SocketEgress::Sent::kAll);
  EXPECT_EQ(egress_->send("bye", true), SocketEgress::Sent::kAll);
  EXPECT_EQ(received(), "HTTP/1.1 200 OK\r\n\r\n5\r\nhello\r\n3\r\nbye\r\n0\r\n\r\n");
}

TEST_F(SocketEgressTest, AHeadWaitsForAFullKernelWithItsChunk) {
  const std::string head = "HTTP/1.1 200 OK\r\nx: " + std::string(5000, 'h') + "\r\n\r\n";
  ASSERT_EQ(egress_->send(std::string(200'000, 'x')), SocketEgress::Sent::kPending);
  std::string all;
  for (; drained_ == 0; uv_run(&loop_, UV_RUN_NOWAIT)) all += received();
  egress_->take_over(head);
  const auto sent = egress_->send(std::string(200'000, 'y'), true);
  ASSERT_EQ(sent, SocketEgress::Sent::kPending);
  for (; drained_ == 1; uv_run(&loop_, UV_RUN_NOWAIT)) all += received();
  all += received();
  EXPECT_EQ(all, "30d40\r\n" + std::string(200'000, 'x') + "\r\n" + head + "30d40\r\n" +
                     std::string(200'000, 'y') + "\r\n0\r\n\r\n");
}

TEST_F(SocketEgressTest, AHeadWithoutAChunkIsSentWhenTheSocketIsGivenBack) {
  egress_->take_over("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(egress_->release().get(), raw_);
  EXPECT_EQ(received(), "HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n");
}

TEST_F(SocketEgressTest, TheEndIsNotSentToAPeerThatHasLeft) {
  ASSERT_EQ(write(theirs_.get(), "next", 4), 4);
  EXPECT_EQ(egress_->send("hello", true), SocketEgress::Sent::kAll);
  std::array<char, 4> next{};
  ASSERT_EQ(read(raw_, next.data(), next.size()), 4);
  ASSERT_EQ(shutdown(theirs_.get(), SHUT_WR), 0);
  EXPECT_EQ(egress_->send("a"), SocketEgress::Sent::kAll)
      << "whoever watches the socket tells of it";
  EXPECT_EQ(egress_->send("b", true), SocketEgress::Sent::kGone);
  EXPECT_EQ(received(), "5\r\nhello\r\n1\r\na\r\n");
  egress_->take_over();
  EXPECT_EQ(egress_->send("c", true), SocketEgress::Sent::kGone);
}

TEST_F(SocketEgressTest, TheEndOfTheBodyWaitsForAFullKernelToo) {
  egress_->take_over();
  ASSERT_EQ(egress_->send(std::string(200'000, 'x'), true), SocketEgress::Sent::kPending);
  std::string all;
  while (drained_ == 0) {
    all += received();
    uv_run(&loop_, UV_RUN_NOWAIT);
  }
  all += received();
  EXPECT_EQ(all, "30d40\r\n" + std::string(200'000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(gone_, 0);
}

TEST_F(SocketEgressTest, OneThatWasTakenOverNoticesThatItsPeerHasLeft) {
  egress_->take_over();
  uv_run(&loop_, UV_RUN_NOWAIT);
  EXPECT_EQ(gone_, 0);
  theirs_ = UniqueFd();
  while (gone_ == 0) uv_run(&loop_, UV_RUN_ONCE);
}

TEST_F(SocketEgressTest, AFinCountsAsLeavingWhateverIsPending) {
  egress_->take_over();
  ASSERT_EQ(egress_->send(std::string(200'000, 'x')), SocketEgress::Sent::kPending);
  ASSERT_EQ(shutdown(theirs_.get(), SHUT_WR), 0);
  while (gone_ == 0) uv_run(&loop_, UV_RUN_ONCE);
  EXPECT_EQ(drained_, 0);
}

TEST_F(SocketEgressTest, BytesOfThePeerAreLeftForTheNextOwner) {
  egress_->take_over();
  ASSERT_EQ(write(theirs_.get(), "next", 4), 4);
  for (int i = 0; i < 5; ++i) uv_run(&loop_, UV_RUN_NOWAIT);
  EXPECT_EQ(gone_, 0);
  EXPECT_EQ(egress_->send("bye", true), SocketEgress::Sent::kAll);
  const UniqueFd given_back = egress_->release();
  ASSERT_EQ(given_back.get(), raw_);
  std::array<char, 16> buffer{};
  EXPECT_EQ(read(given_back.get(), buffer.data(), buffer.size()), 4);
  EXPECT_EQ(std::string(buffer.data(), 4), "next");
  theirs_ = UniqueFd();
  for (int i = 0; i < 5; ++i) uv_run(&loop_, UV_RUN_NOWAIT);
  EXPECT_EQ(gone_, 0) << "it is not watched any more";
}

TEST_F(SocketEgressTest, ADisconnectBehindUnreadBytesIsNoticed) {
  egress_->take_over();
  ASSERT_EQ(write(theirs_.get(), "next", 4), 4);
  for (int i = 0; i < 5; ++i) uv_run(&loop_, UV_RUN_NOWAIT);
  ASSERT_EQ(gone_, 0);
  theirs_ = UniqueFd();
  while (gone_ == 0) uv_run(&loop_, UV_RUN_ONCE);
}

TEST_F(SocketEgressTest, ABodyThatNoBatchHasEndedIsEndedWhenTheSocketIsGivenBack) {
  egress_->take_over();
  EXPECT_EQ(egress_->send("hello"), SocketEgress::Sent::kAll);
  const UniqueFd given_back = egress_->release();
  EXPECT_TRUE(given_back.valid());
  EXPECT_EQ(received(), "5\r\nhello\r\n0\r\n\r\n");
}

TEST_F(SocketEgressTest, ASocketThatDoesNotTakeTheEndOfTheBodyIsNotGivenBack) {
  egress_->take_over();
  EXPECT_EQ(egress_->send("hello"), SocketEgress::Sent::kAll);
  theirs_ = UniqueFd();
  EXPECT_FALSE(egress_->release().valid());
}

#ifdef TCP_USER_TIMEOUT
// A TCP connection whose client reads only a few kilobytes. The kernel buffers
// the rest, so no write is refused.
class SilentPeerTest : public SocketEgressTest {
 protected:
  void SetUp() override {
    SocketEgressTest::SetUp();
    egress_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(listener.get(), name, size), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ASSERT_EQ(getsockname(listener.get(), name, &size), 0);
    theirs_ = UniqueFd(socket(AF_INET, SOCK_STREAM, 0));
    const int small = 4096;
    setsockopt(theirs_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ASSERT_EQ(connect(theirs_.get(), name, size), 0);
    UniqueFd ours(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
    ASSERT_TRUE(ours.valid());
    raw_ = ours.get();
    egress_ = std::make_unique<SocketEgress>(&loop_, std::move(ours), 7, *this, kSecond / 2);
  }

  static int silence_ms(int fd) {
    int limit_ms = -1;
    socklen_t size = sizeof limit_ms;
    getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, &size);
    return limit_ms;
  }
};

TEST_F(SilentPeerTest, OneThatAcknowledgesNothingIsGoneAlthoughEveryWriteWasTaken) {
  egress_->take_over();
  ASSERT_EQ(egress_->send(std::string(30'000, 'x')), SocketEgress::Sent::kAll);
  while (gone_ == 0) uv_run(&loop_, UV_RUN_ONCE);
}

TEST_F(SilentPeerTest, TheNextOwnerHasTheConnectionWithoutThatLimit) {
  egress_->take_over();
  EXPECT_EQ(silence_ms(raw_), 500);
  const UniqueFd given_back = egress_->release();
  EXPECT_EQ(silence_ms(given_back.get()), 0);
}

TEST_F(SilentPeerTest, SoHasNodeWhereItHasKeptTheConnection) {
  const UniqueFd nodes = UniqueFd::duplicate_of(raw_);
  egress_.reset();
  EXPECT_EQ(silence_ms(nodes.get()), 0);
}
#endif

TEST(UniqueFd, ClosesOnceAndMoves) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  UniqueFd copy = UniqueFd::duplicate_of(write_end.get());
  EXPECT_TRUE(copy.valid());
  EXPECT_NE(copy.get(), write_end.get());
  EXPECT_NE(fcntl(copy.get(), F_GETFD) & FD_CLOEXEC, 0);
  const int number = copy.get();
  write_end = std::move(copy);
  EXPECT_EQ(write_end.get(), number);
  EXPECT_EQ(fcntl(ends[1], F_GETFD), -1) << "what was there is closed";
  EXPECT_FALSE(UniqueFd::duplicate_of(-1).valid());
}

}  // namespace
}  // namespace sluice
