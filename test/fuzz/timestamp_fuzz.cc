// Fuzzes the timestamps of logs.
//
// The first bytes of the input choose the zone and a number, the rest is the text.
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/logs/line/timestamp.h"
#include "fuzz.h"

namespace {

using namespace sluice;

// From the year 0 to the year 9999, with a margin for zones.
constexpr std::int64_t kMsMin = -62'200'000'000'000;
constexpr std::int64_t kMsMax = 253'500'000'000'000;

void check(std::string_view text, const LogTime& time) {
  require(time.end <= text.size(), "a time ends in its text");
  if (time.end == 0) require(time.ms == kNoTime, "no time has no date");
  if (time.ms == kNoTime) return;
  require(time.ms >= kMsMin && time.ms <= kMsMax, "a time has a year of four digits");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  LogTimeContext context;
  context.utc_offset_minutes = static_cast<std::int32_t>(input.below(27)) * 60 - 720;
  context.reference_ms = 1'795'233'374'000;
  std::array<std::uint8_t, sizeof(double)> bytes{};
  for (std::uint8_t& each : bytes) each = input.byte();
  double number = 0;
  std::memcpy(&number, bytes.data(), bytes.size());
  const std::int64_t ms = epoch_time_ms(number);
  if (ms != kNoTime) require(ms >= 0 && ms <= kMsMax, "a number is a time since 1970");

  const std::string_view text = input.rest();
  for (const auto match : {match_iso_time, match_day_month_time, match_month_time, match_ctime,
                           match_month_day_time, match_short_year_time, match_unpadded_time}) {
    check(text, match(text, context));
  }
  check(text, match_time_of_day(text));
  check(text, match_epoch_time(text));
  return 0;
}
