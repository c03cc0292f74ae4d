// Limits per window of time: fixed windows, sliding log, sliding counter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "core/limits/keyed_limiter.h"
#include "core/limits/limit_decision.h"

namespace sluice {

/// The limit of a window rule: `limit` (1 to 2^53) per `window` (1 ns to 2^55 ns, a year). Times
/// lie less than 2^62 ns from 0. Steps back in time: see limit_decision.h. The rules are for
/// KeyedLimiter and not thread-safe by themselves.
struct WindowLimit {
  std::int64_t limit = 1;
  Nanos window = kSecond;
};

/// Fixed windows: `limit` in each window that starts at a multiple of its length. One number per
/// key, but up to twice the limit around a boundary.
class FixedWindowRule {
 public:
  struct State {
    std::int64_t window = 0;  ///< its number; window 0 starts at time 0
    std::int64_t used = 0;
  };
  using EvictionFloor = State;

  explicit FixedWindowRule(const WindowLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now) const;
  LimitDecision decide(State& state, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(State state, Nanos now) const { return decide(state, 0, now); }
  [[nodiscard]] Nanos reset_after(State state, Nanos now) const;
  void forget(EvictionFloor& floor, State state, Nanos now) const;

 private:
  // Moves the state to the window of `now`. Returns `now`, or the start of that window if it is
  // later.
  Nanos move_to(State& state, Nanos now) const;

  WindowLimit limit_;
};

/// Sliding counter: counts as if the requests of the previous window were spread evenly over it.
/// Two numbers per key, and close to the sliding log.
class SlidingCounterRule {
 public:
  struct State {
    std::int64_t window = 0;
    std::int64_t used = 0;         ///< in this window
    std::int64_t used_before = 0;  ///< in the previous window
  };
  using EvictionFloor = State;

  explicit SlidingCounterRule(const WindowLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now) const;
  LimitDecision decide(State& state, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(State state, Nanos now) const { return decide(state, 0, now); }
  [[nodiscard]] Nanos reset_after(State state, Nanos now) const;
  void forget(EvictionFloor& floor, State state, Nanos now) const;

 private:
  Nanos move_to(State& state, Nanos now) const;
  [[nodiscard]] Nanos reset_of(const State& state, Nanos into_window) const;
  [[nodiscard]] Nanos retry_of(const State& state, std::int64_t cost, Nanos into_window) const;

  WindowLimit limit_;
};

/// The unexpired requests of one key, oldest first. At most `limit` of them, since each took at
/// least 1; the ring has room for less than twice as many.
class HitLog {
 public:
  struct Hit {
    Nanos at = 0;
    std::int64_t cost = 0;
  };

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::int64_t total() const { return total_; }
  [[nodiscard]] const Hit& operator[](std::size_t i) const {
    return ring_[(first_ + i) % ring_.size()];
  }
  [[nodiscard]] const Hit& newest() const { return (*this)[size_ - 1]; }

  /// Adds a hit, which is no older than the newest.
  void add(Nanos at, std::int64_t cost);
  void drop_oldest();
  /// Makes all hits older by `span`.
  void set_back(Nanos span);

 private:
  void grow();

  std::vector<Hit> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::int64_t total_ = 0;
};

/// Sliding log: `limit` in any window. Exact; keeps each request of the window.
class SlidingLogRule {
 public:
  using State = HitLog;
  /// The newest time and the largest use of the evicted keys.
  struct EvictionFloor {
    Nanos at = 0;
    std::int64_t used = 0;
  };

  explicit SlidingLogRule(const WindowLimit& limit) : limit_(limit) {}

  [[nodiscard]] State unknown(EvictionFloor& floor, Nanos now) const;
  LimitDecision decide(State& log, std::int64_t cost, Nanos now) const;
  [[nodiscard]] LimitDecision peek(const State& log, Nanos now) const {
    return evaluate(log, 0, now);
  }
  [[nodiscard]] Nanos reset_after(const State& log, Nanos now) const;
  void forget(EvictionFloor& floor, const State& log, Nanos now) const;

 private:
  [[nodiscard]] LimitDecision evaluate(const State& log, std::int64_t cost, Nanos now) const;

  WindowLimit limit_;
};

using FixedWindowLimiter = KeyedLimiter<FixedWindowRule>;
using SlidingCounterLimiter = KeyedLimiter<SlidingCounterRule>;
using SlidingLogLimiter = KeyedLimiter<SlidingLogRule>;

}  // namespace sluice
