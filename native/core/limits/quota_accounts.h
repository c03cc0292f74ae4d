// The usage of each key in one dimension of a quota. Not thread-safe: Quota locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "core/containers/hash_table.h"
#include "core/limits/bounded_key_states.h"
#include "core/limits/limit_decision.h"
#include "core/limits/token_bucket.h"

namespace sluice {

/// The id of a lease, never reused; 0: none.
using LeaseId = std::uint64_t;

/// A key and its hash, computed once.
struct HashedKey {
  explicit HashedKey(std::string_view key) : text(key), hash(KeyedTable<int>::hash_of(key)) {}

  std::string_view text;
  std::uint32_t hash;
};

/// A transparent hash: finds a std::string key by string_view.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
template <typename Value>
using MapByText = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

/// A bucket with the number of its limit.
struct WindowedAccount {
  TokenBucket bucket;
  std::uint32_t limit = 0;
};

/// The rule of KeyedStates for buckets of several limits.
class WindowedRule {
 public:
  using State = WindowedAccount;
  using EvictionFloor = BucketEvictionFloor;

  /// `limits` outlives this.
  explicit WindowedRule(const std::vector<BucketLimit>& limits) : limits_(&limits) {}

  [[nodiscard]] const BucketLimit& limit_of(const State& account) const {
    return (*limits_)[account.limit];
  }
  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now, std::uint32_t limit) const;
  [[nodiscard]] Nanos reset_after(State account, Nanos now) const;
  void forget(EvictionFloor& floor, const State& account, Nanos now) const {
    floor.include(reset_after(account, now), now);
  }

 private:
  const std::vector<BucketLimit>* limits_;
};

/// A windowed dimension (requests, tokens): a token bucket for each key, with a capacity of
/// `amount` that refills continuously over `window`. The balance may be negative: a debt. An amount
/// of 0 grants nothing. Keys share a common limit or have one of their own.
class WindowedAccounts {
 public:
  WindowedAccounts(std::int64_t amount, Nanos window, std::size_t max_keys);
  WindowedAccounts(const WindowedAccounts&) = delete;
  WindowedAccounts& operator=(const WindowedAccounts&) = delete;

  /// The decision on taking `cost`; takes nothing.
  [[nodiscard]] LimitDecision evaluate(const HashedKey& key, std::int64_t cost, Nanos now);

  /// Takes `cost`, available or not, and returns the decision on a cost of 0. A negative cost gives
  /// some back, unless the state of the key was dropped.
  LimitDecision consume(const HashedKey& key, std::int64_t cost, Nanos now);

  /// Changes the limit of all keys without one of their own, and the window of all keys. Usage is
  /// kept (change_limit).
  void set_limit(std::int64_t amount, Nanos window, Nanos now);
  /// Sets a limit for one key, over the same window.
  void set_limit_of(std::string_view key, std::int64_t amount, Nanos now);
  /// Restores the common limit for a key.
  void clear_limit_of(std::string_view key, Nanos now);

  [[nodiscard]] std::size_t size() const { return accounts_.size(); }

 private:
  static constexpr std::uint32_t kCommon = 0;

  [[nodiscard]] BucketLimit limit_for(std::int64_t amount) const;
  [[nodiscard]] std::uint32_t limit_number(std::string_view key) const;
  void move_to(const HashedKey& key, std::uint32_t limit, Nanos now);

  Nanos window_;
  std::vector<BucketLimit> limits_;  // by number; kCommon: of keys without their own
  std::vector<std::uint32_t> free_numbers_;
  MapByText<std::uint32_t> own_;
  KeyedStates<WindowedRule> accounts_;
};

/// A held dimension (concurrent jobs): open leases hold at most `amount` at a time. Keys share a
/// common limit or have one of their own.
class HeldAccounts {
 public:
  explicit HeldAccounts(std::int64_t amount) : amount_(amount) {}

  /// The decision on holding `cost` more. retry_after and reset_after are waits until enough leases
  /// expire: upper bounds, since leases may end before.
  [[nodiscard]] LimitDecision evaluate(const HashedKey& key, std::int64_t cost, Nanos now);

  void hold(const HashedKey& key, std::int64_t cost, LeaseId lease, Nanos expires_at);
  /// Undoes a `hold` with the same arguments.
  void end(const HashedKey& key, std::int64_t cost, LeaseId lease, Nanos expires_at);

  void set_limit(std::int64_t amount) { amount_ = amount; }
  void set_limit_of(std::string_view key, std::int64_t amount);
  void clear_limit_of(std::string_view key);

  [[nodiscard]] std::size_t size() const { return held_.size(); }

 private:
  struct Held {
    std::int64_t in_use = 0;
    std::map<std::pair<Nanos, LeaseId>, std::int64_t> by_expiry;
  };

  std::int64_t amount_;
  MapByText<std::int64_t> own_;
  KeyedTable<Held> held_;
};

}  // namespace sluice
