#include "core/limits/window_limiter.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

// A limit times a window needs up to 108 bits.
__extension__ using Wide = __int128;

std::int64_t window_of(Nanos now, Nanos window) {
  const std::int64_t number = now / window;
  return now % window < 0 ? number - 1 : number;
}

// The window at `now` of a state whose window is `known`.
std::int64_t next_window(std::int64_t known, Nanos window, Nanos now) {
  const std::int64_t number = window_of(now, window);
  const bool disorder = number < known && known * window - now < kSetBackMin;
  return disorder ? known : number;
}

// By how much the clock was set back since the newest hit.
Nanos set_back_by(const HitLog& log, Nanos now) {
  const Nanos back = log.empty() ? 0 : log.newest().at - now;
  return back >= kSetBackMin ? back : 0;
}

}  // namespace

Nanos FixedWindowRule::move_to(State& state, Nanos now) const {
  const std::int64_t number = next_window(state.window, limit_.window, now);
  // The usage of a past window expires; that of a future one, after the clock was set back, is
  // kept.
  if (number > state.window) state.used = 0;
  state.window = number;
  return std::max(now, number * limit_.window);
}

FixedWindowRule::State FixedWindowRule::unknown(EvictionFloor& floor, Nanos now) const {
  move_to(floor, now);
  return floor;
}

LimitDecision FixedWindowRule::decide(State& state, std::int64_t cost, Nanos now) const {
  move_to(state, now);
  const Nanos rest = (state.window + 1) * limit_.window - now;
  LimitDecision decision;
  decision.limit = limit_.limit;
  decision.allowed = cost == 0 || cost <= limit_.limit - state.used;
  if (decision.allowed) {
    state.used += cost;
  } else {
    decision.retry_after = cost > limit_.limit ? kNever : rest;
  }
  decision.remaining = limit_.limit - state.used;
  decision.reset_after = state.used > 0 ? rest : 0;
  return decision;
}

Nanos FixedWindowRule::reset_after(State state, Nanos now) const {
  move_to(state, now);
  return state.used > 0 ? (state.window + 1) * limit_.window - now : 0;
}

void FixedWindowRule::forget(EvictionFloor& floor, State state, Nanos now) const {
  move_to(floor, now);
  move_to(state, now);
  floor.used = std::max(floor.used, state.used);
}

Nanos SlidingCounterRule::move_to(State& state, Nanos now) const {
  const std::int64_t number = next_window(state.window, limit_.window, now);
  if (number > state.window) {
    state.used_before = number == state.window + 1 ? state.used : 0;
    state.used = 0;
  }
  state.window = number;
  return std::max(now, number * limit_.window);
}

SlidingCounterRule::State SlidingCounterRule::unknown(EvictionFloor& floor, Nanos now) const {
  move_to(floor, now);
  return floor;
}

LimitDecision SlidingCounterRule::decide(State& state, std::int64_t cost, Nanos now) const {
  const Nanos time = move_to(state, now);
  const Nanos into_window = time - state.window * limit_.window;
  const auto room = [&] {
    return static_cast<Wide>(limit_.limit - state.used) * limit_.window -
           static_cast<Wide>(state.used_before) * (limit_.window - into_window);
  };
  LimitDecision decision;
  decision.limit = limit_.limit;
  decision.allowed = cost == 0 || static_cast<Wide>(cost) * limit_.window <= room();
  if (decision.allowed) {
    state.used += cost;
  } else {
    decision.retry_after =
        cost > limit_.limit ? kNever : time - now + retry_of(state, cost, into_window);
  }
  decision.remaining = static_cast<std::int64_t>(std::max<Wide>(room(), 0) / limit_.window);
  const Nanos reset = reset_of(state, into_window);
  decision.reset_after = reset == 0 ? 0 : time - now + reset;
  return decision;
}

// The cost fits once the earlier window has slid out far enough: of its `before` requests,
// `before * (window - into) / window` count. The least `into` for which these fit into `room` is
// window - floor(room * window / before).
Nanos SlidingCounterRule::retry_of(const State& state, std::int64_t cost, Nanos into_window) const {
  const auto least_into = [window = limit_.window](std::int64_t room, std::int64_t before) {
    const Wide counted = static_cast<Wide>(room) * window / before;
    return counted >= window ? 0 : window - static_cast<Nanos>(counted);
  };
  const std::int64_t room = limit_.limit - state.used - cost;
  if (room >= 0) {
    // Denied nevertheless: the earlier window takes the room.
    return least_into(room, state.used_before) - into_window;
  }
  return limit_.window - into_window + least_into(limit_.limit - cost, state.used);
}

