// RelayHub on a reactor, against a server on loopback: sockets, pauses, drops, and leaks.
#include <dirent.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "runtime/upstream/relays_fixture.h"

namespace sluice {
namespace {

int open_descriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

TEST_P(RelayHubTest, TextGoesFromTheSocketToTheLogAndTheConnectionIsKept) {
  Server server([](Peer& peer) {
    while (peer.request()) peer.send_all(kHead + chunk(delta("Hel") + delta("lo")) + kEnding);
  });
  const Lease hub = make_hub();
  for (CallId id = 1; id <= 3; ++id) {
    call(id, server.url());
    EXPECT_EQ(wait_for_end(id), RelayOutcome::Failure::kNone);
    EXPECT_NE(state(id).find("\"text\":\"Hello\""), std::string::npos);
    EXPECT_NE(state(id).find("\"status\":\"completed\""), std::string::npos);
    eventually([this] { return calls() == 0; });
  }
  EXPECT_EQ(server.connections(), 1);
}

// Bytes that a kept connection holds when its next call begins, and what the server does then.
TEST_P(RelayHubTest, AKeptConnectionThatIsNotSilentIsNotUsedAgain) {
  const std::string stray = kHead + chunk(delta("secret of bob")) + kEnding;
  const std::array<std::string, 4> rows{
      stray, stray.substr(0, 30), "\r\n",
      "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"};
  for (const std::string& row : rows) {
    std::promise<void> ended;
    std::promise<void> disturbed;
    std::atomic<int> peers = 0;
    Server server([&](Peer& peer) {
      const bool first = peers++ == 0;
      if (!peer.request()) return;
      peer.send_all(kHead + chunk(delta(first ? "bob" : "carol")) + kEnding);
      if (!first) return peer.wait_for_close();
      ended.get_future().wait();
      peer.send_all(row);
      disturbed.set_value();
      peer.wait_for_close();
    });
    const Lease hub = make_hub();
    ends_.clear();
    call(1, server.url());
    EXPECT_EQ(wait_for_end(1), RelayOutcome::Failure::kNone);
    eventually([this] { return calls() == 0; });
    ended.set_value();
    disturbed.get_future().wait();
    call(2, server.url());
    EXPECT_EQ(wait_for_end(2), RelayOutcome::Failure::kNone);
    EXPECT_NE(state(2).find("\"text\":\"carol\""), std::string::npos) << state(2);
    EXPECT_EQ(server.connections(), 2);
  }
}

TEST_P(RelayHubTest, BytesBehindAnAnswerEndItsConnection) {
  std::atomic<int> peers = 0;
  Server server([&](Peer& peer) {
    const bool first = peers++ == 0;
    if (!peer.request()) return;
    const std::string answer = kHead + chunk(delta(first ? "bob" : "carol")) + kEnding;
    peer.send_all(first ? answer + "HTTP/1.1 200 OK\r\n" : answer);
    peer.wait_for_close();
  });
  const Lease hub = make_hub();
  call(1, server.url());
  EXPECT_EQ(wait_for_end(1), RelayOutcome::Failure::kNone);
  call(2, server.url());
  EXPECT_EQ(wait_for_end(2), RelayOutcome::Failure::kNone);
  EXPECT_NE(state(2).find("\"text\":\"carol\""), std::string::npos) << state(2);
  EXPECT_EQ(server.connections(), 2);
}

TEST_P(RelayHubTest, ACallIsMadeOnceMoreWhenItsKeptConnectionFailsBeforeTheFirstByte) {
  std::atomic<int> peers = 0;
  Server server([&](Peer& peer) {
    peers += 1;
    if (!peer.request()) return;
    if (peers == 1) peer.send_all(kHead + chunk(delta("bob")) + kEnding);
    if (peers == 1) peer.request();  // and close
  });
  const Lease hub = make_hub();
  call(1, server.url());
  EXPECT_EQ(wait_for_end(1), RelayOutcome::Failure::kNone);
  eventually([this] { return calls() == 0; });
  call(2, server.url());
  EXPECT_EQ(wait_for_end(2), RelayOutcome::Failure::kUnreachable);
  EXPECT_EQ(server.connections(), 2) << "one on the kept connection, one on a new one";
}

TEST_P(RelayHubTest, ARefusedConnectionHasItsName) {
  std::string url;
  {
    Server gone([](Peer&) {});
    url = gone.url();
  }
  const Lease hub = make_hub();
  std::string code;
  run([&](Nanos) {
    hub_->on_end = [&, tell = hub_->on_end](CallId id, const RelayOutcome& outcome) {
      code = outcome.code;
      tell(id, outcome);
    };
  });
  call(1, url);
  EXPECT_EQ(wait_for_end(), RelayOutcome::Failure::kUnreachable);
  EXPECT_EQ(code, "ECONNREFUSED");
}

TEST_P(RelayHubTest, AJobThatEndsClosesItsSocketInEveryPhase) {
  std::atomic<int> closed = 0;
  std::atomic<int> phase = 0;
  Server server([&](Peer& peer) {
    const int mine = phase;
    // In the first phase the client may disconnect before its request has arrived whole.
    if (peer.request()) {
      if (mine >= 1) peer.send_all(kHead);
      if (mine >= 2) peer.send_all(chunk(delta("some")));
      peer.wait_for_close();
    }
    closed += 1;
  });
  const Lease hub = make_hub();
  for (int i = 0; i < 3; ++i) {
    phase = i;
    const auto id = static_cast<CallId>(i + 1);
    call(id, server.url());
    eventually([&] { return server.connections() == i + 1; });
    if (i == 2) eventually([&] { return state(id).find("some") != std::string::npos; });
    cancel(id);
    eventually([&] { return closed == i + 1; });
    EXPECT_EQ(wait_for_end(id), RelayOutcome::Failure::kNone);
    EXPECT_EQ(calls(), 0u);
  }
}

TEST_P(RelayHubTest, AReaderThatSleepsBoundsWhatTheServerCanSend) {
  std::atomic<std::size_t> sent = 0;
  constexpr std::size_t kTotal = std::size_t{256} << 20;
  const std::string piece = chunk(delta(std::string(8000, 'x')));
  Server server([&](Peer& peer) {
    if (!peer.request() || !peer.send_all(kHead)) return;
    while (sent < kTotal && peer.send_all(piece)) sent += piece.size();
  });
  const Lease hub = make_hub(16);
  call_with_reader(server);
  const std::size_t plateau = plateau_of(sent);
  EXPECT_LT(plateau, kTotal / 4);
  EXPECT_NE(state(1).find("\"tokens\":16,"), std::string::npos) << "the window, to the token";
  // The reader continues: so does the transfer.
  eventually([&] {
    acknowledge();
    return sent > plateau + (plateau / 2);
  });
  cancel(1);
  wait_for_end();
}

TEST_P(RelayHubTest, NothingIsLeftBehindBy) {
  Server server([](Peer& peer) {
    if (!peer.request()) return;
    peer.send_all(kHead + chunk(delta("some")));
    peer.wait_for_close();
  });
  const int before = open_descriptors();
  for (int round = 0; round < 8; ++round) {
    Reactor reactor;
    std::promise<std::shared_ptr<Hub>> made;
    reactor.post([&](Nanos now) {
      auto hub = std::make_shared<Hub>(reactor, 256, GetParam());
      reactor.add(hub);
      for (CallId id = 1; id <= 8; ++id) {
        hub->jobs.create(id, {.job_id = "j", .wall_time_max = kNever}, now);
        hub->relays->start(id, {.url = server.url(), .headers = {}, .body = "{}"},
                           {.idle = kNever, .jobs = {id}}, now);
      }
      made.set_value(hub);
    });
    // Held from outside for longer than its reactor runs.
    const std::shared_ptr<Hub> hub = made.get_future().get();
    // At once, while connecting, while waiting, while streaming.
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
    // By the removal of the hub, or by the end of its reactor.
    if (round % 2 == 0) reactor.post([&](Nanos) { reactor.remove(hub.get()); });
    reactor.stop();
  }
  // The server's ends close shortly after the client's.
  eventually([&] { return open_descriptors() <= before; });
}

TEST_P(RelayHubTest, CancelsAgainstAnswersLoseNothing) {
  Server server([](Peer& peer) {
    while (peer.request()) {
      if (!peer.send_all(kHead)) return;
      for (int i = 0; i < 5; ++i) {
        if (!peer.send_all(chunk(delta("t")))) return;
      }
      if (!peer.send_all(kEnding)) return;
    }
  });
  const Lease hub = make_hub(2);
  constexpr CallId kCalls = 200;
  for (CallId id = 1; id <= kCalls; ++id) {
    call(id, server.url());
    if (id % 3 == 0) cancel(id);
    if (id > 4 && id % 5 == 0) cancel(id - 4);
  }
  wait_for_end(kCalls);
  eventually([this] { return calls() == 0; });
  for (CallId id = 1; id <= kCalls; ++id) {
    const std::string ended = state(id);
    const bool whole = ended.find("\"text\":\"ttttt\"") != std::string::npos;
    const bool cancelled = ended.find("\"status\":\"cancelled\"") != std::string::npos;
    EXPECT_TRUE(whole || cancelled) << ended;
  }
}

INSTANTIATE_TEST_SUITE_P(By, RelayHubTest, testing::Values(Plain::kOwn, Plain::kCurl),
                         name_of_client);

}  // namespace
}  // namespace sluice
