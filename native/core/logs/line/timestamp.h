// Timestamps as logs write them. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/logs/line/event.h"

namespace sluice {

/// Supplies what a timestamp omits.
struct LogTimeContext {
  /// Minutes east of UTC, for a time without a zone.
  std::int32_t utc_offset_minutes = 0;
  /// For a time without a year: the result is the latest match at most one day after this.
  std::int64_t reference_ms = 0;
};

/// A timestamp at the beginning of a text.
struct LogTime {
  std::size_t end = 0;        ///< Where it ends; 0 when there is none.
  std::int64_t ms = kNoTime;  ///< kNoTime for a time of day without a date.
};

/// ISO 8601 and its relatives: `2026-11-21T03:56:14.123Z`, `2026/11/21 03:56:14,123 +0100`,
/// `2026-11-21_03:56:14`, `2026/11/21 - 03:56:14`, `2005-06-03-15.42.50.675872`,
/// `20261121T035614Z`. A zone may follow: `Z`, `z`, `UTC`, `CET` and other unambiguous names,
/// `+01`, `+0100`, `+01:00`, each also after a space or `_`; `_01` means `+01` (a label that may
/// hold no plus sign).
LogTime match_iso_time(std::string_view text, const LogTimeContext& context);

/// `03:56:14`, `03:56:14.123`: no date.
LogTime match_time_of_day(std::string_view text);

/// `21/Nov/2026:03:56:14 +0000` of access logs; `21 Nov 2026 03:56:14.123` of Redis;
/// `21-Nov-2026 03:56:14 UTC` of Tomcat and PHP.
LogTime match_day_month_time(std::string_view text, const LogTimeContext& context);

/// `Nov 21 03:56:14` of syslog (RFC 3164), `Nov 21 2026 03:56:14`, and `Nov 21, 2026 3:56:14 AM` of
/// java.util.logging; a fraction may follow.
LogTime match_month_time(std::string_view text, const LogTimeContext& context);

/// `Sat Nov 21 03:56:14.123456 2026` of Apache and ctime.
LogTime match_ctime(std::string_view text, const LogTimeContext& context);

/// Month and day without a year: `1121 03:56:14.123456` of glog, `11-21 03:56:14` of vLLM and
/// Android, `11.21 03:56:14` of Proxifier.
LogTime match_month_day_time(std::string_view text, const LogTimeContext& context);

/// A year of two digits: `26/11/21 03:56:14` of Spark, `261121 035614` of HDFS.
LogTime match_short_year_time(std::string_view text, const LogTimeContext& context);

/// `20261121-3:56:14:7` of HealthApp: hours to milliseconds without leading zeros.
LogTime match_unpadded_time(std::string_view text, const LogTimeContext& context);

/// `1795233374` and `1795233374.123` of Squid, BGL and others: seconds since 1970 with ten digits.
LogTime match_epoch_time(std::string_view text);

/// A number since 1970 as milliseconds: seconds, milliseconds, microseconds or nanoseconds, by its
/// size (a year between 1973 and 5138 if it is in milliseconds). kNoTime if it is out of range.
std::int64_t epoch_time_ms(double number);

}  // namespace sluice
