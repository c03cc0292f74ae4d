// Followers that attach, detach and are cancelled while their source's log grows, is retried and
// ends, on a real reactor. In any order each follower sees ids without a hole, one terminal event,
// and, unless it was cancelled, the source's whole text. Run under ThreadSanitizer.
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

constexpr JobHandle kSource = 1;
constexpr std::uint64_t kSourceTokens = 600;
constexpr std::uint64_t kRetryAt = 100;

struct Seen {
  std::uint64_t tokens = 0;  // of the last attempt
  std::string terminal;
};

// Reads a follower from its first event to its last.
void read_all(Reactor& reactor, const std::shared_ptr<SharedHub>& shared, JobHandle job,
              Seen& seen) {
  const auto inbox = shared->inbox(job);
  reactor.post([=](Nanos now) {
    shared->hub.attach(job, Subscriber::Mode::kEvents, false, {{job, ""}}, now);
  });
  std::uint64_t attempt = 1;
  Subscriber::Batch batch;
  while (inbox->take(batch)) {
    for (std::size_t i = 0; i < batch.events.size(); i += 3) {
      const std::string& type = batch.events[i + 1];
      if (type == "job_retry") {
        ++attempt;
        seen.tokens = 0;
        ASSERT_EQ(batch.events[i], std::to_string(attempt) + "-0");
        continue;
      }
      ASSERT_EQ(batch.events[i], std::to_string(attempt) + "-" + std::to_string(seen.tokens + 1))
          << "a hole or a double";
      if (type == "token") {
        ++seen.tokens;
      } else {
        ASSERT_EQ(seen.terminal, "");
        seen.terminal = type;
      }
    }
    reactor.post([=](Nanos now) { shared->hub.acknowledge(job, now); });
  }
}

void produce(Reactor& reactor, const std::shared_ptr<SharedHub>& shared) {
  for (std::uint64_t n = 0; n < kSourceTokens + kRetryAt; ++n) {
    while (n >= shared->window) std::this_thread::yield();
    if (n == kRetryAt) reactor.post([shared](Nanos now) { shared->hub.retry(kSource, {}, now); });
    reactor.post([shared](Nanos now) { shared->hub.append(kSource, "t", now); });
  }
  reactor.post([shared](Nanos now) { shared->hub.finish(kSource, {}, now); });
}

// One after the other: jobs that join and are read to their end; some are cancelled.
void join_again_and_again(Reactor& reactor, const std::shared_ptr<SharedHub>& shared, unsigned seed,
                          JobHandle first, std::vector<Seen>& all) {
  std::mt19937 random(seed);
  for (JobHandle job = first; job < first + all.size(); ++job) {
    Seen& seen = all[job - first];
    reactor.post([=](Nanos now) {
      shared->hub.create(job, {.job_id = "job_" + std::to_string(job)}, now);
      EXPECT_TRUE(shared->hub.follow(job, kSource, now));
    });
    std::thread canceller;
    if (random() % 3 == 0) {
      canceller = std::thread([&reactor, shared, job, spins = random() % 500] {
        for (unsigned spin = 0; spin < spins; ++spin) std::this_thread::yield();
        Terminal cancelled;
        cancelled.kind = Terminal::Kind::kCancelled;
        reactor.post([=](Nanos now) { shared->hub.finish(job, cancelled, now); });
      });
    }
    read_all(reactor, shared, job, seen);
    if (canceller.joinable()) canceller.join();
    if (random() % 2 == 0) reactor.post([=](Nanos now) { shared->hub.purge(job, now); });
  }
}

TEST(JobHubFollowStress, JoinAgainstAppendRetryCancelAndEnd) {
  constexpr int kRounds = 10;
  constexpr unsigned kJoiners = 4;
  constexpr std::size_t kJobsEach = 5;
  for (unsigned round = 0; round < kRounds; ++round) {
    Reactor reactor;
    const auto shared = std::make_shared<SharedHub>();
    reactor.post([&reactor, shared](Nanos now) {
      reactor.add(shared);
      shared->hub.create(kSource, {.job_id = "job_1", .retention = kNever}, now);
      shared->hub.start(kSource, {}, now);
    });
    std::vector<std::vector<Seen>> seen(kJoiners, std::vector<Seen>(kJobsEach));
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kJoiners; ++i) {
      threads.emplace_back([&, i] {
        join_again_and_again(reactor, shared, round * 100 + i, 10 + i * kJobsEach, seen[i]);
      });
    }
    threads.emplace_back([&] { produce(reactor, shared); });
    for (std::thread& thread : threads) thread.join();
    reactor.stop();
    EXPECT_EQ(shared->endings, 1 + static_cast<int>(kJoiners * kJobsEach)) << "each job once";
    for (const auto& joiner : seen) {
      for (const Seen& one : joiner) {
        if (one.terminal == "job_complete") {
          EXPECT_EQ(one.tokens, kSourceTokens);
        } else {
          EXPECT_EQ(one.terminal, "job_cancelled");
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice
