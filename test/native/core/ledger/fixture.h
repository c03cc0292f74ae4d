// Ledgers in tests: short requests, and invariants of any ledger.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/ledger/ledger.h"

namespace sluice {

/// A ledger at a time that tests set, with keys of its own for requests that need none.
class LedgerFixture {
 public:
  LedgerResult run(const LedgerRequest& request) { return ledger.execute(request, now); }

  LedgerResult open(const std::string& account, Amount overdraft = 0) {
    return ledger.open(account, overdraft, now);
  }
  LedgerResult deposit(const std::string& account, Amount amount) {
    return run(deposit_request(key(), account, amount));
  }
  LedgerResult withdraw(const std::string& account, Amount amount) {
    return run(withdraw_request(key(), account, amount));
  }
  LedgerResult transfer(const std::string& from, const std::string& to, Amount amount) {
    return run(transfer_request(key(), from, to, amount));
  }
  LedgerResult hold(const std::string& account, Amount amount, Nanos timeout = kNever) {
    return run(hold_request(key(), account, amount, timeout));
  }
  LedgerResult settle(LedgerId hold, Amount amount) {
    return run(settle_request(key(), hold, amount));
  }
  LedgerResult void_hold(LedgerId hold) { return run(void_request(key(), hold)); }
  LedgerResult reverse(LedgerId event, bool force = false) {
    return run(reverse_request(key(), event, force));
  }
  LedgerResult schedule(Nanos at, const std::string& from, const std::string& to, Amount amount) {
    return run(schedule_request(key(), at, from, to, amount));
  }
  LedgerResult cancel(LedgerId scheduled) { return run(cancel_request(key(), scheduled)); }

  /// {posted, held}
  LedgerBalance balance(const std::string& account) {
    return ledger.balance(account, now).value_or(LedgerBalance{-1, -1});
  }
  std::vector<LedgerEvent> journal() { return ledger.journal(0, SIZE_MAX, now); }

  std::string key() { return "own-" + std::to_string(++keys_); }

  Ledger ledger;
  Nanos now = 0;

 private:
  int keys_ = 0;
};

inline Amount sum_of(Ledger& ledger, Nanos now) {
  Amount sum = 0;
  for (const std::string& name : ledger.accounts()) sum += ledger.balance(name, now)->posted;
  return sum;
}

inline std::vector<std::pair<std::string, LedgerBalance>> balances_of(Ledger& ledger, Nanos now) {
  std::vector<std::pair<std::string, LedgerBalance>> balances;
  for (const std::string& name : ledger.accounts()) {
    balances.emplace_back(name, *ledger.balance(name, now));
  }
  return balances;
}

/// That the journal is one that can be replayed, and that it comes to the same.
inline void expect_replays(Ledger& ledger, Nanos now) {
  Ledger copy;
  const auto journal = ledger.journal(0, SIZE_MAX, now);
  for (const LedgerEvent& event : journal) {
    ASSERT_EQ(copy.replay(event), "") << "event " << event.id;
  }
  EXPECT_EQ(copy.next_deadline(), ledger.next_deadline());
  EXPECT_EQ(balances_of(copy, now), balances_of(ledger, now));
  EXPECT_EQ(copy.last_event(), journal.size());
  for (const std::string& name : ledger.accounts()) {
    const auto its = *ledger.events(name, 0, SIZE_MAX, now);
    const auto same = *copy.events(name, 0, SIZE_MAX, now);
    ASSERT_EQ(same.size(), its.size());
    for (std::size_t i = 0; i < its.size(); ++i) EXPECT_EQ(same[i].id, its[i].id);
  }
}

}  // namespace sluice
