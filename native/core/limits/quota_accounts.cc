#include "core/limits/quota_accounts.h"

#include <algorithm>

namespace sluice {

WindowedAccount WindowedRule::unknown(EvictionFloor& floor, Nanos now, std::uint32_t limit) const {
  const Nanos wait = floor.wait_at(now);
  const BucketLimit& its = (*limits_)[limit];
  return {wait == 0 ? TokenBucket::full(its, now) : TokenBucket::full_after(its, wait, now), limit};
}

Nanos WindowedRule::reset_after(State account, Nanos now) const {
  const BucketLimit& limit = limit_of(account);
  account.bucket.refill(limit, now);
  return account.bucket.wait_for(limit, limit.capacity, now);
}

WindowedAccounts::WindowedAccounts(std::int64_t amount, Nanos window, std::size_t max_keys)
    : window_(window), limits_{limit_for(amount)}, accounts_(WindowedRule(limits_), max_keys) {}

// A bucket of capacity 0 still needs a rate, to pay off its debts.
BucketLimit WindowedAccounts::limit_for(std::int64_t amount) const {
  return {amount, rate_of(std::max<std::int64_t>(amount, 1), window_)};
}

std::uint32_t WindowedAccounts::limit_number(std::string_view key) const {
  if (own_.empty()) return kCommon;
  const auto found = own_.find(key);
  return found == own_.end() ? kCommon : found->second;
}

LimitDecision WindowedAccounts::evaluate(const HashedKey& key, std::int64_t cost, Nanos now) {
  accounts_.tick(now);
  WindowedAccount* const known = accounts_.find(key.text, key.hash);
  // A peek leaves the account as it is.
  WindowedAccount copy = known != nullptr ? *known : accounts_.unknown(now, limit_number(key.text));
  WindowedAccount& account = known != nullptr && cost > 0 ? *known : copy;
  const BucketLimit& limit = limits_[account.limit];
  account.bucket.refill(limit, now);
  return account.bucket.evaluate(limit, cost, now);
}

LimitDecision WindowedAccounts::consume(const HashedKey& key, std::int64_t cost, Nanos now) {
  WindowedAccount* account = accounts_.find(key.text, key.hash);
  if (account == nullptr && cost > 0) {
    const WindowedAccount fresh = accounts_.unknown(now, limit_number(key.text));
    account = &accounts_.insert(key.text, key.hash, fresh, now);
  }
  if (account == nullptr || cost == 0) return evaluate(key, 0, now);
  const BucketLimit& limit = limits_[account->limit];
  account->bucket.refill(limit, now);
  account->bucket.consume(limit, cost);
  return account->bucket.evaluate(limit, 0, now);
}

void WindowedAccounts::set_limit(std::int64_t amount, Nanos window, Nanos now) {
  const std::vector<BucketLimit> old = limits_;
  accounts_.for_each([&](std::string_view, WindowedAccount& account) {
    account.bucket.refill(old[account.limit], now);
  });
  window_ = window;
  limits_[kCommon] = limit_for(amount);
  for (const auto& [key, number] : own_) limits_[number] = limit_for(old[number].capacity);
  accounts_.for_each([&](std::string_view, WindowedAccount& account) {
    account.bucket.change_limit(old[account.limit], limits_[account.limit]);
  });
  for (std::size_t number = 0; number < limits_.size(); ++number) {
    accounts_.floor().change_rate(old[number].rate, limits_[number].rate, now);
  }
}

void WindowedAccounts::set_limit_of(std::string_view key, std::int64_t amount, Nanos now) {
  const HashedKey hashed(key);
  // A number of its own while the account still has the old one.
  std::uint32_t number = static_cast<std::uint32_t>(limits_.size());
  if (free_numbers_.empty()) {
    limits_.push_back(limit_for(amount));
  } else {
    number = free_numbers_.back();
    free_numbers_.pop_back();
    limits_[number] = limit_for(amount);
  }
  move_to(hashed, number, now);
  const auto [entry, is_new] = own_.try_emplace(std::string(key), number);
  if (!is_new) free_numbers_.push_back(std::exchange(entry->second, number));
}

void WindowedAccounts::clear_limit_of(std::string_view key, Nanos now) {
  const auto found = own_.find(key);
  if (found == own_.end()) return;
  move_to(HashedKey(key), kCommon, now);
  free_numbers_.push_back(found->second);
  own_.erase(found);
}

// For a key whose state was dropped, only the time until its bucket is full is known. That depends
// on its limit, so the key gets an account again.
void WindowedAccounts::move_to(const HashedKey& key, std::uint32_t limit, Nanos now) {
  WindowedAccount* account = accounts_.find(key.text, key.hash);
  if (account == nullptr) {
    const WindowedAccount fresh = accounts_.unknown(now, limit_number(key.text));
    if (accounts_.rule().reset_after(fresh, now) == 0) return;
    account = &accounts_.insert(key.text, key.hash, fresh, now);
  }
  const BucketLimit& from = limits_[account->limit];
  account->bucket.refill(from, now);
  account->bucket.change_limit(from, limits_[limit]);
  account->limit = limit;
}

LimitDecision HeldAccounts::evaluate(const HashedKey& key, std::int64_t cost, Nanos now) {
  LimitDecision decision;
  decision.limit = amount_;
  if (const auto own = own_.find(key.text); own != own_.end()) decision.limit = own->second;
  const Held* const held = held_.find(key.text, key.hash);
  const std::int64_t in_use = held == nullptr ? 0 : held->in_use;
  const std::int64_t left = decision.limit - in_use;
  decision.remaining = std::max<std::int64_t>(left, 0);
  decision.allowed = cost == 0 || cost <= left;
  const auto wait = [now](Nanos expires_at) { return std::max<Nanos>(expires_at - now, 0); };
  if (in_use > 0) decision.reset_after = wait(held->by_expiry.rbegin()->first.first);
  if (decision.allowed) return decision;
  decision.retry_after = kNever;
  if (cost > decision.limit || held == nullptr) return decision;
  std::int64_t missing = cost - left;
  for (const auto& [expiry, cost_held] : held->by_expiry) {
    missing -= cost_held;
    if (missing > 0) continue;
    decision.retry_after = wait(expiry.first);
    break;
  }
  return decision;
}

void HeldAccounts::hold(const HashedKey& key, std::int64_t cost, LeaseId lease, Nanos expires_at) {
  if (cost == 0) return;
  Held* held = held_.find(key.text, key.hash);
  if (held == nullptr) held = &held_.insert(key.text, key.hash, Held{});
  held->in_use += cost;
  held->by_expiry.emplace(std::pair(expires_at, lease), cost);
}

void HeldAccounts::end(const HashedKey& key, std::int64_t cost, LeaseId lease, Nanos expires_at) {
  if (cost == 0) return;
  Held* const held = held_.find(key.text, key.hash);
  held->in_use -= cost;
  held->by_expiry.erase({expires_at, lease});
  if (held->in_use == 0) held_.erase(key.text, key.hash);
}

void HeldAccounts::set_limit_of(std::string_view key, std::int64_t amount) {
  own_.insert_or_assign(std::string(key), amount);
}

void HeldAccounts::clear_limit_of(std::string_view key) {
  if (const auto own = own_.find(key); own != own_.end()) own_.erase(own);
}

}  // namespace sluice
