// A quota under many threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "core/limits/quota.h"

namespace sluice {
namespace {

TEST(QuotaStress, NothingIsGrantedTwiceAndNothingStaysHeld) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 4000;
  constexpr std::int64_t kTokens = 1000;
  constexpr std::int64_t kJobs = 3;
  constexpr Nanos kWindow = 3600 * kSecond;
  Quota quota({.max_keys = 100});
  const DimensionId tokens = quota.add_windowed(kTokens, kWindow);
  const DimensionId jobs = quota.add_held(kJobs);
  std::atomic<std::int64_t> spent{0};
  std::atomic<std::int64_t> running{0};
  std::atomic<std::int64_t> admitted{0};
  const auto work = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      const std::int64_t cost = 1 + (round + thread) % 7;
      const std::vector<QuotaAsk> asks = {{tokens, "shared", cost}, {jobs, "shared", 1}};
      const QuotaAnswer answer = quota.reserve(asks, kWindow, 0);
      if (!answer.allowed) continue;
      admitted += 1;
      EXPECT_LE(running.fetch_add(1), kJobs - 1);
      running -= 1;
      const std::vector<std::int64_t> used = {round % 100 == 0 ? 1 : 0};
      const bool settles = round % 2 == 0;
      if (settles) spent += used[0];
      EXPECT_TRUE(settles ? quota.settle(answer.lease, used, 0) : quota.release(answer.lease, 0));
      EXPECT_FALSE(quota.settle(answer.lease, used, 0));
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();

  EXPECT_GT(admitted.load(), 0);
  EXPECT_EQ(quota.leases(0), 0u);
  const std::vector<QuotaAsk> peek = {{tokens, "shared", 0}, {jobs, "shared", 0}};
  const QuotaAnswer after = quota.reserve(peek, kWindow, 0);
  EXPECT_EQ(after.shares[0].remaining, kTokens - spent.load());
  EXPECT_EQ(after.shares[1].remaining, kJobs);
}

TEST(QuotaStress, LimitsChangeWhileLeasesComeAndGo) {
  constexpr Nanos kStep = 1000;
  Quota quota({.max_keys = 8});
  const DimensionId tokens = quota.add_windowed(50, kSecond);
  std::atomic<Nanos> clock{0};
  std::atomic<bool> done{false};
  std::thread reloader([&] {
    for (int i = 0; !done; ++i) {
      quota.set_limit(tokens, 20 + i % 60, kSecond, clock);
      quota.set_limit_of(tokens, "key" + std::to_string(i % 4), 10 + i % 90, clock);
      quota.clear_limit_of(tokens, "key" + std::to_string((i + 2) % 4), clock);
    }
  });
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 4000; ++i) {
        const std::string key = "key" + std::to_string((i + thread) % 20);
        const std::vector<QuotaAsk> asks = {{tokens, key, 1 + i % 3}};
        const QuotaAnswer answer = quota.reserve(asks, kSecond, clock.fetch_add(kStep));
        EXPECT_GE(answer.shares[0].remaining, 0);
        EXPECT_LE(answer.shares[0].remaining, answer.shares[0].limit);
        if (answer.allowed && i % 2 == 0) quota.release(answer.lease, clock);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done = true;
  reloader.join();
  EXPECT_LE(quota.keys(tokens), 8u);
}

}  // namespace
}  // namespace sluice
