#include "core/streams/event_log.h"

#include <gtest/gtest.h>

#include <random>

#include "core/streams/event_log_text.h"

namespace sluice {
namespace {

EventLog log_of(std::initializer_list<const char*> tokens) {
  EventLog log(kRoomy);
  for (const char* token : tokens) log.append(token);
  return log;
}

// The events for a reader at `cursor`: ids and texts, a gap as "gap", job_retry as "retry".
std::vector<std::string> replay(const EventLog& log, std::string_view cursor) {
  std::vector<std::string> out;
  auto [position, gap] = log.resolve(cursor);
  if (gap) out.emplace_back("gap");
  for (;;) {
    const EventLog::Event event = log.read(position);
    if (event.kind == EventLog::EventKind::kNone) return out;
    const std::string id = to_string(event.id) + " ";
    if (event.kind == EventLog::EventKind::kEntry) out.push_back(id + std::string(event.text));
    if (event.kind == EventLog::EventKind::kRetry) out.push_back(id + "retry");
    if (event.kind == EventLog::EventKind::kTerminal) out.push_back(id + "end");
    ++position.next_seq;
  }
}

using Lines = std::vector<std::string>;

TEST(EventLog, ReplaysEverythingAfterACursor) {
  EventLog log = log_of({"a", "b", "c"});
  EXPECT_EQ(replay(log, ""), (Lines{"1-1 a", "1-2 b", "1-3 c"}));
  EXPECT_EQ(replay(log, "1-0"), (Lines{"1-1 a", "1-2 b", "1-3 c"}));
  EXPECT_EQ(replay(log, "1-2"), (Lines{"1-3 c"}));
  EXPECT_EQ(replay(log, "1-3"), (Lines{}));
  log.end({});
  EXPECT_EQ(replay(log, "1-2"), (Lines{"1-3 c", "1-4 end"}));
  EXPECT_EQ(replay(log, "1-4"), (Lines{}));
}

TEST(EventLog, GivesEverythingAfterAGapToACursorItDoesNotKnow) {
  EventLog log = log_of({"a", "b"});
  const Lines all{"gap", "1-1 a", "1-2 b"};
  for (const char* cursor : {"1-3", "2-0", "7-1", "nonsense", "0-1", "1-1 "}) {
    EXPECT_EQ(replay(log, cursor), all) << cursor;
  }
  log.end({});
  EXPECT_EQ(replay(log, "1-4"), (Lines{"gap", "1-1 a", "1-2 b", "1-3 end"})) << "beyond the end";
}

TEST(EventLog, ReportsWhetherAReaderHasHadTheTerminalEvent) {
  EventLog log = log_of({"a"});
  EXPECT_FALSE(log.at_end(log.resolve("1-1").position));
  log.end({});
  EXPECT_FALSE(log.at_end(log.resolve("1-1").position));
  EXPECT_TRUE(log.at_end(log.resolve("1-2").position));
  EXPECT_FALSE(log.at_end(log.resolve("1-3").position)) << "an unknown cursor replays";
}

TEST(EventLog, RecordsTheFirstEndingOnly) {
  EventLog log = log_of({"a"});
  Terminal cancelled;
  cancelled.kind = Terminal::Kind::kCancelled;
  EXPECT_TRUE(log.end(cancelled));
  EXPECT_FALSE(log.end({}));
  EXPECT_FALSE(log.append("late"));
  EXPECT_FALSE(log.begin_attempt());
  EXPECT_EQ(log.terminal().kind, Terminal::Kind::kCancelled);
  EXPECT_EQ(text_of(log), "a");
  EXPECT_EQ(to_string(log.latest()), "1-2");
}

TEST(EventLog, ANewAttemptDropsTheTextAndReportsIt) {
  EventLog log = log_of({"a", "b"});
  ASSERT_TRUE(log.begin_attempt());
  EXPECT_EQ(text_of(log), "");
  EXPECT_EQ(to_string(log.earliest()), "2-0");
  EXPECT_EQ(to_string(log.latest()), "2-0");
  log.append("c");
  EXPECT_EQ(replay(log, ""), (Lines{"2-0 retry", "2-1 c"}));
  EXPECT_EQ(replay(log, "1-2"), (Lines{"2-0 retry", "2-1 c"})) << "a cursor of the first attempt";
  EXPECT_EQ(replay(log, "2-0"), (Lines{"2-1 c"}));
  EXPECT_EQ(log.entry_count(), 1u);
}

TEST(EventLog, AnEmptyTokenIsATokenLikeAnyOther) {
  EventLog log = log_of({"", "a", ""});
  log.end({});
  EXPECT_EQ(replay(log, ""), (Lines{"1-1 ", "1-2 a", "1-3 ", "1-4 end"}));
}

TEST(EventLog, TrimsTheOldestPastItsCapAndAnnouncesIt) {
  // Each token costs its 10 bytes of text and 4 of offset: 5 fit into 70.
  EventLog log(70);
  for (int i = 0; i < 8; ++i) log.append("token-" + std::to_string(1000 + i));
  EXPECT_EQ(log.trimmed(), 3u);
  EXPECT_EQ(to_string(log.earliest()), "1-4");
  EXPECT_EQ(to_string(log.latest()), "1-8");
  EXPECT_EQ(text_of(log).substr(0, 10), "token-1003");
  EXPECT_EQ(replay(log, "").front(), "gap");
  EXPECT_EQ(replay(log, "")[1], "1-4 token-1003");
  EXPECT_EQ(replay(log, "1-2").front(), "gap");
  EXPECT_EQ(replay(log, "1-3").front(), "1-4 token-1003") << "nothing was missed";
  EXPECT_TRUE(log.catch_up({1, 2}).gap);
  EXPECT_EQ(log.catch_up({1, 2}).position.next_seq, 4u);
}

TEST(EventLog, AlwaysKeepsTheLatestToken) {
  EventLog log(8);
  log.append(std::string(100, 'x'));
  log.append(std::string(100, 'y'));
  EXPECT_EQ(text_of(log), std::string(100, 'y'));
}

TEST(EventLog, HoldsAtMostTwiceItsCapWhateverTheTokens) {
  constexpr std::size_t kCap = 64 << 10;
  EventLog log(kCap);
  std::mt19937 random(19830401);
  std::string expected;
  for (int i = 0; i < 50'000; ++i) {
    const std::string token(random() % 40, static_cast<char>('a' + i % 26));
    expected += token;
    log.append(token);
    // Growth by doubling may reserve twice the used memory.
    ASSERT_LE(log.memory_bytes(), 4 * kCap);
  }
  const std::string text = text_of(log);
  ASSERT_LE(text.size(), expected.size());
  EXPECT_EQ(text, std::string_view(expected).substr(expected.size() - text.size()));
}

TEST(EventLogBytes, CountsTheMemoryOfLogsAndSharedTextOnce) {
  LogBytes total = 0;
  {
    EventLog first(kRoomy, &total);
    first.append(std::string(100'000, 'a'));
    const auto one = static_cast<std::int64_t>(first.memory_bytes());
    EXPECT_GE(one, 100'000);
    EXPECT_EQ(total, one);
    EventLog second(kRoomy, &total);
    second.take_tokens(first);
    EXPECT_EQ(total, one);
    // From here on the second has its own storage.
    second.append_typed("page", "{}");
    EXPECT_EQ(total, one + static_cast<std::int64_t>(second.memory_bytes()));
    EXPECT_TRUE(second.begin_attempt());
    EXPECT_EQ(total, one);
    first.append("b");
    first.end({});
    EXPECT_EQ(total, static_cast<std::int64_t>(first.memory_bytes()));
  }
  EXPECT_EQ(total, 0);
}

TEST(EventLogBytes, StaysBelowTwiceTheCapForAnyAmountAppended) {
  LogBytes total = 0;
  EventLog log(1 << 16, &total);
  for (int i = 0; i < 5000; ++i) {
    log.append(std::string(1000, 'a'));
    EXPECT_EQ(total, static_cast<std::int64_t>(log.memory_bytes()));
  }
  EXPECT_LT(total, 4 << 16);
}

}  // namespace
}  // namespace sluice
