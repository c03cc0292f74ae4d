// Counts errors by template and time.
//
// One per parser, used by one thread at a time; time is an argument. Memory is bounded by the total
// numbers of templates and of points in time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/containers/rolling_window.h"
#include "core/logs/errors/template_miner.h"

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
    /// The longest window of `top`; older times are forgotten.
    std::int64_t window_ms_max = 86'400'000;
    /// Points in time kept for all templates together. Beyond it, neighbours are merged.
    std::size_t times = 200'000;
    std::size_t sample_bytes = 512;
  };
  /// A window without a beginning.
  static constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();

  explicit LogErrors(Limits limits) : limits_(limits), templates_(limits.templates) {}

  void add(std::string_view summary, std::int64_t time_ms);

  /// The templates with the most errors in (now - window, now], in descending order of count, then
  /// by text, then by age. Templates without errors in the window are left out.
  /// @param window_ms at most `window_ms_max`, or kEver
  std::vector<LogErrorCount> top(std::size_t k, std::int64_t window_ms, std::int64_t now_ms);

  [[nodiscard]] std::size_t templates() const { return templates_.size(); }
  /// Errors of templates that were forgotten.
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
