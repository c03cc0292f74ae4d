// Answers of many pieces, and readers that stop reading during one.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "runtime/upstream/relays_fixture.h"

namespace sluice {
namespace {

using Failure = RelayOutcome::Failure;

constexpr int kPieces = 100;

bool send_pieces(Peer& peer, int count) {
  for (int i = 0; i < count; ++i) {
    if (!peer.send_all(chunk(delta(std::to_string(i) + ",")))) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string text_of_pieces(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + ",";
  return text;
}

class RelayLongAnswerTest : public RelayHubTest {
 protected:
  void call_and_wait_for_pieces(const Server& server) {
    call(1, server.url());
    eventually([&] { return state(1).find(text_of_pieces(kPieces)) != std::string::npos; });
  }
};

TEST_P(RelayLongAnswerTest, ALongAnswerIsWhole) {
  Server server([](Peer& peer) {
    while (peer.request()) {
      if (!peer.send_all(kHead) || !send_pieces(peer, kPieces) || !peer.send_all(kEnding)) return;
    }
  });
  const Lease hub = make_hub();
  for (CallId id = 1; id <= 2; ++id) {
    call(id, server.url());
    EXPECT_EQ(wait_for_end(id), Failure::kNone);
    EXPECT_NE(state(id).find("\"text\":\"" + text_of_pieces(kPieces) + "\""), std::string::npos);
    EXPECT_NE(state(id).find("\"status\":\"completed\""), std::string::npos);
    eventually([this] { return calls() == 0; });
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_P(RelayLongAnswerTest, ACancelClosesTheSocket) {
  std::atomic<bool> closed = false;
  Server server([&](Peer& peer) {
    if (!peer.request() || !peer.send_all(kHead) || !send_pieces(peer, kPieces)) return;
    peer.wait_for_close();
    closed = true;
  });
  const Lease hub = make_hub();
  call_and_wait_for_pieces(server);
  cancel(1);
  eventually([&] { return closed.load(); });
  EXPECT_EQ(wait_for_end(), Failure::kNone);
  EXPECT_EQ(calls(), 0u);
}

TEST_P(RelayLongAnswerTest, AnAnswerThatBreaksOffFailsAsSuch) {
  Server server([](Peer& peer) {
    if (peer.request() && peer.send_all(kHead)) send_pieces(peer, kPieces);
  });
  const Lease hub = make_hub();
  call(1, server.url());
  EXPECT_EQ(wait_for_end(), Failure::kDisconnected);
}

TEST_P(RelayLongAnswerTest, AnInvalidChunkIsAProtocolError) {
  Server server([](Peer& peer) {
    if (!peer.request() || !peer.send_all(kHead) || !send_pieces(peer, kPieces)) return;
    peer.send_all("data: no size\n\n");
    peer.wait_for_close();
  });
  const Lease hub = make_hub();
  call(1, server.url());
  EXPECT_EQ(wait_for_end(), Failure::kProtocol);
}

TEST_P(RelayLongAnswerTest, AnEndDuringASleepOfTheReaderWaitsForIt) {
  Server server([](Peer& peer) {
    if (!peer.request()) return;
    std::string rest;
    for (int i = 0; i < kPieces; ++i) rest += chunk(delta(std::to_string(i) + ","));
    peer.send_all(kHead);
    peer.send_all(rest + kEnding);
    peer.wait_for_close();
  });
  const Lease hub = make_hub(4);
  call_with_reader(server);
  eventually([this] { return state(1).find("\"tokens\":4,") != std::string::npos; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_NE(state(1).find("\"tokens\":4,"), std::string::npos) << "the window, to the token";
  eventually([this] {
    acknowledge();
    return state(1).find("\"status\":\"completed\"") != std::string::npos;
  });
  EXPECT_NE(state(1).find("\"text\":\"" + text_of_pieces(kPieces) + "\""), std::string::npos);
}

TEST_P(RelayLongAnswerTest, AReaderThatFallsAsleepLaterHoldsTheSocketBack) {
  std::atomic<std::size_t> sent = 0;
  constexpr std::size_t kTotal = std::size_t{256} << 20;
  const std::string piece = chunk(delta(std::string(8000, 'x')));
  Server server([&](Peer& peer) {
    if (!peer.request() || !peer.send_all(kHead) || !send_pieces(peer, kPieces)) return;
    while (sent < kTotal && peer.send_all(piece)) sent += piece.size();
  });
  const Lease hub = make_hub(kPieces + 16);
  call_with_reader(server);
  const std::size_t plateau = plateau_of(sent);
  EXPECT_LT(plateau, kTotal / 4);
  EXPECT_NE(state(1).find("\"tokens\":116,"), std::string::npos) << "the window, to the token";
  eventually([&] {
    acknowledge();
    return sent > plateau + (plateau / 2);
  });
  cancel(1);
  wait_for_end();
}

INSTANTIATE_TEST_SUITE_P(By, RelayLongAnswerTest, testing::Values(Plain::kOwn, Plain::kCurl),
                         name_of_client);

}  // namespace
}  // namespace sluice
