#include "core/limits/quota.h"

#include <algorithm>

namespace sluice {
namespace {

WindowedAccounts* windowed(const auto& dimension) {
  const auto* const accounts = std::get_if<std::unique_ptr<WindowedAccounts>>(&dimension);
  return accounts == nullptr ? nullptr : accounts->get();
}

HeldAccounts& held(const auto& dimension) {
  return **std::get_if<std::unique_ptr<HeldAccounts>>(&dimension);
}

}  // namespace

DimensionId Quota::add_windowed(std::int64_t amount, Nanos window) {
  const std::lock_guard lock(mutex_);
  dimensions_.emplace_back(std::make_unique<WindowedAccounts>(amount, window, options_.max_keys));
  return static_cast<DimensionId>(dimensions_.size() - 1);
}

DimensionId Quota::add_held(std::int64_t amount) {
  const std::lock_guard lock(mutex_);
  dimensions_.emplace_back(std::make_unique<HeldAccounts>(amount));
  return static_cast<DimensionId>(dimensions_.size() - 1);
}

void Quota::set_limit(DimensionId dimension, std::int64_t amount, Nanos window, Nanos now) {
  const std::lock_guard lock(mutex_);
  const Dimension& of = dimensions_[dimension];
  if (WindowedAccounts* const accounts = windowed(of))
    return accounts->set_limit(amount, window, now);
  held(of).set_limit(amount);
}

void Quota::set_limit_of(DimensionId dimension, std::string_view key, std::int64_t amount,
                         Nanos now) {
  const std::lock_guard lock(mutex_);
  const Dimension& of = dimensions_[dimension];
  if (WindowedAccounts* const accounts = windowed(of))
    return accounts->set_limit_of(key, amount, now);
  held(of).set_limit_of(key, amount);
}

void Quota::clear_limit_of(DimensionId dimension, std::string_view key, Nanos now) {
  const std::lock_guard lock(mutex_);
  const Dimension& of = dimensions_[dimension];
  if (WindowedAccounts* const accounts = windowed(of)) return accounts->clear_limit_of(key, now);
  held(of).clear_limit_of(key);
}

LimitDecision Quota::evaluate(const QuotaAsk& ask, const HashedKey& key, Nanos now) {
  const Dimension& of = dimensions_[ask.dimension];
  if (WindowedAccounts* const accounts = windowed(of))
    return accounts->evaluate(key, ask.cost, now);
  return held(of).evaluate(key, ask.cost, now);
}

LimitDecision Quota::take(const QuotaAsk& ask, const HashedKey& key, const QuotaAnswer& answer,
                          Nanos now) {
  const Dimension& of = dimensions_[ask.dimension];
  if (WindowedAccounts* const accounts = windowed(of)) return accounts->consume(key, ask.cost, now);
  held(of).hold(key, ask.cost, answer.lease, answer.expires_at);
  return held(of).evaluate(key, 0, now);
}

QuotaAnswer Quota::reserve(std::span<const QuotaAsk> asks, Nanos lease_for, Nanos now) {
  std::vector<HashedKey> keys;
  keys.reserve(asks.size());
  for (const QuotaAsk& ask : asks) keys.emplace_back(ask.key);
  QuotaAnswer answer;
  answer.shares.reserve(asks.size());

  const std::lock_guard lock(mutex_);
  expire(now);
  answer.leases_full = leases_.size() >= options_.max_leases;
  answer.allowed = !answer.leases_full;
  if (answer.leases_full) answer.retry_after = by_expiry_.begin()->first - now;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    const LimitDecision share = evaluate(asks[i], keys[i], now);
    answer.allowed = answer.allowed && share.allowed;
    answer.retry_after = std::max(answer.retry_after, share.retry_after);
    answer.shares.push_back(share);
  }
  if (!answer.allowed) return answer;

  answer.lease = ++last_lease_;
  answer.expires_at = now + lease_for;
  Lease lease{answer.expires_at, {}};
  lease.shares.reserve(asks.size());
  for (std::size_t i = 0; i < asks.size(); ++i) {
    answer.shares[i] = take(asks[i], keys[i], answer, now);
    lease.shares.push_back({asks[i].dimension, std::string(asks[i].key), asks[i].cost});
  }
  leases_.emplace(answer.lease, std::move(lease));
  by_expiry_.emplace(answer.expires_at, answer.lease);
  return answer;
}

template <typename Owed>
void Quota::end(Leases::iterator lease, const Owed& owed, Nanos now) {
  const auto& [id, terms] = *lease;
  for (std::size_t i = 0; i < terms.shares.size(); ++i) {
    const auto& [dimension, key, cost] = terms.shares[i];
    if (WindowedAccounts* const accounts = windowed(dimensions_[dimension])) {
      const std::int64_t due = owed(i, cost);
      if (due != 0) accounts->consume(HashedKey(key), due, now);
    } else {
      held(dimensions_[dimension]).end(HashedKey(key), cost, id, terms.expires_at);
    }
  }
  by_expiry_.erase({terms.expires_at, id});
  leases_.erase(lease);
}

void Quota::expire(Nanos now) {
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
    end(
        leases_.find(by_expiry_.begin()->second), [](std::size_t, std::int64_t) { return 0; }, now);
  }
}

bool Quota::settle(LeaseId lease, std::span<const std::int64_t> used, Nanos now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  const auto owed = [used](std::size_t i, std::int64_t reserved) {
    return i < used.size() && used[i] >= 0 ? used[i] - reserved : 0;
  };
  end(found, owed, now);
  return true;
}

bool Quota::release(LeaseId lease, Nanos now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  end(
      found, [](std::size_t, std::int64_t reserved) { return -reserved; }, now);
  return true;
}

bool Quota::renew(LeaseId lease, Nanos lease_for, Nanos now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  Lease& terms = found->second;
  const Nanos old = std::exchange(terms.expires_at, now + lease_for);
  by_expiry_.erase({old, lease});
  by_expiry_.emplace(terms.expires_at, lease);
  for (const auto& [dimension, key, cost] : terms.shares) {
    if (windowed(dimensions_[dimension]) != nullptr) continue;
    held(dimensions_[dimension]).end(HashedKey(key), cost, lease, old);
    held(dimensions_[dimension]).hold(HashedKey(key), cost, lease, terms.expires_at);
  }
  return true;
}

std::size_t Quota::leases(Nanos now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  return leases_.size();
}

std::size_t Quota::keys(DimensionId dimension) const {
  const std::lock_guard lock(mutex_);
  const Dimension& of = dimensions_[dimension];
  if (const WindowedAccounts* const accounts = windowed(of)) return accounts->size();
  return held(of).size();
}

}  // namespace sluice
