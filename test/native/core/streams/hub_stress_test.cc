// The hub on a real reactor, with threads that append, resume, cancel and end at the same time.
// In any order every reader sees ids without a hole, each once, and one
// terminal event. Run under ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/loop/reactor.h"
#include "runtime/shared_hub.h"

namespace sluice {
namespace {

// Reads a job to its end, leaving and resuming from its cursor every few events.
void read_with_cuts(Reactor& reactor, const std::shared_ptr<SharedHub>& shared, unsigned seed,
                    std::atomic<std::uint64_t>& next_subscriber, std::uint64_t& tokens,
                    int& terminals) {
  std::mt19937 random(seed);
  std::string cursor;
  std::uint64_t expected = 1;
  while (terminals == 0) {
    const SubscriberHandle subscriber = next_subscriber++;
    const auto inbox = shared->inbox(subscriber);
    reactor.post([=](Nanos now) {
      shared->hub.attach(subscriber, Subscriber::Mode::kEvents, false, {{1, cursor}}, now);
    });
    auto until_cut = 1 + random() % 40;
    Subscriber::Batch batch;
    while (until_cut > 0 && inbox->take(batch)) {
      for (std::size_t i = 0; i < batch.events.size() && until_cut > 0; i += 3, --until_cut) {
        cursor = batch.events[i];
        ASSERT_EQ(cursor, "1-" + std::to_string(expected++)) << "a hole or a double";
        if (batch.events[i + 1] == "token") {
          ++tokens;
        } else {
          ++terminals;
        }
      }
      reactor.post([=](Nanos now) { shared->hub.acknowledge(subscriber, now); });
    }
    reactor.post([=](Nanos now) { shared->hub.detach(subscriber, now); });
  }
}

TEST(JobHubStress, ResumeAgainstAppendAndCancelAgainstEnd) {
  constexpr int kRounds = 20;
  constexpr int kReaders = 4;
  constexpr std::uint64_t kTokens = 2000;
  for (unsigned round = 0; round < kRounds; ++round) {
    Reactor reactor;
    const auto shared = std::make_shared<SharedHub>();
    reactor.post([&reactor, shared](Nanos now) {
      reactor.add(shared);
      shared->hub.create(1, {.job_id = "job_1"}, now);
    });
    std::atomic<std::uint64_t> next_subscriber = 1;
    std::vector<std::uint64_t> tokens(kReaders);
    std::vector<int> terminals(kReaders);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kReaders; ++i) {
      threads.emplace_back([&, i] {
        read_with_cuts(reactor, shared, round * 100 + i, next_subscriber, tokens[i], terminals[i]);
      });
    }
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < kTokens && shared->endings == 0; ++n) {
        while (n >= shared->window && shared->endings == 0) std::this_thread::yield();
        reactor.post([shared](Nanos now) { shared->hub.append(1, "t", now); });
      }
      reactor.post([shared](Nanos now) { shared->hub.finish(1, {}, now); });
    });
    threads.emplace_back([&] {
      // Half of the rounds cancel at a random moment, in a race with the end.
      if (round % 2 == 0) return;
      for (unsigned spin = 0; spin < round * 400; ++spin) std::this_thread::yield();
      Terminal cancelled;
      cancelled.kind = Terminal::Kind::kCancelled;
      reactor.post([shared, cancelled](Nanos now) { shared->hub.finish(1, cancelled, now); });
    });
    for (std::thread& thread : threads) thread.join();
    reactor.stop();
    EXPECT_EQ(shared->endings, 1);
    for (std::size_t i = 0; i < kReaders; ++i) {
      EXPECT_EQ(terminals[i], 1);
      EXPECT_EQ(tokens[i], tokens[0]);
      if (round % 2 == 0) {
        EXPECT_EQ(tokens[i], kTokens);
      }
    }
  }
}

}  // namespace
}  // namespace sluice
