// Timestamps as logs write them. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/logs/event.h"

namespace sluice {

/// What a timestamp leaves open.
struct LogTimeContext {
  /// Where a time names no zone: minutes east of UTC.
  std::int32_t utc_offset_minutes = 0;
  /// Where a time names no year: it is the latest one not more than a day after this.
  std::int64_t reference_ms = 0;
};

/// A timestamp at the beginning of a text.
struct LogTime {
  std::size_t end = 0;        ///< Where it ends; 0 when there is none.
  std::int64_t ms = kNoTime;  ///< kNoTime for a time of day without a date.
};

/// `2026-11-21T03:56:14.123Z`: also with a space or `_` for the T, with slashes, a comma before the
/// fraction, no seconds' fraction, and `Z`, `UTC`, `GMT`, `+01:00`, `+0100` or ` +0100` behind.
LogTime match_iso_time(std::string_view text, const LogTimeContext& context);

/// `03:56:14`, `03:56:14.123`: no date.
LogTime match_time_of_day(std::string_view text);

/// `21/Nov/2026:03:56:14 +0000`, as access logs have it.
LogTime match_access_time(std::string_view text);

/// `Nov 21 03:56:14`, as syslog has it (RFC 3164); a fraction is taken too.
LogTime match_syslog_time(std::string_view text, const LogTimeContext& context);

/// `21 Nov 2026 03:56:14.123`, as Redis has it.
LogTime match_redis_time(std::string_view text, const LogTimeContext& context);

/// `Sat Nov 21 03:56:14.123456 2026`, as Apache and ctime have it.
LogTime match_ctime(std::string_view text, const LogTimeContext& context);

/// `1121 03:56:14.123456` of glog, `11-21 03:56:14` of vLLM: month, day, no year.
LogTime match_month_day_time(std::string_view text, const LogTimeContext& context);

/// A number since 1970 as milliseconds: seconds, milliseconds, microseconds or nanoseconds, by its
/// size (a year between 1973 and 5138 if it is in milliseconds). kNoTime if it is out of range.
std::int64_t epoch_time_ms(double number);

}  // namespace sluice
