// One key-value store under several threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/kv/transaction.h"

namespace sluice {
namespace {

constexpr int kAccounts = 16;
constexpr long kEach = 1000;

std::string account(std::uint64_t number) {
  return "account/" + std::to_string(number);
}

long sum_of(const KvPage& page) {
  long sum = 0;
  for (const KvEntryRef& entry : page.entries) sum += std::stol(entry->value.bytes);
  return sum;
}

// In any interleaving the sum is constant, and no reader sees half of a transfer:
// in a snapshot, or in a transaction that commits or fails.
TEST(KvStoreStress, TransfersConserveTheSumInEveryView) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 3000;
  const auto store = std::make_shared<KvStore>(KvLimits{});
  for (int i = 0; i < kAccounts; ++i) {
    store->set(account(static_cast<std::uint64_t>(i)), {std::to_string(kEach)}, kNever, kAnyVersion,
               0);
  }
  const KvRange accounts = kv_range("account/", {}, {}, {});
  std::atomic<int> committed{0};
  const auto transfer = [&](std::mt19937& random, Nanos now) {
    KvTransaction tx(store);
    const std::string from = account(random() % kAccounts);
    const std::string to = account(random() % kAccounts);
    const KvEntryRef source = tx.get(from, now);
    const KvEntryRef target = tx.get(to, now);
    if (tx.doomed() || from == to) return;
    tx.set(from, {std::to_string(std::stol(source->value.bytes) - 1)}, kNever);
    tx.set(to, {std::to_string(std::stol(target->value.bytes) + 1)}, kNever);
    if (tx.commit(now).status == KvStatus::kDone) committed += 1;
  };
  const auto look = [&](std::mt19937& random, Nanos now) {
    if (random() % 2 == 0) {
      const KvSnapshot snapshot = store->snapshot(now);
      EXPECT_EQ(sum_of(snapshot.scan(accounts, 100)), kAccounts * kEach);
      return;
    }
    KvTransaction tx(store);
    long sum = 0;
    for (std::uint64_t i = 0; i < kAccounts && !tx.doomed(); ++i) {
      const KvEntryRef entry = tx.get(account(i), now);
      if (entry) sum += std::stol(entry->value.bytes);
    }
    if (!tx.doomed()) {
      EXPECT_EQ(sum, kAccounts * kEach);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int round = 0; round < kRounds; ++round) {
        transfer(random, round);
        if (round % 8 == 0) look(random, round);
        store->set("short/" + std::to_string(random() % 50), {"x"}, 5, kAnyVersion, round);
        if (round % 16 == 0) store->reclaim(8, round);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(committed, 0);
  EXPECT_EQ(sum_of(store->scan(accounts, 100, kRounds)), kAccounts * kEach);
  store->reclaim(1000, kRounds + 6);
  EXPECT_EQ(store->size(), kAccounts);
  EXPECT_EQ(store->pinned_bytes(), 0u);
}

// Snapshots are read and released on other threads than the writer's.
TEST(KvStoreStress, SnapshotsEndOnAnyThreadWhileWritersContinue) {
  constexpr int kKeys = 300;
  auto store = std::make_shared<KvStore>(KvLimits{});
  const auto key = [](int i) { return std::to_string(i); };
  for (int i = 0; i < kKeys; ++i) store->set(key(i), {"0"}, kNever, kAnyVersion, 0);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!done) {
        const KvSnapshot first = store->snapshot(0);
        const KvSnapshot second = first;
        // The writer sets all keys to one number after the other, in their order in `key`.
        const KvPage page = second.scan({}, kKeys);
        EXPECT_EQ(page.entries.size(), static_cast<std::size_t>(kKeys));
        const KvPage again = first.scan({}, kKeys);
        for (std::size_t i = 0; i < page.entries.size(); ++i) {
          EXPECT_EQ(page.entries[i]->version, again.entries[i]->version);
          EXPECT_LE(page.entries[i]->version, first.version());
        }
      }
    });
  }
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < kKeys; ++i) {
      store->set(key(i), {std::to_string(round)}, kNever, kAnyVersion, 0);
    }
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(store->snapshots(), 0u);
  EXPECT_EQ(store->pinned_bytes(), 0u);
}

}  // namespace
}  // namespace sluice
