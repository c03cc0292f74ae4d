// Responses of every kind over real sockets, by each client: the ending of the job, and whether
// the connection serves the next call.
#include <array>
#include <atomic>
#include <string>
#include <utility>

#include "runtime/upstream/relays_fixture.h"

namespace sluice {
namespace {

using Failure = RelayOutcome::Failure;

const std::string kBody = delta("hello") +
                          "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                          "data: [DONE]\n\n";

std::string sized(const std::string& start, const std::string& body) {
  return "HTTP/1.1 " + start + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

enum class Then { kStay, kClose, kCut };

struct Row {
  std::string name;
  std::string response;
  Failure failure = Failure::kNone;
  int connections = 1;  // of two calls, one after the other
  Then then = Then::kStay;
};

std::vector<Row> rows() {
  const std::string ok = "200 OK\r\ncontent-type: text/event-stream";
  const std::string start = "HTTP/1.1 " + ok + "\r\n";
  const std::string whole = sized(ok, kBody);
  const std::string large = "x: " + std::string(70'000, 'y') + "\r\n";
  return {
      {"a length", whole},
      {"chunks", kHead + chunk(kBody) + "0\r\n\r\n"},
      {"trailers", kHead + chunk(kBody) + "0\r\nServer-Timing: x;dur=1\r\n\r\n"},
      {"until the close", start + "\r\n" + kBody, Failure::kNone, 2, Then::kClose},
      {"HTTP/1.0", "HTTP/1.0 " + ok + "\r\n\r\n" + kBody, Failure::kNone, 2, Then::kClose},
      {"connection: close", sized(ok + "\r\nconnection: close", kBody), Failure::kNone, 2,
       Then::kClose},
      {"interim responses",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole},
      {"bytes behind a length", whole + "HTTP/1.1 200 OK\r\n", Failure::kNone, 2},
      {"no content", "HTTP/1.1 204 No Content\r\n\r\n", Failure::kStatus},
      {"not modified", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", Failure::kStatus},
      {"a redirect", sized("307 Temporary Redirect\r\nlocation: http://other/v1", ""),
       Failure::kStatus},
      {"a refusal", sized("429 Too Many Requests\r\nretry-after: 3", "{\"detail\":\"slow\"}"),
       Failure::kStatus},
      {"gzip", sized(ok + "\r\ncontent-encoding: gzip", "\x1f\x8b"), Failure::kEncoding},
      {"a body cut short of its length", start + "content-length: 9999\r\n\r\n" + delta("hello"),
       Failure::kDisconnected, 2, Then::kClose},
      {"a close amid a chunk", kHead + chunk(delta("hello")) + "20\r\ndata", Failure::kDisconnected,
       2, Then::kClose},
      {"no chunk", kHead + chunk(delta("hello")) + "data: x\n\n", Failure::kProtocol, 2},
      {"a close in place of a response", "", Failure::kUnreachable, 2, Then::kClose},
      {"a cut in place of a response", "", Failure::kUnreachable, 2, Then::kCut},
      {"no HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n", Failure::kProtocol, 2, Then::kClose},
      {"a head that is too large", start + large + "content-length: 0\r\n\r\n", Failure::kProtocol,
       2},
      {"a head without its end", start + large, Failure::kProtocol, 2},
      {"a line without a colon", start + "nonsense\r\n\r\n", Failure::kProtocol, 2},
  };
}

class RelayHttpTest : public RelayHubTest {};

TEST_P(RelayHttpTest, ResponsesOfEveryKind) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    Server server([&](Peer& peer) {
      while (peer.request()) {
        peer.send_all(row.response);
        if (row.then == Then::kCut) peer.cut();
        if (row.then != Then::kStay) return;
      }
    });
    const Lease hub = make_hub();
    ends_.clear();
    for (CallId id = 1; id <= 2; ++id) {
      call(id, server.url());
      EXPECT_EQ(wait_for_end(id), row.failure);
      if (row.failure == Failure::kNone) {
        EXPECT_NE(state(id).find("\"text\":\"hello\""), std::string::npos) << state(id);
      }
      eventually([this] { return calls() == 0; });
    }
    EXPECT_EQ(server.connections(), row.connections);
  }
}

TEST_P(RelayHttpTest, ARefusalHasItsHeadersAndItsBody) {
  Server server([](Peer& peer) {
    while (peer.request()) {
      peer.send_all(
          sized("503 Busy\r\nRetry-After: 3\r\nretry-after-ms: 2500\r\nLOCATION: /x", "full"));
    }
  });
  const Lease hub = make_hub();
  call(1, server.url());
  EXPECT_EQ(wait_for_end(), Failure::kStatus);
  const RelayOutcome refused = outcome(1);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.text, "full");
  EXPECT_TRUE(refused.body_whole);
  EXPECT_EQ(refused.retry_after, "3");
  EXPECT_EQ(refused.retry_after_ms, "2500");
  EXPECT_EQ(refused.location, "/x");
}

TEST_P(RelayHttpTest, ARequestHasItsHeadersAndItsWholeBody) {
  constexpr std::size_t kBytes = std::size_t{32} << 20;  // more than the kernel buffers
  std::string head;
  std::size_t bytes = 0;
  Server server([&](Peer& peer) {
    if (!peer.request()) return;
    head = peer.head();
    bytes = peer.body().size();
    peer.send_all(sized("200 OK", kBody));
  });
  const Lease hub = make_hub();
  const std::string url = server.url("localhost");
  call(1, url, std::string(kBytes, 'x'));
  EXPECT_EQ(wait_for_end(), Failure::kNone);
  EXPECT_EQ(bytes, kBytes);
  const std::string host = url.substr(7, url.find("/v1") - 7);
  EXPECT_TRUE(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nHost: " + host + "\r\n"))
      << head;
  EXPECT_NE(head.find("\r\ncontent-type: application/json\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nAccept: */*\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Expect"), std::string::npos) << head;
}

TEST_P(RelayHttpTest, ARefusalBeforeTheEndOfTheRequestCounts) {
  std::atomic<bool> over = false;
  Server server([&](Peer& peer) {
    if (!peer.request_head()) return;
    peer.send_all(sized("413 Content Too Large", "too much"));
    over.wait(false);  // a request read to its end may leave the connection usable
    peer.wait_for_close();
  });
  const Lease hub = make_hub();
  for (CallId id = 1; id <= 2; ++id) {
    call(id, server.url(), std::string(std::size_t{8} << 20, 'x'));
    EXPECT_EQ(wait_for_end(id), Failure::kStatus);
    EXPECT_EQ(outcome(id).status, 413);
    EXPECT_EQ(outcome(id).text, "too much");
    eventually([this] { return calls() == 0; });
  }
  EXPECT_EQ(server.connections(), 2) << "half of a request is still on the first one";
  over = true;
  over.notify_all();
}

TEST_P(RelayHttpTest, ARequestThatIsNotReadIsDroppedWithItsJob) {
  std::atomic<bool> begun = false;
  std::atomic<bool> closed = false;
  std::promise<void> dropped;
  Server server([&](Peer& peer) {
    begun = peer.request_head();
    dropped.get_future().wait();
    peer.wait_for_close();
    closed = true;
  });
  const Lease hub = make_hub();
  call(1, server.url(), std::string(std::size_t{32} << 20, 'x'));
  eventually([&] { return begun.load(); });
  cancel(1);
  dropped.set_value();
  eventually([&] { return closed.load(); });
  EXPECT_EQ(calls(), 0u);
}

// An answer belongs to its own request despite disturbed connections: each request names its
// call, and the server repeats the name. Stray bytes come with an answer: no client can tell those
// that come after its next request from the answer to it.
TEST_P(RelayHttpTest, AnswersAreThoseOfTheirRequestsOnDisturbedConnections) {
  std::atomic<unsigned> turns = 0;
  Server server([&](Peer& peer) {
    while (peer.request()) {
      const std::string answer = kHead + chunk(delta(peer.body())) + kEnding;
      switch (turns++ % 7) {
        case 0:
          return;
        case 1:
          peer.send_all(answer + "HTTP/1.1 200 OK\r\ncontent-le");
          break;
        case 2:
          peer.send_all(answer + kHead + chunk(delta("stray")) + kEnding);
          break;
        case 3:
          peer.send_all(answer);
          peer.cut();
          return;
        case 4:
          peer.send_all("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
          return;
        default:
          if (!peer.send_all(answer)) return;
      }
    }
  });
  const Lease hub = make_hub();
  constexpr CallId kCalls = 700;
  constexpr CallId kAtOnce = 8;
  std::size_t completed = 0;
  for (CallId first = 1; first <= kCalls; first += kAtOnce) {
    for (CallId id = first; id < first + kAtOnce; ++id) call(id, server.url(), std::to_string(id));
    wait_for_end(first + kAtOnce - 1);
  }
  for (CallId id = 1; id <= kCalls; ++id) {
    const std::string ended = state(id);
    const Failure failure = outcome(id).failure;
    const bool own = ended.find("\"text\":\"" + std::to_string(id) + "\"") != std::string::npos;
    if (failure == Failure::kNone) {
      EXPECT_TRUE(own) << ended;
      completed += 1;
    } else {
      EXPECT_TRUE(failure == Failure::kUnreachable || failure == Failure::kStatus) << ended;
    }
  }
  EXPECT_GT(completed, kCalls / 2);
}

// libcurl treats such a response as the answer.
class RelayOwnHttpTest : public RelayHubTest {};

TEST_P(RelayOwnHttpTest, AResponseToHalfARequestOnAKeptConnectionIsNotItsAnswer) {
  std::atomic<bool> over = false;
  std::atomic<int> requests = 0;
  Server server([&](Peer& peer) {
    while (requests != 1 ? peer.request() : peer.request_head()) {
      if (++requests == 2) {
        peer.send_all(kHead + chunk(delta("stray")) + kEnding);
        over.wait(false);
        return;
      }
      peer.send_all(kHead + chunk(delta("own")) + kEnding);
    }
  });
  const Lease hub = make_hub();
  for (CallId id = 1; id <= 2; ++id) {
    call(id, server.url(), std::string(id == 1 ? 1 : std::size_t{32} << 20, 'x'));
    EXPECT_EQ(wait_for_end(id), Failure::kNone);
    EXPECT_NE(state(id).find("\"text\":\"own\""), std::string::npos) << state(id);
    eventually([this] { return calls() == 0; });
  }
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(server.connections(), 2);
  over = true;
  over.notify_all();
}

INSTANTIATE_TEST_SUITE_P(By, RelayOwnHttpTest, testing::Values(Plain::kOwn), name_of_client);
INSTANTIATE_TEST_SUITE_P(By, RelayHttpTest, testing::Values(Plain::kOwn, Plain::kCurl),
                         name_of_client);

}  // namespace
}  // namespace sluice
