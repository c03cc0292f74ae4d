#include "core/logs/errors/error_counts.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace sluice {

void LogErrors::add(std::string_view summary, std::int64_t time_ms) {
  const std::uint64_t id = templates_.add(summary, [this](std::uint64_t gone) {
    const auto tally = tallies_.find(gone);
    if (tally == tallies_.end()) return;
    forgotten_ += tally->second.ever.count;
    times_ -= tally->second.times.entries();
    tallies_.erase(tally);
  });
  auto found = tallies_.find(id);
  if (found == tallies_.end()) {
    std::string_view sample = summary;
    if (sample.size() > limits_.sample_bytes) {
      sample = sample.substr(0, limits_.sample_bytes);
      sample = sample.substr(0, valid_utf8_prefix(sample));
    }
    const RollingWindow::Totals none{0, 0, time_ms, time_ms};
    found = tallies_
                .emplace(id, Tally{RollingWindow(limits_.window_ms_max, limits_.times), none,
                                   std::string(sample)})
                .first;
  }
  Tally& tally = found->second;
  ++tally.ever.count;
  tally.ever.first_ms = std::min(tally.ever.first_ms, time_ms);
  tally.ever.last_ms = std::max(tally.ever.last_ms, time_ms);
  newest_ms_ = std::max(newest_ms_, time_ms);
  const std::size_t before = tally.times.entries();
  tally.times.add(time_ms, 0);
  times_ = times_ - before + tally.times.entries();
  if (times_ > limits_.times) shrink();
}

/// Makes room as RollingWindow does, with the same step for all windows.
void LogErrors::shrink() {
  const auto all = [this](auto act) {
    times_ = 0;
    for (auto& [id, tally] : tallies_) {
      act(tally.times);
      times_ += tally.times.entries();
    }
  };
  all([this](RollingWindow& times) { times.expire(newest_ms_); });
  // Each template keeps one entry at least.
  const std::size_t least = tallies_.size();
  for (std::int64_t step_ms = 2; times_ > std::max(limits_.times / 2, least); step_ms *= 2) {
    if (step_ms > limits_.window_ms_max) break;
    all([step_ms](RollingWindow& times) { times.coarsen(step_ms); });
  }
}

std::vector<LogErrorCount> LogErrors::top(std::size_t k, std::int64_t window_ms,
                                          std::int64_t now_ms) {
  std::vector<LogErrorCount> all;
  for (auto& [id, tally] : tallies_) {
    const std::size_t before = tally.times.entries();
    const RollingWindow::Totals totals =
        window_ms == kEver ? tally.ever : tally.times.totals(now_ms, window_ms);
    times_ = times_ - before + tally.times.entries();
    if (totals.count == 0) continue;
    all.push_back(
        {templates_.text(id), totals.count, totals.first_ms, totals.last_ms, tally.sample});
  }
  // Stable, since equal ones stay in order of age: the map is sorted by id.
  std::stable_sort(all.begin(), all.end(), [](const LogErrorCount& a, const LogErrorCount& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
  if (all.size() > k) all.resize(k);
  return all;
}

}  // namespace sluice
