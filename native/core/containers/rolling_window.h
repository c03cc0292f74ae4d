// Counts events within a span of time, by the events' own time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

/// Not thread-safe; time is an argument. Memory is bounded.
///
/// Events may come out of order. An event at `t` is in the window of `now` when
/// `now - window < t <= now`. Events in the window of the newest one are kept; an event that is
/// older on arrival is ignored.
///
/// Counts are exact to the millisecond while the window holds at most `entries_max` different
/// milliseconds. Beyond that, neighbours are merged in steps of a power of two milliseconds, each
/// of which counts at the time of its last event.
class RollingWindow {
 public:
  struct Totals {
    std::uint64_t count = 0;
    double sum = 0;
    std::int64_t first_ms = 0;  ///< Of the events counted; meaningless when there is none.
    std::int64_t last_ms = 0;
  };

  RollingWindow(std::int64_t window_ms, std::size_t entries_max)
      : window_ms_(window_ms), entries_max_(entries_max) {}

  /// Returns false for an event that is too old. Amortised O(log n).
  bool add(std::int64_t time_ms, double value);

  /// Events in (now - window, now]; O(n).
  [[nodiscard]] Totals totals(std::int64_t now_ms) { return totals(now_ms, window_ms_); }
  /// As above, for a window that is not longer than the one kept.
  [[nodiscard]] Totals totals(std::int64_t now_ms, std::int64_t window_ms);

  /// Drops events outside of the window of `now_ms`.
  void expire(std::int64_t now_ms);
  /// Merges events in the same `step_ms` milliseconds.
  void coarsen(std::int64_t step_ms);

  [[nodiscard]] std::size_t entries() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::int64_t newest_ms() const { return newest_ms_; }

 private:
  struct Entry {
    std::int64_t first_ms;
    std::int64_t last_ms;
    std::uint64_t count;
    double sum;
  };

  void sort();
  void shrink();

  std::int64_t window_ms_;
  std::size_t entries_max_;
  std::int64_t newest_ms_ = 0;
  bool any_ = false;
  bool sorted_ = true;
  std::vector<Entry> entries_;  // By time, when sorted_.
};

}  // namespace sluice
