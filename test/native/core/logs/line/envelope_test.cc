#include "core/logs/line/envelope.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/logs/recorder.h"

namespace sluice {
namespace {

// 2026-11-21 03:56:14 UTC.
constexpr std::int64_t kLineTimeMs = 1'795'233'374'000;

std::vector<std::int64_t> times_of(const LogRecorder& recorder) {
  std::vector<std::int64_t> times;
  for (const LogEvent& event : recorder.events) times.push_back(event.time_ms);
  return times;
}

TEST(LogEnvelope, CriLinesAreJoinedFromTheirPartsForEachStream) {
  const LogRecorder recorder = record(
      "2026-11-21T03:56:14.000000001+00:00 stdout P 1a. some \n"
      "2026-11-21T03:56:15.000000001+00:00 stderr P 1b. \n"
      "2026-11-21T03:56:15.000000001+00:00 stdout P multiline \n"
      "2026-11-21T03:56:16.000000001+00:00 stdout F log\n"
      "2026-11-21T03:56:17.000000001z stderr F other\n"
      "2026-11-21T03:56:18.5Z stdout F:tag ERROR boom\n"
      "2026-11-21T03:56:18.5Z stdout F \n"
      "2026-11-21T03:56:19Z stdout P unfinished\n");
  EXPECT_EQ(recorder.seen,
            (Seen{"?1 1a. some multiline log", "?1 1b. other", "e1 boom", "?1 unfinished"}));
  EXPECT_EQ(times_of(recorder),
            (std::vector<std::int64_t>{kLineTimeMs, kLineTimeMs + 1000, kLineTimeMs + 4500,
                                       kLineTimeMs + 5000}));
}

TEST(LogEnvelope, TracesOfContainersThatInterleaveAreGroupedByWriter) {
  const LogRecorder compose = record(
      "web-1  | java.lang.IllegalStateException: boom\n"
      "db-1   | 2026-11-21 03:56:14.123 UTC [1] LOG:  ready\n"
      "web-1  | \tat x.Y.z(Y.java:1)\n"
      "db-1   | Traceback (most recent call last):\n"
      "web-1  | Caused by: java.io.IOException: disk\n"
      "db-1   |   File \"a.py\", line 1\n"
      "db-1   | ValueError: no\n"
      "web-1  | plain\n"
      "db-1 exited with code 1\n");
  EXPECT_EQ(compose.seen,
            (Seen{"i1 ready",
                  "e3 java.lang.IllegalStateException: boom|\tat x.Y.z(Y.java:1)|"
                  "Caused by: java.io.IOException: disk",
                  "?1 db-1 exited with code 1",
                  "e3 Traceback (most recent call last):|  File \"a.py\", line 1|ValueError: no",
                  "?1 plain"}));
  EXPECT_EQ(compose.events[0].time_ms, kLineTimeMs + 123);
  const LogRecorder kubectl = record(
      "[pod/web-0/nginx] panic: boom\n"
      "[pod/web-1/nginx] plain\n"
      "[pod/web-0/nginx] \n"
      "[pod/web-0/nginx] goroutine 1 [running]:\n"
      "[pod/web-0/nginx] main.main()\n"
      "[pod/web-0/nginx] \t/x.go:1 +0x1\n");
  EXPECT_EQ(kubectl.seen, (Seen{"F5 panic: boom||goroutine 1 [running]:|main.main()|\t/x.go:1 +0x1",
                                "?1 plain"}));
}

TEST(LogEnvelope, NamesTheContainer) {
  LogEnvelopeReader reader(kLogAllFormats, {});
  EXPECT_EQ(reader.read("web-1  | x").container, "web-1");
  EXPECT_EQ(reader.read("web  | x").container, "web");
  EXPECT_EQ(reader.read("shop_web_12 | x").container, "shop_web_12");
  EXPECT_EQ(reader.read("[pod/web-0/nginx] x").container, "pod/web-0/nginx");
  EXPECT_EQ(reader.read("web-1  |").text, "");
  EXPECT_TRUE(reader.read("web-1  |").found);
  // Not of Compose.
  for (const std::string_view line : {"web | x", "INFO  | x", "a b  | x", "web-1  |x", "|  x",
                                      "2026-11-21  03:56", "[pod/x", ""}) {
    EXPECT_FALSE(reader.read(line).found) << line;
  }
  LogEnvelopeReader none(kLogAllFormats & ~(kLogContainer | kLogJournald), {});
  EXPECT_FALSE(none.read("web-1  | x").found);
  EXPECT_FALSE(none.read("2026-11-21T03:56:14Z stdout F x").found);
  EXPECT_FALSE(none.read(R"({"log":"x\n","stream":"stdout"})").found);
}

TEST(LogEnvelope, DockersFilesAreDecoded) {
  const LogRecorder recorder = record(
      R"({"log":"ERROR \u001b[31mb\u00f6se\u001b[0m\r\n","stream":"stdout","time":"2026-11-21T03:56:14.5Z"})"
      "\n"
      R"({"log": "Traceback (most recent call last):\n", "stream": "stderr", "time": "2026-11-21T03:56:15z"})"
      "\n"
      R"({"log":"part one, ","stream":"stdout","time":"2026-11-21T03:56:16Z"})"
      "\n"
      R"({"log":"  File \"a\", line 1\n","stream":"stderr","time":"2026-11-21T03:56:16Z"})"
      "\n"
      R"({"log":"part two\n","stream":"stdout","attrs":{"a":"b"},"time":"2026-11-21T03:56:17Z"})"
      "\n"
      R"({"log":"KeyError: 'a'\n","stream":"stderr","time":"2026-11-21T03:56:18Z"})"
      "\n"
      R"({"log":"{\"level\":50,\"time\":1795233374123,\"msg\":\"inner\"}\n","stream":"stdout","time":"2026-11-21T03:56:19Z"})"
      "\n"
      R"({"log":"broken","stream")"
      "\n");
  EXPECT_EQ(recorder.seen,
            (Seen{"e1 b\xC3\xB6se", "?1 part one, part two", "e1 inner",
                  "?1m {\"log\":\"broken\",\"stream\"",
                  "e3 Traceback (most recent call last):|  File \"a\", line 1|KeyError: 'a'"}));
  EXPECT_EQ(times_of(recorder),
            (std::vector<std::int64_t>{kLineTimeMs + 500, kLineTimeMs + 2000, kLineTimeMs + 123,
                                       kNoTime, kLineTimeMs + 1000}));
}

TEST(LogEnvelope, JournaldsEntriesAreGroupedByUnitAndProcess) {
  const auto entry = [](std::string_view message, std::string_view pid, std::string_view priority) {
    return R"({"__CURSOR":"s=1","_SYSTEMD_UNIT":"app.service","_PID":")" + std::string(pid) +
           R"(","PRIORITY":")" + std::string(priority) +
           R"(","__REALTIME_TIMESTAMP":"1795233374123456","MESSAGE":)" + std::string(message) +
           "}\n";
  };
  const LogRecorder recorder =
      record(entry("\"java.lang.Error: a\"", "7", "6") + entry("\"plain\"", "8", "6") +
             entry("\"\\tat x.y(Z.java:1)\"", "7", "6") + entry("[98,246,115,101]", "9", "3") +
             entry("\"two\\nlines\"", "8", "4"));
  EXPECT_EQ(recorder.seen, (Seen{"i1 plain", "e2 java.lang.Error: a|\tat x.y(Z.java:1)",
                                 "w2 two|lines", "e1m b\xEF\xBF\xBDse"}));
  EXPECT_EQ(times_of(recorder), std::vector<std::int64_t>(4, kLineTimeMs + 123));
}

