#include "core/logs/line/header.h"

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

struct HeaderCase {
  std::string_view line;
  LogFormat format;
  std::int64_t time_ms;
  LogLevel level;
  std::string_view message;
};

void expect(const std::vector<HeaderCase>& cases) {
  LogHeaderReader headers = reader();
  for (const HeaderCase& each : cases) {
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
      // A time of day alone is a header without a timestamp.
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

TEST(LogHeader, ReadsZonesInEveryForm) {
  constexpr std::int64_t kMinute = 60'000;
  struct Zone {
    std::string_view zone;
    std::int64_t minutes_east;
  };
  // ISO 8601 5.3.4 for the offsets; RFC 5322 4.3 for the names of North America.
  for (const Zone& each : std::vector<Zone>{
           {"Z", 0},        {"z", 0},       {" UTC", 0},     {" GMT", 0},     {"+01", 60},
           {"-03", -180},   {" -03", -180}, {" +01", 60},    {"_+01", 60},    {"_-03", -180},
           {"_01", 60},     {"_0130", 90},  {"+0530", 330},  {"+05:30", 330}, {" +05:30", 330},
           {"-0930", -570}, {" CET", 60},   {" CEST", 120},  {" EST", -300},  {" PDT", -420},
           {" JST", 540},   {"UTC", 0},     {"+14:00", 840}, {"-12", -720}}) {
    const std::string line = "2026-11-21 03:56:14" + std::string(each.zone) + " ERROR boom";
    const LogHeader header = reader().read(line);
    EXPECT_EQ(header.time_ms, kThen - each.minutes_east * kMinute) << line;
    EXPECT_EQ(header.level, LogLevel::kError) << line;
    EXPECT_EQ(line.substr(header.message_at), "boom") << line;
  }
  // Words and numbers that only resemble a zone.
  for (const std::string_view rest : {" -1 x", " -03abc x", " +99 x", " ESTATE x", "_x", " - x"}) {
    const std::string line = "2026-11-21 03:56:14" + std::string(rest);
    EXPECT_EQ(reader().read(line).time_ms, kThen) << line;
  }
}

TEST(LogHeader, ReadsTheDatesOfLoghubsSets) {
  // The first line of each of the sixteen sets (J. Zhu et al., "Loghub", ISSRE 2023), some of them
  // shortened; the times by `date -u -d`. A line without a year is of the year before kThen.
  const auto utc = [](std::int64_t seconds, std::int64_t ms = 0) { return seconds * 1000 + ms; };
  expect({
      {"03-17 16:13:38.811  1702  2395 D WindowManager: app wtoken = x", kLogTimestamped,
       utc(1'773'764'018, 811), LogLevel::kDebug, "WindowManager: app wtoken = x"},
      {"[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok", kLogTimestamped,
       utc(1'133'671'664), LogLevel::kInfo, "workerEnv.init() ok"},
      {"- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 "
       "R02-M1-N0-C:J12-U11 RAS KERNEL INFO cache parity error corrected",
       kLogTimestamped, utc(1'117'838'570), LogLevel::kInfo, "cache parity error corrected"},
      {"KERNDTLB 1118538327 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-18.05.27.560129 "
       "R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt",
       kLogTimestamped, utc(1'118'538'327), LogLevel::kFatal, "data TLB error interrupt"},
      {"2015-10-18 18:01:47,978 INFO [main] o.a.MRAppMaster: Created", kLogTimestamped,
       utc(1'445'191'307, 978), LogLevel::kInfo, "[main] o.a.MRAppMaster: Created"},
      {"081109 203615 148 INFO dfs.DataNode$PacketResponder: terminating", kLogTimestamped,
       utc(1'226'262'975), LogLevel::kInfo, "dfs.DataNode$PacketResponder: terminating"},
      {"20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579", kLogTimestamped,
       utc(1'514'067'329, 606), LogLevel::kNone, "Step_LSC|30002312|onStandStepChanged 3579"},
      {"20171224-0:7:20:44|Step_LSC|30002312|x", kLogTimestamped, utc(1'514'074'040, 44),
       LogLevel::kNone, "Step_LSC|30002312|x"},
      {"134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change",
       kLogTimestamped, utc(1'077'804'742), LogLevel::kNone, "Component State Change"},
      {"2286759 full partition status 1061219795 -1 running", kLogTimestamped, utc(1'061'219'795),
       LogLevel::kNone, "running"},
      {"Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure", kLogSyslog,
       utc(1'781'450'161), LogLevel::kNone, "authentication failure"},
      {"Jul  1 09:00:55 host-95 kernel[0]: IOThunderboltSwitch", kLogSyslog, utc(1'782'896'455),
       LogLevel::kNone, "IOThunderboltSwitch"},
      {"Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster", kLogSyslog, utc(1'765'349'746),
       LogLevel::kNone, "Invalid user webmaster"},
      {"nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.x [req-1] ok",
       kLogTimestamped, utc(1'494'892'800, 8), LogLevel::kInfo, "nova.x [req-1] ok"},
      {"[10.30 16:49:06] chrome.exe - proxy:5070 open through proxy", kLogTimestamped,
       utc(1'793'378'946), LogLevel::kNone, "chrome.exe - proxy:5070 open through proxy"},
      {"17/06/09 20:10:40 INFO executor.Backend: Registered", kLogTimestamped, utc(1'497'039'040),
       LogLevel::kInfo, "executor.Backend: Registered"},
      {"- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session "
       "closed",
       kLogTimestamped, utc(1'131'566'461), LogLevel::kNone, "session closed"},
      {"2016-09-28 04:30:30, Info                  CBS    Loaded", kLogTimestamped,
       utc(1'475'037'030), LogLevel::kInfo, "CBS    Loaded"},
      {"2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:2181:F@774] - Notification",
       kLogTimestamped, utc(1'438'191'704, 747), LogLevel::kInfo,
       "[QuorumPeer[myid=1]/0:0:2181:F@774] - Notification"},
  });
}

TEST(LogHeader, ReadsTheFormatsOfFrameworks) {
  expect({
      // Gin, Tomcat, java.util.logging
      {"[GIN] 2026/11/21 - 03:56:14 | 500 |     1.234ms |  127.0.0.1 | GET \"/x\"", kLogAccess,
       kThen, LogLevel::kError, "500 |     1.234ms |  127.0.0.1 | GET \"/x\""},
      {"[GIN] 2026/11/21 - 03:56:14 | 200 |  1ms | ::1 | GET \"/\"", kLogAccess, kThen,
       LogLevel::kInfo, "200 |  1ms | ::1 | GET \"/\""},
      {"[GIN-debug] [WARNING] Running in debug mode", kLogLevelled, kNoTime, LogLevel::kWarn,
       "Running in debug mode"},
      {"[GIN-debug] GET /ping --> main.f", kLogLevelled, kNoTime, LogLevel::kDebug,
       "GET /ping --> main.f"},
      {"21-Nov-2026 03:56:14.123 SEVERE [main] o.a.c.Catalina.start failed", kLogTimestamped,
       kThen + 123, LogLevel::kError, "[main] o.a.c.Catalina.start failed"},
      {"Nov 21, 2026 3:56:14 AM o.a.c.Catalina start", kLogTimestamped, kThen, LogLevel::kNone,
       "o.a.c.Catalina start"},
      {"Nov 21, 2026 3:56:14 PM o.a.c.Catalina start", kLogTimestamped, kThen + 12 * kHour,
       LogLevel::kNone, "o.a.c.Catalina start"},
      {"Nov 21, 2026 12:56:14 AM x y", kLogTimestamped, kThen - 3 * kHour, LogLevel::kNone, "x y"},
      // PostgreSQL, with its own and Debian's prefix
      {"2026-11-21 03:56:14.123 UTC [99] ERROR:  relation \"x\" does not exist", kLogTimestamped,
       kThen + 123, LogLevel::kError, "relation \"x\" does not exist"},
      {"2026-11-21 04:56:14.123 CET [99] app@db FATAL:  no", kLogTimestamped, kThen + 123,
       LogLevel::kFatal, "no"},
      {"2026-11-21 00:56:14 -03 [9] [unknown]@[unknown] LOG:  connection received", kLogTimestamped,
       kThen, LogLevel::kInfo, "connection received"},
      {"2026-11-21 03:56:14 UTC [9] DEBUG2:  x", kLogTimestamped, kThen, LogLevel::kDebug, "x"},
      // Serilog, .NET
      {"[03:56:14 INF] started", kLogTimestamped, kNoTime, LogLevel::kInfo, "started"},
      {"2026-11-21 04:56:14.123 +01:00 [WRN] low", kLogTimestamped, kThen + 123, LogLevel::kWarn,
       "low"},
      {"[2026-11-21 03:56:14 FTL] gone", kLogTimestamped, kThen, LogLevel::kFatal, "gone"},
      {"fail: Microsoft.AspNetCore.Server.Kestrel[13]", kLogLevelled, kNoTime, LogLevel::kError,
       "Microsoft.AspNetCore.Server.Kestrel[13]"},
      {"2026-11-21 03:56:14.1234|ERROR|App.Program|boom", kLogTimestamped, kThen + 123,
       LogLevel::kError, "App.Program|boom"},
      // MongoDB up to 4.2
      {"2026-11-21T03:56:14.123+0000 I NETWORK  [listener] connection accepted", kLogTimestamped,
       kThen + 123, LogLevel::kInfo, "NETWORK  [listener] connection accepted"},
      {"2026-11-21T03:56:14.123+0000 E -        [main] no", kLogTimestamped, kThen + 123,
       LogLevel::kError, "-        [main] no"},
      {"2026-11-21T03:56:14 I am a sentence", kLogTimestamped, kThen, LogLevel::kNone,
       "I am a sentence"},
      // PHP, Ruby, Rust, Python's http.server, glog, Squid
      {"[21-Nov-2026 03:56:14 UTC] PHP Fatal error:  Uncaught Exception: x", kLogTimestamped, kThen,
       LogLevel::kFatal, "Uncaught Exception: x"},
      {"[21-Nov-2026 03:56:14 Europe/Berlin] PHP Warning:  low", kLogTimestamped, kThen,
       LogLevel::kWarn, "low"},
      {"PHP Notice:  Undefined variable", kLogLevelled, kNoTime, LogLevel::kInfo,
       "Undefined variable"},
      {"[2026-11-21 03:56:14] production.ERROR: boom", kLogTimestamped, kThen, LogLevel::kError,
       "boom"},
      {"E, [2026-11-21T03:56:14.123456 #1234] ERROR -- : boom", kLogTimestamped, kThen + 123,
       LogLevel::kError, "boom"},
      {"[2026-11-21T03:56:14Z WARN  my_crate] low", kLogTimestamped, kThen, LogLevel::kWarn, "low"},
      {"1.2.3.4 - - [21/Nov/2026 03:56:14] \"GET / HTTP/1.1\" 404 -", kLogAccess, kThen,
       LogLevel::kWarn, "\"GET / HTTP/1.1\" 404 -"},
      {"I20261121 03:56:14.123456 7 a.cc:1] x", kLogGlog, kThen + 123, LogLevel::kInfo, "x"},
      {"1795233374.123    45 10.0.0.1 TCP_MISS/200 x", kLogTimestamped, kThen + 123,
       LogLevel::kNone, "45 10.0.0.1 TCP_MISS/200 x"},
      {"20261121T035614.123Z x", kLogTimestamped, kThen + 123, LogLevel::kNone, "x"},
      {"2026-11-21 03:56:14:123 ERROR x", kLogTimestamped, kThen + 123, LogLevel::kError, "x"},
      {"ERROR 2026-11-21 03:56:14,123 mod 1 2 x", kLogLevelled, kThen + 123, LogLevel::kError,
       "mod 1 2 x"},
      {"[ERROR 2026-11-21 03:56:14 main] x", kLogLevelled, kThen, LogLevel::kError, "x"},
  });
}

TEST(LogHeader, StructuredDataMayHoldEscapedBrackets) {
  // RFC 5424 6.3.3: `"`, `\` and `]` are escaped inside a value.
  for (const std::string_view data :
       {R"([a b="x\]y"])", R"([a b="x]y"])", R"([a b="\"\]\\"][c d="]"])", "-"}) {
    const std::string line = "<165>1 2003-10-11T22:14:15.003Z h app - ID47 " + std::string(data) +
                             " \xEF\xBB\xBFthe ] message";
    const LogHeader header = reader().read(line);
    EXPECT_EQ(line.substr(header.message_at), "the ] message") << line;
    EXPECT_EQ(header.time_ms, 1'065'910'455'003);
  }
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
      // MongoDB from 4.4 on, Serilog's compact form, .NET, PostgreSQL, tracing of Rust, ECS
      {R"({"t":{"$date":"2026-11-21T03:56:14.123+00:00"},"s":"E","c":"NETWORK","msg":"m"})",
       kLogJson, kThen + 123, LogLevel::kError, "m"},
      {R"({"@t":"2026-11-21T03:56:14.123Z","@mt":"low","@l":"Warning"})", kLogJson, kThen + 123,
       LogLevel::kWarn, "low"},
      {R"({"Timestamp":"2026-11-21T03:56:14Z","LogLevel":"Critical","Message":"m"})", kLogJson,
       kThen, LogLevel::kFatal, "m"},
      {R"({"timestamp":"2026-11-21 03:56:14.123 UTC","error_severity":"LOG","message":"m"})",
       kLogJson, kThen + 123, LogLevel::kInfo, "m"},
      {R"({"timestamp":"2026-11-21T03:56:14Z","level":"ERROR","fields":{"message":"m"}})", kLogJson,
       kThen, LogLevel::kError, "m"},
      {R"({"@timestamp":"2026-11-21T03:56:14Z","log":{"level":"error"},"message":"m"})", kLogJson,
       kThen, LogLevel::kError, "m"},
      {"{ code: 1 }", kLogNone, kNoTime, LogLevel::kNone, "{ code: 1 }"},
      {"{", kLogNone, kNoTime, LogLevel::kNone, "{"},
  });
}

TEST(LogHeader, BrokenJsonIsMalformedAndKeepsTheFieldsBefore) {
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

TEST(LogHeader, DetectsOnlyTheGivenFormats) {
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
