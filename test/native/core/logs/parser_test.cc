#include "core/logs/parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/logs/recorder.h"
#include "split_input.h"

namespace sluice {
namespace {

Seen parse(const Pieces& pieces, LogParser::Options options = {}, LogPatterns patterns = {}) {
  LogParser parser(options, std::move(patterns));
  LogRecorder recorder;
  for (const std::string_view piece : pieces) parser.push(1, piece, 0, 0, recorder);
  parser.end(0, recorder);
  return recorder.seen;
}

constexpr std::string_view kJava =
    "2026-11-21 10:00:00,123 ERROR [main] Bar - failed\n"
    "java.lang.IllegalStateException: outer\n"
    "\tat com.foo.Bar.run(Bar.java:12)\n"
    "Caused by: java.io.IOException: disk\n"
    "\tat com.foo.Disk.write(Disk.java:9)\n"
    "\t... 12 more\n"
    "2026-11-21 10:00:01,000 INFO [main] Bar - ok\n";
constexpr std::string_view kPython =
    "Traceback (most recent call last):\n"
    "  File \"a.py\", line 4, in f\n"
    "    {}['a']\n"
    "    ~~^^^^^\n"
    "KeyError: 'a'\n"
    "\n"
    "During handling of the above exception, another exception occurred:\n"
    "\n"
    "Traceback (most recent call last):\n"
    "  File \"a.py\", line 7, in <module>\n"
    "my.BadThing: oh\n"
    "next line\n";
constexpr std::string_view kGo =
    "panic: boom\n"
    "\n"
    "goroutine 1 [running]:\n"
    "main.main()\n"
    "\t/tmp/x.go:4 +0x39\n"
    "\n"
    "goroutine 18 [select]:\n"
    "net/http.f(0x1)\n"
    "\t/x/y.go:1\n"
    "exit status 2\n"
    "\n"
    "other\n";
constexpr std::string_view kNode =
    "/srv/app.js:2\n"
    "  throw new Error('boom');\n"
    "  ^\n"
    "\n"
    "Error: boom\n"
    "    at f (/srv/app.js:2:9)\n"
    "    at node:internal/main:28:49 {\n"
    "  code: 'E_X',\n"
    "  [cause]: TypeError: inner\n"
    "      at f (/srv/app.js:2:50)\n"
    "}\n"
    "\n"
    "Node.js v20.20.2\n"
    "Error: Cannot find module 'x'\n"
    "Require stack:\n"
    "- /srv/app.js\n"
    "    at Module.load (a.js:1:1)\n"
    "Error: alone\n"
    "plain one\n"
    "plain two\n";

struct ParserCase {
  std::string_view input;
  Seen expected;
};

std::vector<ParserCase> cases() {
  return {
      {kJava,
       {"e6 [main] Bar - failed|java.lang.IllegalStateException: outer|"
        "\tat com.foo.Bar.run(Bar.java:12)|Caused by: java.io.IOException: disk|"
        "\tat com.foo.Disk.write(Disk.java:9)|\t... 12 more",
        "i1 [main] Bar - ok"}},
      {"2026-11-21 10:00:00 INFO fine\njava.lang.Error: a\n\tat x\njava.lang.Error: b\n\tat y\n",
       {"i1 fine", "e2 java.lang.Error: a|\tat x", "e2 java.lang.Error: b|\tat y"}},
      {kPython,
       {"e11 Traceback (most recent call last):|  File \"a.py\", line 4, in f|    {}['a']|"
        "    ~~^^^^^|KeyError: 'a'||During handling of the above exception, another exception "
        "occurred:||Traceback (most recent call last):|  File \"a.py\", line 7, in <module>|"
        "my.BadThing: oh",
        "?1 next line"}},
      {"ERROR:root:failed\nTraceback (most recent call last):\n  File \"a\"\nERROR: "
       "odd\nINFO:x:y\n",
       {"e4 root:failed|Traceback (most recent call last):|  File \"a\"|ERROR: odd", "i1 x:y"}},
      {"  File \"a.py\", line 1\n    f(\n     ^\nSyntaxError: '(' was never closed\n",
       {"e4   File \"a.py\", line 1|    f(|     ^|SyntaxError: '(' was never closed"}},
      {kGo,
       {"F10 panic: boom||goroutine 1 [running]:|main.main()|\t/tmp/x.go:4 +0x39||"
        "goroutine 18 [select]:|net/http.f(0x1)|\t/x/y.go:1|exit status 2",
        "?1 other"}},
      {"2026/11/21 03:56:14 http: panic serving 1.2.3.4:5: boom\ngoroutine 19 [running]:\nf()\n"
       "\t/x.go:1\n2026/11/21 03:56:15 next\n",
       {"e4 http: panic serving 1.2.3.4:5: boom|goroutine 19 [running]:|f()|\t/x.go:1", "?1 next"}},
      {kNode,
       {"e13 /srv/app.js:2|  throw new Error('boom');|  ^||Error: boom|"
        "    at f (/srv/app.js:2:9)|    at node:internal/main:28:49 {|  code: 'E_X',|"
        "  [cause]: TypeError: inner|      at f (/srv/app.js:2:50)|}||Node.js v20.20.2",
        "e4 Error: Cannot find module 'x'|Require stack:|- /srv/app.js|"
        "    at Module.load (a.js:1:1)",
        "e1 Error: alone", "?1 plain one", "?1 plain two"}},
      // Structured lines are separate events; a broken one is kept.
      {"{\"level\":50,\"msg\":\"a\"}\n  indented\n{\"level\":30,\"msg\":\n\n{\"msg\":\"b\"}\n",
       {"e1 a", "?1   indented", "i1m {\"level\":30,\"msg\":", "?1 b"}},
      {"*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 1\n"
       ">>> 'bogus 1'\nBad directive or wrong number of arguments\nafter\n",
       {"F4 *** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***|Reading the configuration file, at line "
        "1|>>> 'bogus 1'|Bad directive or wrong number of arguments",
        "?1 after"}},
      {"{\n  a: 1\n}\nx\r\n\r\n  y\r\nz", {"?3 {|  a: 1|}", "?1 x", "?1   y", "?1 z"}},
      // Ill-formed UTF-8, one U+FFFD per maximal subpart; colours of a terminal.
      {"WARN a\xFF\xF0\x9F\nb\xE2\x82\xAC\n\x1b[31mERROR\x1b[0m red\n",
       {"w1m a\xEF\xBF\xBD\xEF\xBF\xBD", "?1 b\xE2\x82\xAC", "e1 red"}},
  };
}

TEST(LogParser, GroupsLinesToTheSameEventsForAnyCuts) {
  for (const ParserCase& each : cases()) {
    ASSERT_EQ(parse({each.input}), each.expected);
    for (std::size_t at = 0; at <= each.input.size(); ++at) {
      ASSERT_EQ(parse({each.input.substr(0, at), each.input.substr(at)}), each.expected) << at;
    }
    std::mt19937 random(11);  // A fixed seed, so that a failure repeats.
    ASSERT_EQ(parse(random_split(each.input, 1, random)), each.expected);
    for (int round = 0; round < 20; ++round) {
      ASSERT_EQ(parse(random_split(each.input, 7, random)), each.expected);
    }
  }
}

TEST(LogParser, RandomMixesOfLinesParseAlikeForAnyCuts) {
  std::mt19937 random(5);
  std::vector<std::string> lines;
  for (const ParserCase& each : cases()) {
    std::string_view rest = each.input;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      lines.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  std::uniform_int_distribution<std::size_t> pick(0, lines.size() - 1);
  LogParser::Options small;
  small.event = {.lines = 4, .bytes = 80};
  for (int round = 0; round < 300; ++round) {
    std::string input;
    for (int i = 0; i < 40; ++i) input += lines[pick(random)];
    const Seen expected = parse({input}, small);
    ASSERT_EQ(parse(random_split(input, 9, random), small), expected) << input;
    ASSERT_EQ(parse(random_split(input, 1, random), small), expected) << input;
  }
}

TEST(LogParser, RandomBytesParseAlikeForAnyCuts) {
  // Pieces with a meaning in some format, in any order.
  const std::vector<std::string_view> words = {
      "\n",
      "\r\n",
      "\r",
      " ",
      "\t",
      "{\"",
      "\"level\":",
      "50",
      "}",
      "[",
      "]",
      "2026-11-21",
      "T03:56:14",
      ".123",
      "Z",
      "+0100",
      "ERROR",
      ":",
      "14:M ",
      "21 Nov 2026 03:56:14",
      "<34>",
      "1 ",
      "Nov 21 03:56:14 ",
      "E1121 03:56:14",
      "level=",
      "msg=\"",
      "\\",
      "=",
      "\x1b[3",
      "\x1b",
      "m",
      "\xF0\x9F",
      "\xFF",
      "\xE2\x82\xAC",
      "at ",
      "File \"",
      "Traceback (most recent call last):",
      "panic: ",
      "goroutine 1",
      "/a.js:1",
      "^",
      "Caused by: ",
      "Error: x",
      " - - [",
      "21/Nov/2026:03:56:14 +0000",
      "] \"",
      "\" 502",
      "14:signal-handler (",
      "9",
      ")",
      "/",
  };
  std::mt19937 random(13);
  std::uniform_int_distribution<std::size_t> pick(0, words.size() - 1);
  LogParser::Options small;
  small.event = {.lines = 3, .bytes = 64};
  for (int round = 0; round < 2000; ++round) {
    std::string input;
    for (int i = 0; i < 40; ++i) input += words[pick(random)];
    const LogParser::Options& options = round % 2 == 0 ? small : LogParser::Options();
    ASSERT_EQ(parse(random_split(input, 5, random), options), parse({input}, options)) << input;
  }
}

TEST(LogParser, AmongJsonLinesABraceBeginsAJsonLine) {
  EXPECT_EQ(parse({"{ code: 1 }\n{\"msg\":\"a\"}\n{not json}\nplain\n"}),
            (Seen{"?1 { code: 1 }", "?1 a", "?1m {not json}", "?1 plain"}));
}

TEST(LogParser, WhereJsonAloneIsLookedForOtherLinesAreMalformedUnlessTheyAreOfATrace) {
  LogParser::Options options;
  options.formats = kLogJson;
  EXPECT_EQ(parse({"garbage\n\n{\"msg\":\"a\"}\n[1,2]\n2026-11-21T10:00:00Z INFO x\n"
                   "Error: x\n    at f (a.js:1:2)\n"},
                  options),
            (Seen{"?1m garbage", "?1 a", "?1m [1,2]", "?1m 2026-11-21T10:00:00Z INFO x",
                  "e2 Error: x|    at f (a.js:1:2)"}));
}

TEST(LogParser, SourcesDoNotMix) {
  LogParser parser({}, {});
  LogRecorder recorder;
  parser.push(1, "Error: one\n    at a\nx", 0, 0, recorder);
  parser.push(2, "Error: two\n", 0, 0, recorder);
  parser.push(1, "y\n", 0, 0, recorder);
  parser.push(2, "    at b\n", 0, 0, recorder);
  parser.end_source(2, 0, recorder);
  EXPECT_EQ(recorder.seen, (Seen{"e2 Error: one|    at a", "e2 Error: two|    at b"}));
  EXPECT_EQ(recorder.events[1].source, 2U);
  parser.end(0, recorder);
  EXPECT_EQ(recorder.seen.back(), "?1 xy");
  EXPECT_EQ(parser.source_stats(1).lines, 3U);
  EXPECT_EQ(parser.source_stats(2).errors, 1U);
  EXPECT_EQ(parser.stats().lines, 5U);
  EXPECT_EQ(parser.stats().events, 3U);
}

TEST(LogParser, SilenceEndsAnEventButNotALine) {
  LogParser::Options options;
  options.flush = 10 * kSecond;
  LogParser parser(options, {});
  LogRecorder recorder;
  EXPECT_EQ(parser.next_deadline(), kNever);
  parser.push(1, "Error: boom\nhalf a li", 0, 0, recorder);
  parser.push(1, "ne", 3 * kSecond, 0, recorder);
  EXPECT_EQ(parser.next_deadline(), 13 * kSecond);
  parser.flush(13 * kSecond - 1, 0, recorder);
  EXPECT_TRUE(recorder.seen.empty());
  parser.flush(13 * kSecond, 0, recorder);
  EXPECT_EQ(recorder.seen, Seen{"e1 Error: boom"});
  EXPECT_EQ(parser.next_deadline(), kNever);
  // A late line is a separate event; any push ends the due events.
  parser.push(1, "\n    at late\n", 20 * kSecond, 0, recorder);
  parser.push(2, "x\n", 30 * kSecond, 0, recorder);
  EXPECT_EQ(recorder.seen, (Seen{"e1 Error: boom", "e2 half a line|    at late"}));
}

TEST(LogParser, AnEventOf100000LinesIsBounded) {
  LogParser::Options options;
  options.event = {.lines = 50, .bytes = 10'000};
  LogParser parser(options, {});
  LogRecorder recorder;
  parser.push(1, "java.lang.StackOverflowError: deep\n", 0, 0, recorder);
  for (int i = 0; i < 99'999; ++i)
    parser.push(1, "\tat com.foo.Bar.f(Bar.java:1)\n", 0, 0, recorder);
  parser.push(1, "ERROR next\n", 0, 0, recorder);
  parser.end(0, recorder);
  ASSERT_EQ(recorder.seen.size(), 2U);
  EXPECT_EQ(recorder.seen[0].substr(0, 5), "e50t ");
  EXPECT_EQ(recorder.seen[1], "e1 next");
  EXPECT_EQ(parser.stats().lines, 100'001U);
  EXPECT_EQ(parser.stats().truncated, 1U);
}

TEST(LogParser, APossiblePartOfAnExceptionIsReleasedInTime) {
  for (const std::size_t bytes : {std::size_t{10}, std::size_t{2000}}) {
    LogParser parser({}, {});
    LogRecorder recorder;
    parser.push(1, "ValueError: no\nits second line?\n", 0, 0, recorder);
    EXPECT_EQ(recorder.seen, Seen());
    const std::string indented = "  " + std::string(bytes, 'x') + "\n";
    for (int i = 0; i < 2000; ++i) parser.push(1, indented, 0, 0, recorder);
    // By now it is known not to be one.
    EXPECT_EQ(recorder.seen, Seen({"e1 ValueError: no"})) << bytes;
    parser.end(0, recorder);
    ASSERT_EQ(recorder.seen.size(), 2U) << bytes;
    // 1000 lines, or 16 bytes and 130 lines of 2003 (with their line ends) out of 262144.
    EXPECT_EQ(recorder.seen[1].substr(0, 6), bytes == 10 ? "?1000t" : "?131t ") << bytes;
    EXPECT_EQ(parser.stats().lines, 2002U);
  }
}

TEST(LogParser, AnEventsBytesAreBounded) {
  LogParser::Options options;
  options.event = {.lines = 50, .bytes = 20};
  // Whole lines of an event, then none; the beginning of a line that is longer by itself. Each
  // byte that is no UTF-8 becomes three.
  EXPECT_EQ(parse({"x\n  345678\n  012345678\n  y\nz\n"}, options),
            (Seen{"?2t x|  345678", "?1 z"}));
  EXPECT_EQ(parse({std::string(1000, 'a') + "\n  b\nc\n"}, options),
            (Seen{"?1t " + std::string(20, 'a'), "?1 c"}));
  const Seen seen = parse({std::string(20, '\xFF') + "\n"}, options);
  EXPECT_EQ(seen,
            Seen{"?1m \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"});
}

LogPatterns patterns(std::vector<std::string_view> start, std::vector<std::string_view> more) {
  LogPatterns made;
  std::string problem;
  for (const auto source : start)
    made.start.push_back(*LogPattern::compile(source, false, problem));
  for (const auto source : more) {
    made.continuation.push_back(*LogPattern::compile(source, false, problem));
  }
  return made;
}

TEST(LogParser, PatternsReplaceTheBuiltInGrouping) {
  constexpr std::string_view kInput = "# one\na\n  b\n\nc\n# two\n> x\n";
  EXPECT_EQ(parse({kInput}, {}, patterns({"^#"}, {})), (Seen{"?5 # one|a|  b||c", "?2 # two|> x"}));
  EXPECT_EQ(parse({kInput}, {}, patterns({}, {"^[ >]"})),
            (Seen{"?1 # one", "?2 a|  b", "?1 c", "?2 # two|> x"}));
  EXPECT_EQ(parse({kInput}, {}, patterns({"^#", "^ "}, {"^[ >a]"})),
            (Seen{"?2 # one|a", "?1   b", "?1 c", "?2 # two|> x"}));
}

TEST(LogParser, ErrorsWithoutATimeCountAtTheLatestKnownTime) {
  LogParser parser({}, {});
  LogRecorder recorder;
  const auto last_ms = [&parser] { return parser.errors().top(1, LogErrors::kEver, 0)[0].last_ms; };
  parser.push(1, "ERROR a\n", 0, 77, recorder);
  parser.end_source(1, 77, recorder);
  EXPECT_EQ(last_ms(), 77);
  parser.push(2, "1970-01-01 00:00:01 INFO x\n", 0, 88, recorder);
  parser.push(2, "1970-01-01 00:00:03 INFO x\n", 0, 88, recorder);
  parser.push(2, "1970-01-01 00:00:02 INFO x\nERROR a\n", 0, 88, recorder);
  parser.end_source(2, 88, recorder);
  EXPECT_EQ(last_ms(), 2000);
  parser.push(3, "ERROR a\n", 0, 99, recorder);
  parser.end(99, recorder);
  EXPECT_EQ(last_ms(), 3000);
  EXPECT_EQ(parser.errors().top(1, LogErrors::kEver, 0)[0].count, 3U);
}

TEST(LogParser, TheSummaryNamesTheError) {
  const auto template_of = [](std::string_view input) {
    LogParser parser({}, {});
    LogRecorder recorder;
    parser.push(1, input, 0, 0, recorder);
    parser.end(0, recorder);
    return parser.errors().top(1, LogErrors::kEver, 0)[0].sample;
  };
  EXPECT_EQ(template_of(kJava), "[main] Bar - failed: java.lang.IllegalStateException: outer");
  EXPECT_EQ(template_of(kPython), "my.BadThing: oh");
  EXPECT_EQ(template_of(kGo), "panic: boom");
  EXPECT_EQ(template_of(kNode.substr(0, kNode.find("Error: Cannot"))), "Error: boom");
  EXPECT_EQ(template_of(R"({"level":50,"msg":"failed","err":{"message":"why"}})"), "failed: why");
}

TEST(LogParser, EveryViewIsValidUtf8WhereverSomethingIsCut) {
  const std::string wide = [] {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "\xE2\x82\xAC";
    return text;
  }();
  for (std::size_t shift = 0; shift < 3; ++shift) {
    const std::string pad(shift, 'x');
    // The summary keeps 512 bytes of an error's line; colours end in one byte; a number in
    // parentheses may lack its parenthesis.
    const LogRecorder recorder =
        record("ERROR a\nmy.Error: " + pad + wide + "\n    at f\n" +
               "{\"level\":50,\"msg\":\"m\",\"err\":\"" + pad + wide +
               "\"}\n\x1b[31\xC3\xA9 red\n14:signal-handler (1795233374\xC3\xA9 x\n");
    ASSERT_EQ(recorder.seen.size(), 4U);
    for (const std::string& summary : recorder.summaries) {
      EXPECT_EQ(valid_utf8_prefix(summary), summary.size()) << summary;
    }
    EXPECT_LE(recorder.summaries[0].size(), 520U);
    EXPECT_GT(recorder.summaries[0].size(), 500U);
    EXPECT_EQ(recorder.seen[2], "?1 \xC3\xA9 red");
    EXPECT_EQ(recorder.seen[3], "w1 \xC3\xA9 x");
  }
}

TEST(LogParser, PausesEndInTheOrderOfTheLastInput) {
  LogParser parser({}, {});
  LogRecorder recorder;
  constexpr std::uint32_t kSources = 1000;
  for (std::uint32_t i = 1; i <= kSources; ++i) parser.push(i, "x\n", i, 0, recorder);
  parser.push(1, "  y\n", kSources + 1, 0, recorder);
  EXPECT_EQ(parser.next_deadline(), kSecond + 2);
  parser.flush(kSecond + 10, 0, recorder);
  EXPECT_EQ(recorder.seen.size(), 9U);
  EXPECT_EQ(recorder.events.front().source, 2U);
  parser.forget(11);
  EXPECT_EQ(parser.next_deadline(), kSecond + 12);
  parser.flush(2 * kSecond, 0, recorder);
  EXPECT_EQ(recorder.events.back().source, 1U);
  EXPECT_EQ(recorder.seen.size(), kSources - 1);
  EXPECT_EQ(parser.next_deadline(), kNever);
}

}  // namespace
}  // namespace sluice
