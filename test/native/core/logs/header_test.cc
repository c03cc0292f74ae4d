#include "core/logs/header.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace sluice {
namespace {

// 2026-11-21 03:56:14 UTC, by `date -u -d @1795233374`.
constexpr std::int64_t kThen = 1'795'233'374'000;
constexpr std::int64_t kHour = 3'600'000;

LogHeaderReader reader(std::uint32_t formats = kLogAllFormats) {
  return {formats, {.utc_offset_minutes = 0, .reference_ms = kThen}};
}

struct Case {
  std::string_view line;
  LogFormat format;
  std::int64_t time_ms;
  LogLevel level;
  std::string_view message;
};

void expect(const std::vector<Case>& cases) {
  LogHeaderReader headers = reader();
  for (const Case& each : cases) {
    const LogHeader header = headers.read(each.line);
    EXPECT_EQ(header.format, each.format) << each.line;
    EXPECT_EQ(header.time_ms, each.time_ms) << each.line;
    EXPECT_EQ(header.level, each.level) << each.line;
    const std::string_view message =
        header.message.empty() ? each.line.substr(header.message_at) : header.message;
    EXPECT_EQ(message, each.message) << each.line;
  }
}

TEST(LogHeader, ReadsDatesAndLevels) {
  expect({
      {"2026-11-21T03:56:14.123Z ERROR boom", kLogTimestamped, kThen + 123, LogLevel::kError,
       "boom"},
      {"2026-11-21 03:56:14,123 - app - WARNING - low", kLogTimestamped, kThen + 123,
       LogLevel::kWarn, "low"},
      {"2026-11-21 04:56:14.5+01:00 [main] DEBUG c.f.Bar - x", kLogTimestamped, kThen + 500,
       LogLevel::kDebug, "c.f.Bar - x"},
      {"2026-11-21 02:56:14 -0100 info: x", kLogTimestamped, kThen, LogLevel::kInfo, "x"},
      {"2026-11-21 03:56:14.123 UTC [9] FATAL:  no", kLogTimestamped, kThen + 123, LogLevel::kFatal,
       "no"},
      {"[2026-11-21 03:56:14 +0000] [123] [ERROR] bad", kLogTimestamped, kThen, LogLevel::kError,
       "bad"},
      {"[2026-11-21 03:56:14,123: ERROR/MainProcess] bad", kLogTimestamped, kThen + 123,
       LogLevel::kError, "bad"},
      {"[Sat Nov 21 03:56:14.123456 2026] [core:error] [pid 1] AH1: x", kLogTimestamped,
       kThen + 123, LogLevel::kError, "[pid 1] AH1: x"},
      {"2026-11-21T03:56:14Z ERROR 12 --- [exec-1] o.web : x", kLogTimestamped, kThen,
       LogLevel::kError, "12 --- [exec-1] o.web : x"},
      {"2026/11/21 03:56:14 listening on :80", kLogTimestamped, kThen, LogLevel::kNone,
       "listening on :80"},
      // A level in running text is no level.
      {"2026-11-21 03:56:14 Server said ERROR twice", kLogTimestamped, kThen, LogLevel::kNone,
       "Server said ERROR twice"},
      // A time of day alone is a header, and no time.
      {"03:56:14.123 [main] ERROR x", kLogTimestamped, kNoTime, LogLevel::kError, "x"},
      // No such dates.
      {"2026-02-30 03:56:14 ERROR x", kLogNone, kNoTime, LogLevel::kNone,
       "2026-02-30 03:56:14 ERROR x"},
      {"2026-11-21 24:00:00 x", kLogNone, kNoTime, LogLevel::kNone, "2026-11-21 24:00:00 x"},
  });
}

TEST(LogHeader, ReadsTheFormatsOfServers) {
  expect({
      {"2026/11/21 03:56:14 [error] 12#13: *7 connect() failed", kLogNginxError, kThen,
       LogLevel::kError, "connect() failed"},
      {"2026/11/21 03:56:14 [emerg] 12#12: bind() failed", kLogNginxError, kThen, LogLevel::kFatal,
       "bind() failed"},
      {"127.0.0.1 - - [21/Nov/2026:03:56:14 +0000] \"GET / HTTP/1.1\" 502 157", kLogAccess, kThen,
       LogLevel::kError, "\"GET / HTTP/1.1\" 502 157"},
      {"::1 - bob [21/Nov/2026:04:56:14 +0100] \"GET /x\" 404 0", kLogAccess, kThen,
       LogLevel::kWarn, "\"GET /x\" 404 0"},
      {"example.test - - [21/Nov/2026:03:56:14 +0000] \"-\" 200 0", kLogAccess, kThen,
       LogLevel::kInfo, "\"-\" 200 0"},
      {"14:M 21 Nov 2026 03:56:14.123 # out of memory", kLogRedis, kThen + 123, LogLevel::kWarn,
       "out of memory"},
      {"14:M 21 Nov 2026 03:56:14.123 * ready", kLogRedis, kThen + 123, LogLevel::kInfo, "ready"},
      {"14:signal-handler (1795233374) Received SIGTERM", kLogRedis, kThen, LogLevel::kWarn,
       "Received SIGTERM"},
      {"Nov 21 03:56:14 host app[12]: error: x", kLogSyslog, kThen, LogLevel::kError, "x"},
      {"Nov 21 03:56:14 host kernel: usb up", kLogSyslog, kThen, LogLevel::kNone, "usb up"},
      // Examples 1 of RFC 3164 and RFC 5424: facility 4, severity 2.
      {"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", kLogSyslog,
       kThen - 40 * 24 * kHour - 5 * kHour - 41 * 60'000 - 59'000, LogLevel::kFatal,
       "'su root' failed"},
      {"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed", kLogSyslog,
       1'065'910'455'003, LogLevel::kFatal, "'su root' failed"},
      {"<165>1 2003-10-11T22:14:15.003Z h app - ID47 [a b=\"c\"][d e=\"f\"] x", kLogSyslog,
       1'065'910'455'003, LogLevel::kInfo, "x"},
      {"E1121 03:56:14.123456   12 file.go:3] glog", kLogGlog, kThen + 123, LogLevel::kError,
       "glog"},
      {"time=2026-11-21T03:56:14.123Z level=ERROR source=x.go:1 msg=\"it broke\"", kLogLogfmt,
       kThen + 123, LogLevel::kError, "it broke"},
      {"level=warn msg=short", kLogLogfmt, kNoTime, LogLevel::kWarn, "short"},
      {"INFO 11-21 03:56:14 [a.py:1] vllm", kLogLevelled, kThen, LogLevel::kInfo, "[a.py:1] vllm"},
      {"ERROR:root:basic", kLogLevelled, kNoTime, LogLevel::kError, "root:basic"},
      {"INFO:     127.0.0.1:5 - x", kLogLevelled, kNoTime, LogLevel::kInfo, "127.0.0.1:5 - x"},
      {"[warn] low", kLogLevelled, kNoTime, LogLevel::kWarn, "low"},
      {"fatal: not a git repository", kLogLevelled, kNoTime, LogLevel::kFatal,
       "not a git repository"},
      // How an exception begins, a sentence, and a panic of Go.
      {"Error: boom", kLogNone, kNoTime, LogLevel::kNone, "Error: boom"},
      {"Error while reading", kLogNone, kNoTime, LogLevel::kNone, "Error while reading"},
      {"panic: boom", kLogNone, kNoTime, LogLevel::kNone, "panic: boom"},
  });
}

TEST(LogHeader, ATimeWithoutAYearIsTheLatestNotAheadOfThePresent) {
  // New Year: a line of the last hour of December, read in January.
  LogHeaderReader headers(kLogAllFormats, {0, 1'767'225'600'000});  // 2026-01-01 00:00 UTC
  EXPECT_EQ(headers.read("Dec 31 23:00:00 host a: x").time_ms, 1'767'225'600'000 - kHour);
  EXPECT_EQ(headers.read("Jan  1 12:00:00 host a: x").time_ms, 1'767'225'600'000 + 12 * kHour);
  // The last 29th of February before that was in 2024.
  EXPECT_EQ(headers.read("Feb 29 00:00:00 host a: x").time_ms, 1'709'164'800'000);
}

TEST(LogHeader, TimesWithoutAZoneAreOfTheGivenOne) {
  LogHeaderReader headers(kLogAllFormats, {.utc_offset_minutes = 60, .reference_ms = kThen});
  EXPECT_EQ(headers.read("2026-11-21 04:56:14 x").time_ms, kThen);
  EXPECT_EQ(headers.read("2026-11-21 03:56:14Z x").time_ms, kThen);
}

TEST(LogHeader, ReadsJsonLines) {
  expect({
      {R"({"level":50,"time":1795233374123,"msg":"boom"})", kLogJson, kThen + 123, LogLevel::kError,
       "boom"},
      {R"({"level":30,"time":"2026-11-21T03:56:14Z","v":0,"msg":"ok"})", kLogJson, kThen,
       LogLevel::kInfo, "ok"},
      {R"({"level":"warn","message":"w","timestamp":"2026-11-21T03:56:14.123Z"})", kLogJson,
       kThen + 123, LogLevel::kWarn, "w"},
      {R"({"ts":1795233374.5,"level":"error","msg":"zap"})", kLogJson, kThen + 500,
       LogLevel::kError, "zap"},
      {R"({"severity":"CRITICAL","event":"x\u00e9\ny","a":{"level":10,"msg":"no"}})", kLogJson,
       kNoTime, LogLevel::kFatal, "x\xC3\xA9\ny"},
      // syslog's numbers, as GELF has them
      {R"({"level":3,"msg":"x"})", kLogJson, kNoTime, LogLevel::kError, "x"},
      {R"({"level":60,"err":{"type":"E","message":"why","stack":"s"}})", kLogJson, kNoTime,
       LogLevel::kFatal, "why"},
      {R"({"msg":"half \ud83d","level":40})", kLogJson, kNoTime, LogLevel::kWarn,
       "half \xEF\xBF\xBD"},
      {"{ code: 1 }", kLogNone, kNoTime, LogLevel::kNone, "{ code: 1 }"},
      {"{", kLogNone, kNoTime, LogLevel::kNone, "{"},
  });
}

TEST(LogHeader, BrokenJsonIsMalformedAndKeepsWhatCameBefore) {
  LogHeaderReader headers = reader();
  for (const std::string_view line :
       {R"({"level":50,"time":1795233374123,"msg":"bro)", R"({"level":50,"time":1795233374123}x)",
        R"({"level":50,"time":1795233374123,})"}) {
    const LogHeader header = headers.read(line);
    EXPECT_TRUE(header.malformed) << line;
    EXPECT_EQ(header.format, kLogJson);
    EXPECT_EQ(header.level, LogLevel::kError);
    EXPECT_EQ(header.time_ms, kThen + 123);
    EXPECT_TRUE(header.message.empty());
  }
  const std::string deep = "{\"a\":" + std::string(100'000, '[');
  EXPECT_TRUE(headers.read(deep).malformed);
}

TEST(LogHeader, LooksOnlyForTheFormatsItIsGiven) {
  LogHeaderReader json = reader(kLogJson);
  EXPECT_TRUE(json.read(R"({"level":30})").found());
  EXPECT_FALSE(json.read("2026-11-21 03:56:14 ERROR x").found());
  EXPECT_FALSE(json.read("ERROR: x").found());
  LogHeaderReader dated = reader(kLogTimestamped);
  EXPECT_EQ(dated.read("2026/11/21 03:56:14 [error] 1#1: x").format, kLogTimestamped);
  EXPECT_FALSE(dated.read(R"({"level":30})").found());
}

}  // namespace
}  // namespace sluice
