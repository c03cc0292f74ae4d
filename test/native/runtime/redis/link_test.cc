// The link on a reactor, over sockets, with a scripted peer as Redis: the transport, and several
// threads at once.
#include "runtime/redis/link.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "milliseconds.h"
#include "runtime/redis/redis_peer.h"

namespace sluice {
namespace {

// Collects the link's reports, for which the test's thread waits.
class Journal {
 public:
  void note(std::string text) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(std::move(text));
    changed_.notify_all();
  }

  /// Waits for this report, and forgets it and all before it.
  void await(const std::string& text) {
    std::unique_lock lock(mutex_);
    while (true) {
      while (!seen_.empty()) {
        const std::string seen = std::move(seen_.front());
        seen_.pop_front();
        if (seen == text) return;
      }
      changed_.wait(lock);
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> seen_;
};

class User final : public redis::LinkObserver, public redis::ReplyHandler, public redis::Listener {
 public:
  Journal journal;
  std::atomic<std::uint64_t> answered = 0;
  std::atomic<std::uint64_t> lost = 0;

  void on_state(redis::State state, std::string_view /*detail*/) override {
    journal.note(std::string(redis::name_of(state)));
  }
  void on_beat(Nanos sent, Nanos at, const redis::Reply& /*answer*/) override {
    journal.note(sent <= at ? "beat" : "clock");
  }
  void on_server(const redis::ServerInfo& info) override { journal.note(info.version); }
  void on_replies(std::uint64_t request, std::vector<redis::Reply> replies) override {
    ++answered;
    if (request != 0) journal.note(std::to_string(replies.back().text.size()));
  }
  void on_lost(std::uint64_t /*request*/) override { ++lost; }
  void on_message(std::string_view channel, std::string_view payload) override {
    journal.note(std::string(channel) + "=" + std::string(payload));
  }
  void on_subscribed(std::string_view channel) override {
    journal.note("+" + std::string(channel));
  }
  void on_connected() override { journal.note("connected"); }
  void on_disconnected() override { journal.note("disconnected"); }
};

class RedisLinkOnReactor : public testing::Test {
 protected:
  void SetUp() override {
    if (!redis::ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  }

  // The tests of silence are in core/: here a slow machine must not look like a silent peer.
  static redis::LinkOptions options(Nanos lease) {
    return {.prefix = "{s}:",
            .process = "p1",
            .user = "",
            .password = "",
            .lease = lease,
            .scripts = {{"beat", "b5", "return 1"}}};
  }

  std::shared_ptr<RedisLink> start(Reactor& reactor, std::uint16_t port, Nanos lease = ms(60'000)) {
    auto link = std::make_shared<RedisLink>(options(lease), reactor, user_);
    reactor.post([&reactor, this, link, port](Nanos now) {
      reactor.add(link);
      link->link().attach(user_);
      link->link().set_addresses({{"127.0.0.1", port}}, now);
    });
    return link;
  }

  User user_;
};

TEST_F(RedisLinkOnReactor, ConnectsSendsAndListens) {
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, peer.port());
  user_.journal.await("7.0.15");
  user_.journal.await("connected");
  reactor.post([&](Nanos) { link->link().subscribe("a", user_); });
  user_.journal.await("+a");
  peer.publish("a", "hi");
  user_.journal.await("a=hi");
}

TEST_F(RedisLinkOnReactor, SendsAndReadsMoreThanTheBuffersOfTheKernel) {
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, peer.port());
  user_.journal.await("connected");
  constexpr std::size_t kBytes = 6'000'000;
  reactor.post([&](Nanos) {
    link->link().send(1, {{"SET", "a"}, {"ECHO", std::string(kBytes, 'x')}}, user_);
    link->link().send(2, {{"ECHO", "abc"}}, user_);
  });
  user_.journal.await(std::to_string(kBytes));
  user_.journal.await("3");
}

TEST_F(RedisLinkOnReactor, ReconnectsWhenItIsCutOff) {
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, peer.port());
  reactor.post([&](Nanos) { link->link().subscribe("a", user_); });
  for (int i = 0; i < 3; ++i) {
    user_.journal.await("connected");
    peer.cut();
    user_.journal.await("disconnected");
  }
  user_.journal.await("connected");
  EXPECT_GE(link->link().figures().connections, 4u);
}

TEST_F(RedisLinkOnReactor, ReportsAServerThatIsNotThereAndFindsItAtAnotherPort) {
  std::uint16_t closed = 0;
  { closed = RedisPeer(answer_as_redis).port(); }
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, closed);
  user_.journal.await("unreachable");
  reactor.post([&](Nanos now) {
    link->link().set_addresses({{"not an address", 1}, {"127.0.0.1", peer.port()}}, now);
  });
  user_.journal.await("ok");
}

TEST_F(RedisLinkOnReactor, BeatsOnItsOwn) {
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, peer.port(), ms(5000));
  for (int i = 0; i < 2; ++i) user_.journal.await("beat");
}

TEST_F(RedisLinkOnReactor, EndsWithItsReactorInAnyState) {
  for (int i = 0; i < 20; ++i) {
    RedisPeer peer(answer_as_redis);
    User user;
    Reactor reactor;
    auto link = std::make_shared<RedisLink>(options(ms(60'000)), reactor, user);
    reactor.post([&reactor, link, port = peer.port()](Nanos now) {
      reactor.add(link);
      link->link().set_addresses({{"127.0.0.1", port}}, now);
    });
    if (i % 2 == 0) user.journal.await("ok");
    if (i % 4 == 0) reactor.post([&reactor, link](Nanos) { reactor.remove(link.get()); });
    link.reset();
  }
}

// Commands from several threads, a peer that cuts, and readers of the figures: for ThreadSanitizer.
TEST_F(RedisLinkOnReactor, StressOfPostsAndCuts) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 300;
  RedisPeer peer(answer_as_redis);
  Reactor reactor;
  const auto link = start(reactor, peer.port());
  user_.journal.await("connected");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string channel = "c" + std::to_string(thread);
      for (int i = 0; i < kRounds; ++i) {
        reactor.post([&, channel](Nanos) {
          link->link().send(0, {{"XADD", channel}, {"ECHO", "x"}}, user_);
          link->link().subscribe(channel, user_);
          link->link().unsubscribe(channel);
        });
        if (i % 100 == 50) peer.cut();
        static_cast<void>(link->link().figures().pipelines.load());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Everything is answered or lost, once.
  while (user_.answered + user_.lost < kThreads * kRounds) std::this_thread::yield();
  std::promise<void> settled;
  reactor.post([&](Nanos) { settled.set_value(); });
  settled.get_future().wait();
  EXPECT_EQ(user_.answered + user_.lost, static_cast<std::uint64_t>(kThreads * kRounds));
}

}  // namespace
}  // namespace sluice
