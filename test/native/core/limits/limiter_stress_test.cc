// Limiters under many threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "core/limits/keyed_limiter.h"

namespace sluice {
namespace {

constexpr int kAskingThreads = 8;
constexpr int kAsksPerThread = 25'000;
constexpr Nanos kAskStep = 40;
// Less than a step back that counts as a changed clock: no thread is ever that late.
constexpr Nanos kSpan = kAskingThreads * kAsksPerThread * kAskStep;
static_assert(kSpan < kSetBackMin);

// Each call has its own time, and reaches the limiter in the order of the threads.
template <typename Ask>
void from_all_threads(const Ask& ask) {
  std::atomic<Nanos> clock{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kAskingThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kAsksPerThread; ++i) ask(thread, i, clock.fetch_add(kAskStep));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(LimiterStress, AllGrantsAreAtMostTheCapacityAndTheRefill) {
  constexpr std::int64_t kCapacity = 1000;
  constexpr std::int64_t kPerSecond = 5'000'000;
  TokenBucketLimiter limiter(TokenBucketRule({kCapacity, rate_per_second(kPerSecond)}), 100);
  std::atomic<std::int64_t> granted{0};
  from_all_threads([&](int, int i, Nanos now) {
    const std::int64_t cost = 1 + i % 3;
    if (limiter.allow("shared", cost, now).allowed) granted += cost;
  });
  const std::int64_t most = kCapacity + kPerSecond * kSpan / kSecond;
  EXPECT_LE(granted.load(), most);
  EXPECT_GE(granted.load(), most - 3) << "there was always someone who asked for one";
}

TEST(LimiterStress, AlsoWhenKeysAreForgottenForLackOfRoom) {
  constexpr std::int64_t kCapacity = 50;
  constexpr std::int64_t kPerSecond = 100'000;
  constexpr int kKeys = 64;
  TokenBucketLimiter limiter(TokenBucketRule({kCapacity, rate_per_second(kPerSecond)}), 16);
  std::vector<std::atomic<std::int64_t>> granted(kKeys);
  from_all_threads([&](int thread, int i, Nanos now) {
    const int key = (i * 7 + thread * 13) % kKeys;
    if (limiter.allow("key" + std::to_string(key), 1, now).allowed) {
      granted[static_cast<std::size_t>(key)] += 1;
    }
  });
  const std::int64_t most = kCapacity + kPerSecond * kSpan / kSecond;
  for (const auto& each : granted) EXPECT_LE(each.load(), most);
  EXPECT_LE(limiter.size(), 16u);
}

}  // namespace
}  // namespace sluice