TEST(LogEnvelope, TimestampsOfTheRuntimeDoNotBreakTraces) {
  const LogRecorder recorder = record(
      "2026-11-21T03:56:14.123456789Z Traceback (most recent call last):\n"
      "2026-11-21T03:56:14.223456789Z   File \"a.py\", line 1, in f\n"
      "2026-11-21T03:56:14.323456789Z ValueError: no\n"
      "2026-11-21T03:56:15.123456789Z plain\n"
      "2026-11-21T03:56:16.123456789Z  INFO app: x\n");
  EXPECT_EQ(recorder.seen,
            (Seen{"e3 Traceback (most recent call last):|  File \"a.py\", line 1, in "
                  "f|ValueError: no",
                  "?1 plain", "i1 app: x"}));
  EXPECT_EQ(times_of(recorder),
            (std::vector<std::int64_t>{kLineTimeMs + 123, kLineTimeMs + 1123, kLineTimeMs + 2123}));
}

TEST(LogEnvelope, WritersOfOneSourceAreBounded) {
  LogParser parser({}, {});
  LogRecorder recorder;
  for (int i = 0; i < 1000; ++i) {
    parser.push(1, "app-" + std::to_string(i) + "  | Error: x\n", i, 0, recorder);
  }
  EXPECT_EQ(recorder.seen.size(), 1000U - 64U);
  parser.end(0, recorder);
  EXPECT_EQ(recorder.seen.size(), 1000U);
}

TEST(LogEnvelope, TheEventOfAQuietWriterEndsAlthoughAnotherContinues) {
  LogParser parser({}, {});
  LogRecorder recorder;
  parser.push(1, "web-1  | Error: x\n", 0, 0, recorder);
  parser.push(1, "db-1  | one\n", kSecond / 2, 0, recorder);
  EXPECT_EQ(parser.next_deadline(), kSecond);
  parser.push(1, "db-1  | two\n", kSecond, 0, recorder);
  EXPECT_EQ(recorder.seen, (Seen{"e1 Error: x", "?1 one"}));
}

}  // namespace
}  // namespace sluice
