// The states of a limiter's keys, with a bound on their number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/base/time.h"
#include "core/containers/hash_table.h"

namespace sluice {

/// The states of a limiter's keys: at most `max_keys`, without those whose usage has expired.
///
/// Dropping a key never grants it anything. A state equal to a new one (a full bucket, a window
/// that is over) may be dropped at any time: every insertion examines a few entries, and every
/// 256th request some more. When the table is full and no examined entry equals a new one, the
/// closest to it is evicted, and the *eviction floor* records its usage: from then on every key
/// without an entry counts as having used as much. So a key never has more than it would have in an
/// unbounded table, and a flood of new keys is granted about as much in total as `max_keys` keys
/// are.
///
/// `Rule` has `State`, `EvictionFloor` (default-constructed: nothing was evicted) and
///   State unknown(EvictionFloor&, now, ...)          the state of a key without an entry
///   Nanos reset_after(State, now)                    0: equal to a new state
///   void forget(EvictionFloor&, const State&, now)   records the usage of an evicted state
/// where State may be a const reference.
///
/// Not thread-safe: KeyedLimiter and Quota lock.
template <typename Rule>
class KeyedStates {
 public:
  using State = typename Rule::State;
  using Table = KeyedTable<State>;

  /// `max_keys` from 1 to Table::kEntriesMax.
  KeyedStates(Rule rule, std::size_t max_keys) : rule_(std::move(rule)), max_keys_(max_keys) {}

  [[nodiscard]] static std::uint32_t hash_of(std::string_view key) { return Table::hash_of(key); }

  /// The state of a key; nullptr when it has none. Valid until the next insert or tick.
  [[nodiscard]] State* find(std::string_view key, std::uint32_t hash) {
    return table_.find(key, hash);
  }

  /// The initial state of a key without an entry. `context` is passed on to the rule.
  template <typename... Context>
  [[nodiscard]] State unknown(Nanos now, Context... context) {
    return rule_.unknown(floor_, now, context...);
  }

  /// Adds a key that has no state. Other states may be dropped.
  State& insert(std::string_view key, std::uint32_t hash, State state, Nanos now) {
    sweep(kLookedAtPerInsert, now);
    if (table_.size() >= max_keys_) make_room(now);
    return table_.insert(key, hash, std::move(state));
  }

  /// Clears the usage of a key. Returns whether any of it was unexpired. The key has a new state
  /// until that is dropped; the floor applies to it afterwards.
  bool reset(std::string_view key, std::uint32_t hash, Nanos now) {
    const State* const known = table_.find(key, hash);
    const bool counted = known != nullptr && rule_.reset_after(*known, now) > 0;
    table_.erase(key, hash);
    // A key without an entry counts with the usage of the floor.
    if (rule_.reset_after(rule_.unknown(floor_, now), now) > 0) {
      typename Rule::EvictionFloor none{};
      insert(key, hash, rule_.unknown(none, now), now);
    }
    return counted;
  }

  /// Call it with every request, before `find`: it drops idle keys also when nothing is inserted.
  void tick(Nanos now) {
    if (++ticks_ % kTicksPerSweep == 0) sweep(kLookedAtPerSweep, now);
  }

  /// Calls `change(key, state)` for every entry.
  template <typename Change>
  void for_each(const Change& change) {
    for (EntryId id = 0; id < table_.extent(); ++id) {
      if (State* const state = table_.at(id)) change(table_.key_at(id), *state);
    }
  }

  [[nodiscard]] const Rule& rule() const { return rule_; }
  /// The rule, to be changed.
  [[nodiscard]] typename Rule::EvictionFloor& floor() { return floor_; }
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] std::size_t max_keys() const { return max_keys_; }

 private:
  using EntryId = typename Table::EntryId;

  // Two per insertion visit every entry before the table has grown by half.
  static constexpr int kLookedAtPerInsert = 2;
  static constexpr std::uint32_t kTicksPerSweep = 256;
  static constexpr int kLookedAtPerSweep = 64;
  static constexpr int kCandidates = 16;

  // The next entry of the sweep; nullptr if there is none.
  State* next() {
    ++cursor_;
    if (cursor_ >= table_.extent()) cursor_ = 0;
    return table_.at(cursor_);
  }

  void sweep(int count, Nanos now) {
    for (; count > 0 && table_.size() > 0; --count) {
      State* const state = next();
      if (state != nullptr && rule_.reset_after(*state, now) == 0) table_.erase(cursor_);
    }
  }

  void make_room(Nanos now) {
    EntryId victim = 0;
    Nanos least = kNever;
    bool found = false;
    for (int looked_at = 0; looked_at < kCandidates || !found; ++looked_at) {
      const State* const state = next();
      if (state == nullptr) continue;
      const Nanos wait = rule_.reset_after(*state, now);
      if (found && wait >= least) continue;
      found = true;
      least = wait;
      victim = cursor_;
      if (wait == 0) break;
    }
    if (least > 0) rule_.forget(floor_, *table_.at(victim), now);
    table_.erase(victim);
  }

  Rule rule_;
  std::size_t max_keys_;
  Table table_;
  typename Rule::EvictionFloor floor_{};
  EntryId cursor_ = 0;
  std::uint32_t ticks_ = 0;
};

}  // namespace sluice