Nanos SlidingCounterRule::reset_of(const State& state, Nanos into_window) const {
  if (state.used > 0) return 2 * limit_.window - into_window;
  return state.used_before > 0 ? limit_.window - into_window : 0;
}

Nanos SlidingCounterRule::reset_after(State state, Nanos now) const {
  const Nanos time = move_to(state, now);
  return reset_of(state, time - state.window * limit_.window);
}

void SlidingCounterRule::forget(EvictionFloor& floor, State state, Nanos now) const {
  move_to(floor, now);
  move_to(state, now);
  floor.used = std::max(floor.used, state.used);
  floor.used_before = std::max(floor.used_before, state.used_before);
}

void HitLog::add(Nanos at, std::int64_t cost) {
  total_ += cost;
  if (size_ > 0 && newest().at == at) {
    ring_[(first_ + size_ - 1) % ring_.size()].cost += cost;
    return;
  }
  if (size_ == ring_.size()) grow();
  ring_[(first_ + size_) % ring_.size()] = {at, cost};
  ++size_;
}

void HitLog::drop_oldest() {
  total_ -= ring_[first_].cost;
  first_ = (first_ + 1) % ring_.size();
  --size_;
}

void HitLog::set_back(Nanos span) {
  for (Hit& hit : ring_) hit.at -= span;
}

void HitLog::grow() {
  std::vector<Hit> larger(std::max<std::size_t>(2 * ring_.size(), 2));
  for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
  ring_ = std::move(larger);
  first_ = 0;
}

SlidingLogRule::State SlidingLogRule::unknown(EvictionFloor& floor, Nanos now) const {
  State log;
  if (floor.at - now >= kSetBackMin) floor.at = now;
  if (floor.used > 0 && now - floor.at < limit_.window) log.add(floor.at, floor.used);
  return log;
}

LimitDecision SlidingLogRule::evaluate(const State& log, std::int64_t cost, Nanos now) const {
  LimitDecision decision;
  decision.limit = limit_.limit;
  const Nanos back = set_back_by(log, now);
  const auto rest = [&](const HitLog::Hit& hit) { return hit.at - back + limit_.window - now; };
  std::size_t first = 0;
  std::int64_t used = log.total();
  for (; first < log.size() && rest(log[first]) <= 0; ++first) used -= log[first].cost;
  decision.remaining = limit_.limit - used;
  decision.allowed = cost <= decision.remaining;
  if (used > 0) decision.reset_after = rest(log.newest());
  if (decision.allowed) return decision;
  if (cost > limit_.limit) {
    decision.retry_after = kNever;
    return decision;
  }
  for (std::int64_t missing = cost - decision.remaining; missing > 0; ++first) {
    missing -= log[first].cost;
    decision.retry_after = rest(log[first]);
  }
  return decision;
}

LimitDecision SlidingLogRule::decide(State& log, std::int64_t cost, Nanos now) const {
  const Nanos back = set_back_by(log, now);
  if (back > 0) log.set_back(back);
  const Nanos time = log.empty() ? now : std::max(now, log.newest().at);
  while (!log.empty() && time - log[0].at >= limit_.window) log.drop_oldest();
  if (cost > 0 && cost <= limit_.limit - log.total()) {
    log.add(time, cost);
    return evaluate(log, 0, now);
  }
  return evaluate(log, cost, now);
}

Nanos SlidingLogRule::reset_after(const State& log, Nanos now) const {
  if (log.empty()) return 0;
  const Nanos newest = log.newest().at - set_back_by(log, now);
  return std::max<Nanos>(newest + limit_.window - now, 0);
}

void SlidingLogRule::forget(EvictionFloor& floor, const State& log, Nanos now) const {
  if (floor.at - now >= kSetBackMin) floor.at = now;
  const bool over = now - floor.at >= limit_.window;
  const Nanos newest = log.newest().at - set_back_by(log, now);
  floor.used = over ? log.total() : std::max(floor.used, log.total());
  floor.at = over ? newest : std::max(floor.at, newest);
}

}  // namespace sluice
