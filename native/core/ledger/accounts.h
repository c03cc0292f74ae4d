// The accounts of a ledger, and the rules for what may be taken from and put into one.
//
// Any thread may find and open accounts, which stay where they are for as long as the ledger lives.
// Each has a mutex for its balance and its list of events; several are locked in the order of their
// names (AccountLocks, lock_accounts), so that no deadlock is possible.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ledger/event.h"

namespace sluice {

struct LedgerAccount {
  LedgerAccount(std::string_view its_name, Amount its_overdraft)
      : name(its_name), overdraft(its_overdraft) {}

  std::string name;        ///< changed by LedgerAccounts::rename alone
  const Amount overdraft;  ///< how far `available` may go below 0; kUnlimited
  std::mutex mutex;        ///< guards what follows
  LedgerBalance balance;
  bool closed = false;
  std::vector<LedgerId> events;  ///< that concern it, in order
};

/// Whether `amount` can leave an account, or be held of it. `force`: whatever its limit is.
LedgerCode may_take(const LedgerAccount& account, Amount amount, bool force);
/// Whether `amount` can be held: may_take, and the sum of what is held stays in range.
LedgerCode may_hold(const LedgerAccount& account, Amount amount);
/// Whether `amount` can be put into an account.
LedgerCode may_put(const LedgerAccount& account, Amount amount);

/// The balance that an event of these accounts is answered with, see LedgerResult.
inline LedgerBalance shown_balance(const LedgerAccount& from, const LedgerAccount& to) {
  return is_own_account(from.name) ? to.balance : from.balance;
}

class LedgerAccounts {
 public:
  /// With the ledger's own accounts.
  LedgerAccounts();
  LedgerAccounts(const LedgerAccounts&) = delete;
  LedgerAccounts& operator=(const LedgerAccounts&) = delete;

  /// nullptr when there is none.
  [[nodiscard]] LedgerAccount* find(std::string_view name) const;

  /// Adds an account and returns it with its mutex locked, before any other thread sees it. nullptr
  /// when there is one of that name.
  LedgerAccount* open(std::string_view name, Amount overdraft, std::unique_lock<std::mutex>& lock);

  /// Gives an account another name. False when there is none, or one of the other name. Not to
  /// be called beside other calls.
  bool rename(std::string_view from, std::string_view to);

  /// In order.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  mutable std::shared_mutex mutex_;  // guards the map, not the accounts
  mutable std::map<std::string, LedgerAccount, std::less<>> accounts_;
};

/// Holds the mutexes of two accounts, or of one that is given twice.
class AccountLocks {
 public:
  AccountLocks(LedgerAccount& one, LedgerAccount& other);

 private:
  std::unique_lock<std::mutex> first_;
  std::unique_lock<std::mutex> second_;
};

/// The locks of any number of accounts, each of which may be given several times.
std::vector<std::unique_lock<std::mutex>> lock_accounts(std::vector<LedgerAccount*> accounts);

}  // namespace sluice
