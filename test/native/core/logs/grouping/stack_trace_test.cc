// Stack traces as programs print them, between other lines and in a row.
#include "core/logs/grouping/stack_trace.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/logs/recorder.h"

namespace sluice {
namespace {

struct Trace {
  std::string_view name;
  LogLevel level;
  std::string_view text;
};

// Most are shortened outputs of the programs themselves; PHP, Ruby, Dart and .NET as in the tests
// of fluent-plugin-detect-exceptions.
const std::vector<Trace> kTraces = {
    {"Go", LogLevel::kFatal,
     "panic: boom\n\tpanic: again [recovered]\n[signal SIGSEGV: segmentation violation "
     "code=0x1]\n\n"
     "goroutine 1 [running]:\npanic({0x1, 0x2})\n\t/go/panic.go:884 +0x212\n"
     "main.(*T).f(0xc0, ...)\n\t/x.go:4 +0x39\nmain.G[...]({0x1})\n\t/x.go:5 +0x39\n"
     "...additional frames elided...\ncreated by main.main in goroutine 7\n\t/x.go:9 +0x1\n\n"
     "goroutine 18 [select]:\nnet/http.f(0x1)\n\t/x/y.go:1\n"},
    {"Go, message of two lines", LogLevel::kFatal,
     "panic: one\ntwo\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:4 +0x39\nexit status 2\n"},
    {"Go, deadlock", LogLevel::kFatal,
     "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n"
     "main.main()\n\t/x.go:4 +0x39\n"},
    {"Go, runtime stack and registers", LogLevel::kFatal,
     "fatal error: unexpected signal\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\t/go/p.go:1\n\n"
     "goroutine 1 [running]:\nmain.main()\n\t/x.go:4\n\nrax    0x0\nrbx    0x7f\n"},
    {"Python", LogLevel::kError,
     "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n"
     "KeyboardInterrupt\n"},
    {"Python, exception group", LogLevel::kError,
     "  + Exception Group Traceback (most recent call last):\n"
     "  |   File \"a.py\", line 1, in <module>\n  |     f(x: int)\n"
     "  | ExceptionGroup: eg (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n"
     "    | ValueError: 1\n    +---------------- 2 ----------------\n"
     "    | Exception Group Traceback (most recent call last):\n    |   File \"b.py\", line 2\n"
     "    | ExceptionGroup: inner (1 sub-exception)\n    +-+---------------- 1 ----------------\n"
     "      | TypeError: 2\n      +------------------------------------\n"},
    {"Python, exception group without frames", LogLevel::kError,
     "  | ExceptionGroup:  (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
     "    | KeyError: 'k'\n    +------------------------------------\n"},
    {"Python, exception group in a chain", LogLevel::kError,
     "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'k'\n\n"
     "During handling of the above exception, another exception occurred:\n\n"
     "  + Exception Group Traceback (most recent call last):\n"
     "  | ExceptionGroup: eg (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
     "    | ValueError: 1\n    +------------------------------------\n\n"
     "The above exception was the direct cause of the following exception:\n\n"
     "Traceback (most recent call last):\n  File \"a.py\", line 9\nmy.Error: x\n"},
    {"Java, javax.mail", LogLevel::kError,
     "java.lang.RuntimeException: javax.mail.SendFailedException: Invalid Addresses;\n"
     "  nested exception is:\n"
     "com.sun.mail.smtp.SMTPAddressFailedException: 550 5.7.1 Relaying denied\n\n"
     "\tat a.B.c(B.java:1)\nCaused by: javax.mail.SendFailedException: Invalid Addresses;\n"
     "  nested exception is:\n"
     "com.sun.mail.smtp.SMTPAddressFailedException: 550 5.7.1 Relaying denied\n\n"
     "\tat d.E.f(E.java:1)\n\t... 12 more\n"
     "Caused by: com.sun.mail.smtp.SMTPAddressFailedException: 550 5.7.1 Relaying denied\n"},
    {".NET", LogLevel::kError,
     "Unhandled exception. System.AggregateException: One or more errors. (boom)\n"
     " ---> System.InvalidOperationException: boom\n   at A.B() in /a.cs:line 3\n"
     "   --- End of inner exception stack trace ---\n   at A.C()\n"
     "--- End of stack trace from previous location where exception was thrown ---\n   at A.D()\n"},
    {"PHP", LogLevel::kFatal,
     "PHP Fatal error:  Uncaught Exception: inner in /a.php:3\nStack trace:\n#0 /a.php(9): f()\n"
     "#1 {main}\n\nNext App\\Bad: outer in /a.php:5\nStack trace:\n#0 {main}\n"
     "  thrown in /a.php on line 5\n"},
    {"PHP, old", LogLevel::kError,
     "exception 'Exception' with message 'Custom' in /a.php:5\nStack trace:\n#0 /a.php(9): f()\n"
     "#1 {main}\n"},
    {"Ruby", LogLevel::kError,
     "/a.rb:3:in `f': boom (RuntimeError)\n\tfrom /a.rb:7:in `block in g'\n"
     "\tfrom /a.rb:9:in `<main>'\n"},
    {"Ruby 3.4", LogLevel::kError,
     "a.rb:3:in 'Integer#/': divided by 0 (ZeroDivisionError)\n\tfrom a.rb:3:in 'Object#f'\n"},
    {"Ruby 2.6", LogLevel::kError,
     "Traceback (most recent call last):\n\t1: from a.rb:7:in `<main>'\n"
     "a.rb:3:in `f': boom (RuntimeError)\n"},
    {"Rails", LogLevel::kError,
     "ActionController::RoutingError (No route matches [GET] \"/x\"):\n  \n"
     "actionpack (5.1.4) lib/a.rb:63:in `call'\nrack (2.0.3) lib/b.rb:27:in `call'\n"},
    {"Rust", LogLevel::kFatal,
     "thread 'main' panicked at src/main.rs:2:5:\nassertion `left == right` failed\n  left: 1\n"
     " right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"},
    {"Rust, backtrace", LogLevel::kFatal,
     "thread '<unnamed>' (5172) panicked at p.rs:1:35:\none\ntwo\nstack backtrace:\n"
     "   0: std::panicking::begin_panic\n             at /rustc/x.rs:1:2\n   1: p::main\n"
     "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n"},
    {"Rust, old", LogLevel::kFatal,
     "thread 'main' panicked at 'boom', src/main.rs:2:5\nnote: run with `RUST_BACKTRACE=1`\n"},
    {"Rust, anyhow", LogLevel::kError,
     "Error: failed\n\nCaused by:\n    0: inner\n    1: disk\n\nStack backtrace:\n   0: a::b\n"},
    {"Dart", LogLevel::kError,
     "Unhandled exception:\n'file:///a.dart': malformed type: cannot resolve class\n"
     "  printError( () { new NoType(); } );\n                       ^\n\n\n"
     "#0      _TypeError._throwNew (dart:core-patch/errors_patch.dart:82)\n"
     "<asynchronous suspension>\n#1      main (file:///a.dart:7:3)\n"},
    {"Dart, no such method", LogLevel::kError,
     "Unhandled exception:\nNoSuchMethodError: No constructor 'A'.\nReceiver: Type: class 'A'\n"
     "Tried calling: new A(\"x\", 36)\nFound: new A()\n#0      main (file:///a.dart:10:20)\n"},
    {"AddressSanitizer", LogLevel::kError,
     "=================================================================\n"
     "==5111==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x5\n"
     "READ of size 4 at 0x602000000010 thread T0\n    #0 0x55 in main /a.c:2:48\n\n"
     "0x602000000010 is located 0 bytes inside of 4-byte region [0x602000000010,0x602000000014)\n"
     "freed by thread T0 here:\n    #0 0x55 in free\n\npreviously allocated by thread T0 here:\n"
     "    #0 0x55 in malloc\n\nSUMMARY: AddressSanitizer: heap-use-after-free /a.c:2:48 in main\n"
     "Shadow bytes around the buggy address:\n  0x0c047fff7fb0: 00 00\n"
     "=>0x0c047fff8000: fa fa[fd]fa\nShadow byte legend (one shadow byte represents 8 bytes):\n"
     "  Addressable:           00\n==5111==ABORTING\n"},
    {"AddressSanitizer, segmentation fault", LogLevel::kError,
     "AddressSanitizer:DEADLYSIGNAL\n"
     "=================================================================\n"
     "==5130==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000\n"
     "==5130==The signal is caused by a READ memory access.\n==5130==Hint: address points to "
     "zero.\n"
     "    #0 0x55 in main /a.c:1\n\nAddressSanitizer can not provide additional info.\n"
     "SUMMARY: AddressSanitizer: SEGV /a.c:1 in main\n==5130==ABORTING\n"},
    {"LeakSanitizer", LogLevel::kError,
     "=================================================================\n"
     "==5123==ERROR: LeakSanitizer: detected memory leaks\n\n"
     "Direct leak of 10 byte(s) in 1 object(s) allocated from:\n    #0 0x55 in malloc\n\n"
     "SUMMARY: AddressSanitizer: 10 byte(s) leaked in 1 allocation(s).\n"},
    {"ThreadSanitizer", LogLevel::kError,
     "==================\nWARNING: ThreadSanitizer: data race (pid=5142)\n"
     "  Write of size 4 at 0x55 by main thread:\n    #0 main /a.cc:2:46\n\n"
     "  Previous write of size 4 at 0x55 by thread T1:\n    #0 f() /a.cc:2:38\n\n"
     "SUMMARY: ThreadSanitizer: data race /a.cc:2:46 in main\n==================\n"},
    {"UndefinedBehaviorSanitizer", LogLevel::kError,
     "a.c:3:42: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented\n"
     "    #0 0x55 in main /a.c:3:42\n\nSUMMARY: UndefinedBehaviorSanitizer: undefined-behavior\n"},
    {"V8", LogLevel::kError,
     "V8 errors stack trace\n  eval at Foo.a (eval at Bar.z (m.js:10:3))\n  at new F (native)\n"},
};

std::size_t lines_of(std::string_view text) {
  std::size_t lines = 0;
  for (const char c : text) lines += c == '\n' ? 1U : 0U;
  return lines;
}

TEST(StackTrace, EachIsOneEventWithoutTheLinesAfterIt) {
  constexpr std::string_view kPlain = "This is no exception.\n";
  for (const Trace& trace : kTraces) {
    std::string input(kPlain);
    input += trace.text;
    for (int i = 0; i < 500; ++i) input += kPlain;
    const LogRecorder recorder = record(input);
    ASSERT_EQ(recorder.seen.size(), 502U) << trace.name << ": " << recorder.seen[1];
    EXPECT_EQ(lines_of(recorder.texts[1]) + 1, lines_of(trace.text)) << trace.name;
    EXPECT_EQ(recorder.events[1].level, trace.level) << trace.name;
    for (std::size_t i = 0; i < 502; ++i) {
      if (i == 1) continue;
      EXPECT_EQ(recorder.seen[i], "?1 This is no exception.") << trace.name;
    }
  }
}

TEST(StackTrace, TwoInARowAreTwoEvents) {
  for (const Trace& trace : kTraces) {
    for (const std::string_view between : {"", "\n"}) {
      const std::string text(trace.text);
      const LogRecorder recorder = record(text + std::string(between) + text);
      ASSERT_EQ(recorder.seen.size(), 2U) << trace.name;
      EXPECT_EQ(recorder.texts[0], recorder.texts[1]) << trace.name;
    }
  }
}

TEST(StackTrace, AnUnfinishedOneHasNoLineAfterIt) {
  for (const Trace& trace : kTraces) {
    std::string_view text = trace.text;
    while (!text.empty()) {
      // Without its last line: the rest must not include a following message.
      text = text.substr(0, text.substr(0, text.size() - 1).rfind('\n') + 1);
      const std::string input = std::string(text) + "one plain line\nanother plain line\n" +
                                "2026-11-21 03:56:14 INFO next\n";
      const LogRecorder recorder = record(input);
      ASSERT_GE(recorder.seen.size(), 2U) << input;
      EXPECT_EQ(recorder.seen.back(), "i1 next") << input;
      EXPECT_EQ(recorder.seen[recorder.seen.size() - 2], "?1 another plain line") << input;
    }
  }
}

TEST(StackTrace, ATraceOfALineThatReportsItBelongsToThatLine) {
  EXPECT_EQ(
      record("ERROR:root:failed\n  + Exception Group Traceback (most recent call last):\n"
             "  | ExceptionGroup: eg (1 sub-exception)\n  +-+---- 1 ----\n    | ValueError: 1\n"
             "    +------------------------------------\nINFO:x:y\n")
          .seen,
      (Seen{"e6 root:failed|  + Exception Group Traceback (most recent call last):|"
            "  | ExceptionGroup: eg (1 sub-exception)|  +-+---- 1 ----|    | ValueError: 1|"
            "    +------------------------------------",
            "i1 x:y"}));
  EXPECT_EQ(record("E, [2026-11-21T03:56:14.1 #7] ERROR -- : boom (RuntimeError)\n"
                   "/a.rb:3:in 'f'\n/a.rb:9:in '<main>'\nplain\n")
                .seen,
            (Seen{"e3 boom (RuntimeError)|/a.rb:3:in 'f'|/a.rb:9:in '<main>'", "?1 plain"}));
  EXPECT_EQ(record("[2026-11-21 03:56:14] app.ERROR: boom {\"exception\":\"x\n[stacktrace]\n"
                   "#0 /a.php(9): f()\n#1 {main}\n\"} []\n[2026-11-21 03:56:15] app.INFO: ok\n")
                .seen,
            (Seen{"e4 boom {\"exception\":\"x|[stacktrace]|#0 /a.php(9): f()|#1 {main}",
                  "?1 \"} []", "i1 ok"}));
  // A list is no stack.
  EXPECT_EQ(record("#1 one\n#2 two\n").seen, (Seen{"?1 #1 one", "?1 #2 two"}));
}

TEST(StackTrace, HeadersOfTwoLinesAreOneEvent) {
  const LogRecorder jul = record(
      "Nov 21, 2026 3:56:14 AM com.foo.Bar run\nSEVERE: failed\njava.lang.Error: x\n\tat a.b(C:1)\n"
      "Nov 21, 2026 3:56:15 AM com.foo.Bar run\nINFO: fine\n");
  EXPECT_EQ(jul.seen, (Seen{"e4 com.foo.Bar run|SEVERE: failed|java.lang.Error: x|\tat a.b(C:1)",
                            "i2 com.foo.Bar run|INFO: fine"}));
  EXPECT_EQ(jul.events[0].time_ms, 1'795'233'374'000);
  const LogRecorder dotnet = record(
      "fail: App.Worker[0]\n      An error.\n      System.Exception: x\n         at A.B()\n"
      "info: App.Worker[0]\n      Fine.\nplain\n");
  EXPECT_EQ(dotnet.seen,
            (Seen{"e4 App.Worker[0]|      An error.|      System.Exception: x|         at A.B()",
                  "i2 App.Worker[0]|      Fine.", "?1 plain"}));
}

TEST(StackTrace, KnowsTheLinesThatNamePythonsExceptions) {
  for (const std::string_view line :
       {"ValueError: x", "KeyError", "my.mod.error", "a.<locals>.E: x", "error: x",
        "AssertionError:", "\xC3\x89rreur: x"}) {
    EXPECT_TRUE(is_python_exception(line)) << line;
  }
  for (const std::string_view line :
       {"plain line", "done", "2026: x", "a b: x", ": x", "", "INFO:root:x", "x=1", ".a"}) {
    EXPECT_FALSE(is_python_exception(line)) << line;
  }
}

}  // namespace
}  // namespace sluice
