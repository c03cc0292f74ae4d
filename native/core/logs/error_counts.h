// Counts errors by template and time: what `topErrors` answers from.
//
// One per parser, used by one thread at a time; time is an argument. Memory is bounded by the
// number of templates and of points in time, over all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/containers/rolling_window.h"
#include "core/logs/template_miner.h"

namespace sluice {

struct LogErrorCount {
  std::string text;  ///< The template.
  std::uint64_t count = 0;
  std::int64_t first_ms = 0;
  std::int64_t last_ms = 0;
  std::string sample;  ///< The first message of the template.
};

class LogErrors {
 public:
  struct Limits {
    LogTemplates::Limits templates = {};
    /// The longest window that may be asked for: times older than it are forgotten.
    std::int64_t window_ms_max = 86'400'000;
    /// Points in time kept, of all templates together. Beyond it, neighbours are put together.
    std::size_t times = 200'000;
    std::size_t sample_bytes = 512;
  };
  /// In place of a window: all that was ever counted.
  static constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();

  explicit LogErrors(Limits limits) : limits_(limits), templates_(limits.templates) {}

  void add(std::string_view summary, std::int64_t time_ms);

  /// The templates with the most errors in (now - window, now], most first, of equals by the
  /// template's text and then the oldest first; without those that have none.
  /// @param window_ms at most `window_ms_max`, or kEver
  std::vector<LogErrorCount> top(std::size_t k, std::int64_t window_ms, std::int64_t now_ms);

  [[nodiscard]] std::size_t templates() const { return templates_.size(); }
  /// Errors whose template had to be forgotten.
  [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }

 private:
  struct Tally {
    RollingWindow times;
    RollingWindow::Totals ever;
    std::string sample;
  };

  void shrink();

  Limits limits_;
  LogTemplates templates_;
  std::map<std::uint64_t, Tally> tallies_;
  std::size_t times_ = 0;  // Entries of all tallies.
  std::int64_t newest_ms_ = std::numeric_limits<std::int64_t>::min();
  std::uint64_t forgotten_ = 0;
};

}  // namespace sluice
