#include "core/ledger/accounts.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace sluice {

LedgerCode may_take(const LedgerAccount& account, Amount amount, bool force) {
  Amount left = 0;
  // The available amount is at most the posted one, so checking this bound keeps both in range.
  const bool fits =
      !__builtin_sub_overflow(account.balance.available(), amount, &left) && left >= -kAmountMax;
  if (fits && (force || left >= -account.overdraft)) return LedgerCode::kOk;
  const bool limited = account.overdraft != kUnlimited && !force;
  return limited ? LedgerCode::kInsufficientFunds : LedgerCode::kAmountOverflow;
}

LedgerCode may_hold(const LedgerAccount& account, Amount amount) {
  const LedgerCode taken = may_take(account, amount, false);
  if (taken != LedgerCode::kOk) return taken;
  return account.balance.held > kAmountMax - amount ? LedgerCode::kAmountOverflow : LedgerCode::kOk;
}

LedgerCode may_put(const LedgerAccount& account, Amount amount) {
  Amount sum = 0;
  return __builtin_add_overflow(account.balance.posted, amount, &sum) ? LedgerCode::kAmountOverflow
                                                                      : LedgerCode::kOk;
}

LedgerAccounts::LedgerAccounts() {
  for (const std::string_view name : {kExternalAccount, kUsageAccount}) {
    accounts_.try_emplace(std::string(name), name, kUnlimited);
  }
}

LedgerAccount* LedgerAccounts::find(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto found = accounts_.find(name);
  return found == accounts_.end() ? nullptr : &found->second;
}

LedgerAccount* LedgerAccounts::open(std::string_view name, Amount overdraft,
                                    std::unique_lock<std::mutex>& lock) {
  const std::unique_lock map_lock(mutex_);
  const auto [at, added] = accounts_.try_emplace(std::string(name), name, overdraft);
  if (!added) return nullptr;
  // Never waits: no other thread has found the account yet.
  lock = std::unique_lock(at->second.mutex);
  return &at->second;
}

bool LedgerAccounts::rename(std::string_view from, std::string_view to) {
  const std::unique_lock map_lock(mutex_);
  const auto found = accounts_.find(from);
  if (found == accounts_.end() || accounts_.find(to) != accounts_.end()) return false;
  auto node = accounts_.extract(found);
  node.key() = node.mapped().name = to;
  accounts_.insert(std::move(node));
  return true;
}

std::vector<std::string> LedgerAccounts::names() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> names;
  names.reserve(accounts_.size());
  for (const auto& [name, account] : accounts_) names.push_back(name);
  return names;
}

AccountLocks::AccountLocks(LedgerAccount& one, LedgerAccount& other) {
  const bool sorted = one.name <= other.name;
  first_ = std::unique_lock(sorted ? one.mutex : other.mutex);
  if (&one != &other) second_ = std::unique_lock(sorted ? other.mutex : one.mutex);
}

std::vector<std::unique_lock<std::mutex>> lock_accounts(std::vector<LedgerAccount*> accounts) {
  const auto by_name = [](const LedgerAccount* one, const LedgerAccount* other) {
    return one->name < other->name;
  };
  std::sort(accounts.begin(), accounts.end(), by_name);
  accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(accounts.size());
  for (LedgerAccount* const account : accounts) locks.emplace_back(account->mutex);
  return locks;
}

}  // namespace sluice
