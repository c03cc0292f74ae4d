#include "core/containers/rolling_window.h"

#include <algorithm>
#include <limits>

namespace sluice {
namespace {

constexpr std::int64_t kWidestStepMs = std::int64_t{1} << 62;

/// The millisecond before the window's first one. Saturates.
std::int64_t window_edge(std::int64_t now_ms, std::int64_t window_ms) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  return now_ms < kMin + window_ms ? kMin : now_ms - window_ms;
}

/// The number of the span of `step_ms`, a power of two, in which a time lies. Spans are counted
/// from a time so early that 1970 is no border between the widest of them.
std::uint64_t step_of(std::int64_t time_ms, std::int64_t step_ms) {
  constexpr std::uint64_t kLongAgo = kWidestStepMs / 2;
  return (static_cast<std::uint64_t>(time_ms) + kLongAgo) / static_cast<std::uint64_t>(step_ms);
}

}  // namespace

bool RollingWindow::add(std::int64_t time_ms, double value) {
  if (any_ && time_ms <= window_edge(newest_ms_, window_ms_)) return false;
  newest_ms_ = any_ ? std::max(newest_ms_, time_ms) : time_ms;
  any_ = true;
  if (!entries_.empty()) {
    Entry& last = entries_.back();
    if (last.first_ms <= time_ms && time_ms <= last.last_ms) {
      ++last.count;
      last.sum += value;
      return true;
    }
    if (time_ms < last.last_ms) sorted_ = false;
  }
  if (entries_.size() >= entries_max_) shrink();
  entries_.push_back({time_ms, time_ms, 1, value});
  return true;
}

RollingWindow::Totals RollingWindow::totals(std::int64_t now_ms, std::int64_t window_ms) {
  sort();
  const std::int64_t edge = window_edge(now_ms, window_ms);
  Totals totals;
  auto entry = std::upper_bound(
      entries_.begin(), entries_.end(), edge,
      [](std::int64_t time_ms, const Entry& each) { return time_ms < each.last_ms; });
  for (; entry != entries_.end() && entry->last_ms <= now_ms; ++entry) {
    if (totals.count == 0) totals.first_ms = entry->first_ms;
    totals.last_ms = entry->last_ms;
    totals.count += entry->count;
    totals.sum += entry->sum;
  }
  return totals;
}

void RollingWindow::expire(std::int64_t now_ms) {
  const std::int64_t edge = window_edge(now_ms, window_ms_);
  std::erase_if(entries_, [edge](const Entry& entry) { return entry.last_ms <= edge; });
}

void RollingWindow::sort() {
  if (sorted_) return;
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.last_ms < b.last_ms; });
  sorted_ = true;
  coarsen(1);
}

void RollingWindow::coarsen(std::int64_t step_ms) {
  sort();
  std::size_t kept = 0;
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    Entry& into = entries_[kept];
    const Entry& each = entries_[i];
    if (step_of(into.last_ms, step_ms) == step_of(each.last_ms, step_ms)) {
      into.first_ms = std::min(into.first_ms, each.first_ms);
      into.last_ms = each.last_ms;
      into.count += each.count;
      into.sum += each.sum;
    } else {
      entries_[++kept] = each;
    }
  }
  if (!entries_.empty()) entries_.resize(kept + 1);
}

/// Makes room: expired entries go first, then precision. Half of the room is freed, so that the
/// cost is spread over as many calls of `add`.
void RollingWindow::shrink() {
  expire(newest_ms_);
  sort();
  for (std::int64_t step_ms = 2; entries_.size() > entries_max_ / 2; step_ms *= 2) {
    coarsen(step_ms);
    if (step_ms > kWidestStepMs / 2) break;
  }
}

}  // namespace sluice
