// A ledger under many threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

constexpr int kThreads = 8;

void run_threads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();
}

std::string account(int number) {
  return "account-" + std::to_string(number);
}

TEST(LedgerStress, RandomTransfersEndAndConserveTheSum) {
  constexpr int kTransfers = 10'000;
  constexpr int kAccounts = 10;
  constexpr Amount kEach = 1000;
  LedgerFixture fixture;
  for (int i = 0; i < kAccounts; ++i) {
    fixture.open(account(i));
    fixture.deposit(account(i), kEach);
  }
  std::vector<LedgerId> seen;
  fixture.ledger.observe([&seen](auto events) { seen.push_back(events.front()->id); });
  const LedgerId before = fixture.ledger.last_event();
  std::atomic<int> moved{0};
  run_threads([&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    std::uniform_int_distribution<int> pick(0, kAccounts - 1);
    std::uniform_int_distribution<Amount> amount(1, kEach);
    for (int i = 0; i < kTransfers / kThreads; ++i) {
      const int from = pick(random);
      const int to = (from + 1 + pick(random) % (kAccounts - 1)) % kAccounts;
      const std::string key = std::to_string(thread) + "-" + std::to_string(i);
      const LedgerResult result = fixture.ledger.execute(
          transfer_request(key, account(from), account(to), amount(random)), i);
      if (result.code == LedgerCode::kOk) moved += 1;
      EXPECT_GE(result.balance.available(), 0);
    }
  });
  EXPECT_GT(moved.load(), 0);
  EXPECT_EQ(fixture.balance("@external").posted, -kAccounts * kEach);
  EXPECT_EQ(sum_of(fixture.ledger, 0), 0);
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kTransfers));
  for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], before + i + 1);
  expect_replays(fixture.ledger, kTransfers);
}

TEST(LedgerStress, FiftyUsesOfAKeyHaveOneEffect) {
  constexpr int kRounds = 200;
  LedgerFixture fixture;
  fixture.open("alice");
  std::vector<std::atomic<LedgerId>> first(kRounds);
  run_threads([&](int) {
    for (int round = 0; round < kRounds; ++round) {
      for (int use = 0; use < 7; ++use) {
        const LedgerResult result =
            fixture.ledger.execute(deposit_request(std::to_string(round), "alice", 1), 0);
        EXPECT_EQ(result.code, LedgerCode::kOk);
        LedgerId none = 0;
        auto& its = first[static_cast<std::size_t>(round)];
        if (!its.compare_exchange_strong(none, result.event.id)) {
          EXPECT_EQ(none, result.event.id);
        }
      }
    }
  });
  EXPECT_EQ(fixture.balance("alice").posted, kRounds);
  EXPECT_EQ(fixture.ledger.last_event(), 1u + kRounds);
}

TEST(LedgerStress, EverythingAtOnceStaysInTheBooks) {
  constexpr int kAccounts = 5;
  LedgerFixture fixture;
  Ledger& ledger = fixture.ledger;
  for (int i = 0; i < kAccounts; ++i) {
    fixture.open(account(i), i == 0 ? kUnlimited : 20);
    fixture.deposit(account(i), 300);
  }
  std::atomic<Nanos> clock{0};
  run_threads([&](int thread) {
    std::mt19937 random(static_cast<unsigned>(100 + thread));
    const auto pick = [&random](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    for (int i = 0; i < 1500; ++i) {
      const Nanos now = clock.fetch_add(1);
      const std::string key = std::to_string(pick(0, 4000));
      const std::string one = account(pick(0, kAccounts - 1));
      const std::string other = account(pick(0, kAccounts - 1));
      const LedgerId recent = ledger.last_event() - static_cast<LedgerId>(pick(0, 10));
      const std::vector<std::function<LedgerRequest()>> requests{
          [&] { return transfer_request(key, one, other, pick(1, 50)); },
          [&] { return hold_request(key, one, pick(0, 50), pick(1, 40)); },
          [&] { return settle_request(key, recent, pick(0, 20)); },
          [&] { return void_request(key, recent); },
          [&] { return reverse_request(key, recent, pick(0, 1) == 0); },
          [&] { return schedule_request(key, now + pick(0, 40), one, other, pick(1, 50)); },
          [&] { return cancel_request(key, recent); },
          [&] { return deposit_request(key, one, pick(1, 9)); },
      };
      ledger.execute(requests[static_cast<std::size_t>(pick(0, 7))](), now);
      if (i % 50 == 0) ledger.open("opened-" + key, 0, now);
      if (i % 16 == 0) ledger.events(one, 0, 10, now);
      if (i % 64 == 0) ledger.journal(recent, 10, now);
      EXPECT_GE(ledger.balance(one, now)->held, 0);
    }
  });
  const Nanos end = clock.load() + 100;
  ledger.advance(end);
  EXPECT_EQ(sum_of(ledger, end), 0);
  EXPECT_EQ(ledger.next_deadline(), kNever);
  for (const auto& [name, balance] : balances_of(ledger, end)) {
    EXPECT_EQ(balance.held, 0) << name;
  }
  const auto journal = ledger.journal(0, SIZE_MAX, end);
  std::set<std::string> keys;
  Nanos last = 0;
  for (const LedgerEvent& event : journal) {
    if (!event.key.empty()) {
      EXPECT_TRUE(keys.insert(event.key).second) << "answered twice";
    }
    EXPECT_GE(event.at, last);
    last = event.at;
  }
  expect_replays(ledger, end);
}

}  // namespace
}  // namespace sluice
