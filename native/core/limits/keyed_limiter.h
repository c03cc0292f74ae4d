// A thread-safe limiter for any number of keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>

#include "core/base/time.h"
#include "core/limits/bounded_key_states.h"
#include "core/limits/limit_decision.h"
#include "core/limits/token_bucket.h"

namespace sluice {

/// A limiter for any number of keys, each limited by `Rule`. Thread-safe: one mutex guards all
/// state.
///
/// In addition to the requirements of KeyedStates, `Rule` has
///   LimitDecision decide(State&, cost, now)      takes the cost if it grants it
///   LimitDecision peek(State, now)               decides on a cost of 0; changes nothing
template <typename Rule>
class KeyedLimiter {
 public:
  using State = typename Rule::State;

  /// `max_keys` from 1 to KeyedTable::kEntriesMax.
  KeyedLimiter(Rule rule, std::size_t max_keys) : states_(std::move(rule), max_keys) {}
  KeyedLimiter(const KeyedLimiter&) = delete;
  KeyedLimiter& operator=(const KeyedLimiter&) = delete;

  /// Takes `cost` (at least 0) for `key` if it may be taken in full, and else nothing. A cost of 0
  /// peeks: it is always granted and changes nothing. `now` lies less than 2^62 ns from 0, on one
  /// clock for all keys.
  LimitDecision allow(std::string_view key, std::int64_t cost, Nanos now) {
    const std::uint32_t hash = KeyedStates<Rule>::hash_of(key);
    const std::lock_guard lock(mutex_);
    states_.tick(now);
    State* const known = states_.find(key, hash);
    if (known != nullptr) {
      return cost > 0 ? states_.rule().decide(*known, cost, now) : states_.rule().peek(*known, now);
    }
    State state = states_.unknown(now);
    const LimitDecision decision = states_.rule().decide(state, cost, now);
    if (decision.allowed && cost > 0) states_.insert(key, hash, std::move(state), now);
    return decision;
  }

  /// Clears the usage of `key`. Returns whether any of it was unexpired.
  bool reset(std::string_view key, Nanos now) {
    const std::uint32_t hash = KeyedStates<Rule>::hash_of(key);
    const std::lock_guard lock(mutex_);
    return states_.reset(key, hash, now);
  }

  /// Keys held: those with unexpired usage, and expired ones not yet swept.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return states_.size();
  }

 private:
  mutable std::mutex mutex_;
  KeyedStates<Rule> states_;
};

using TokenBucketLimiter = KeyedLimiter<TokenBucketRule>;

}  // namespace sluice
