// The accounts of a ledger, their locks, and the rules for taking money from them.
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
  std::mutex mutex;        ///< guards the members below
  LedgerBalance balance;
  bool closed = false;
  std::vector<LedgerId> events;  ///< the events of this account, in order
};

/// Whether `amount` can be taken from an account, or held on it. `force` ignores its overdraft.
LedgerCode may_take(const LedgerAccount& account, Amount amount, bool force);
/// Whether `amount` can be held: may_take, and the sum of the held amounts stays in range.
LedgerCode may_hold(const LedgerAccount& account, Amount amount);
/// Whether `amount` can be put into an account.
LedgerCode may_put(const LedgerAccount& account, Amount amount);

/// The balance in the result of an event of these accounts, see LedgerResult.
inline LedgerBalance shown_balance(const LedgerAccount& from, const LedgerAccount& to) {
  return is_own_account(from.name) ? to.balance : from.balance;
}

/// The accounts of a ledger, by name.
///
/// Any thread may find and open accounts, which keep their address for the life of the ledger. Each
/// has a mutex for its balance and its list of events. Several mutexes are locked in the order of
/// the accounts' names (AccountLocks, lock_accounts), which excludes deadlocks.
class LedgerAccounts {
 public:
  /// Opens the ledger's own accounts.
  LedgerAccounts();
  LedgerAccounts(const LedgerAccounts&) = delete;
  LedgerAccounts& operator=(const LedgerAccounts&) = delete;

  /// The account of that name; nullptr when there is none.
  [[nodiscard]] LedgerAccount* find(std::string_view name) const;

  /// Adds an account and returns it with its mutex locked, before any other thread sees it. nullptr
  /// when there is one of that name.
  LedgerAccount* open(std::string_view name, Amount overdraft, std::unique_lock<std::mutex>& lock);

  /// Renames an account. Returns false when there is none, or when the new name is taken. Not to be
  /// called concurrently with other calls.
  bool rename(std::string_view from, std::string_view to);

  /// The names, sorted.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  mutable std::shared_mutex mutex_;  // guards the map, not the accounts
  mutable std::map<std::string, LedgerAccount, std::less<>> accounts_;
};

/// Locks two accounts, which may be the same one.
class AccountLocks {
 public:
  AccountLocks(LedgerAccount& one, LedgerAccount& other);

 private:
  std::unique_lock<std::mutex> first_;
  std::unique_lock<std::mutex> second_;
};

/// Locks any number of accounts; duplicates are allowed.
std::vector<std::unique_lock<std::mutex>> lock_accounts(std::vector<LedgerAccount*> accounts);

}  // namespace sluice
