// Logs with entries of several kinds, and the heads of answers.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/streams/event_log.h"
#include "core/streams/event_log_text.h"

namespace sluice {
namespace {

using Lines = std::vector<std::string>;

// Each event after `cursor`: its id, kind, text and aux data; for calls also the index.
Lines read_from(const EventLog& log, std::string_view cursor = "") {
  Lines lines;
  auto [position, gap] = log.resolve(cursor);
  if (gap) lines.emplace_back("gap");
  for (;; ++position.next_seq) {
    const EventLog::Event event = log.read(position);
    if (event.kind == EventLog::EventKind::kNone) return lines;
    std::string line = to_string(event.id);
    if (event.kind == EventLog::EventKind::kEntry) {
      line += " " + word_of(event.entry);
      const bool of_call =
          event.entry == EntryKind::kToolCall || event.entry == EntryKind::kToolArguments;
      if (of_call) line += " " + std::to_string(event.call);
    }
    if (event.kind == EventLog::EventKind::kTyped) line += " typed " + std::string(event.type);
    if (event.kind == EventLog::EventKind::kTerminal) line += " end";
    if (!event.text.empty()) line += " " + std::string(event.text);
    if (!event.aux.empty()) line += " | " + std::string(event.aux);
    lines.push_back(line);
  }
}

TEST(EventLogEntries, EveryKindKeepsItsTextItsAuxDataAndTheOrder) {
  EventLog log(kRoomy);
  log.append({.kind = EntryKind::kReasoning, .text = "think"});
  log.append("plain");
  log.append({.text = "Hi", .aux = R"([{"token":"Hi"}])"});
  log.append({.kind = EntryKind::kRefusal, .text = "no"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{\"x\":"});
  log.append({.kind = EntryKind::kToolArguments, .text = "1}"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_b", .aux = "g"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{}"});
  log.append({.kind = EntryKind::kExtra, .text = R"({"images":[]})"});
  log.append_typed("page", R"({"n":1})");
  log.end({});
  EXPECT_EQ(read_from(log), (Lines{
                                "1-1 reasoning think",
                                "1-2 text plain",
                                R"(1-3 text Hi | [{"token":"Hi"}])",
                                "1-4 refusal no",
                                "1-5 call 0 call_a | f",
                                "1-6 arguments 0 {\"x\":",
                                "1-7 arguments 0 1}",
                                "1-8 call 1 call_b | g",
                                "1-9 arguments 1 {}",
                                R"(1-10 extra {"images":[]})",
                                R"(1-11 typed page {"n":1})",
                                "1-12 end",
                            }));
  EXPECT_EQ(log.entry_count(), 11u);
  EXPECT_EQ(text_of(log), "plainHi");
  EXPECT_EQ(log.text_bytes(), 7u);
  EXPECT_EQ(text_of(log, EntryKind::kReasoning), "think");
  EXPECT_EQ(text_of(log, EntryKind::kRefusal), "no");
  EXPECT_EQ(read_from(log, "1-10"), (Lines{R"(1-11 typed page {"n":1})", "1-12 end"}));
}

TEST(EventLogEntries, TypedEventsKeepTheirTypesAsValues) {
  EventLog log(kRoomy);
  log.append("a");
  log.append_typed("node_started", R"({"node":"a"})");
  log.append({.text = "b", .aux = "[1]"});
  log.append_typed("page", R"({"n":1})");
  log.append_typed("node_started", R"({"node":"b"})");
  EventLog copy(kRoomy);
  copy.restore(1, log.copy_from(1));
  EXPECT_EQ(read_from(copy), read_from(log));
  EXPECT_EQ(read_from(copy)[1], R"(1-2 typed node_started {"node":"a"})");
  EventLog tail(kRoomy);
  tail.restore(1, log.copy_from(4));
  EXPECT_EQ(read_from(tail, "1-3"), read_from(log, "1-3"));
}

TEST(EventLogEntries, PlainTextNeedsNoExtraMemoryUntilAnotherKindIsAppended) {
  EventLog plain(kRoomy);
  EventLog mixed(kRoomy);
  for (int i = 0; i < 1000; ++i) {
    plain.append("0123456789");
    mixed.append("0123456789");
  }
  EXPECT_TRUE(plain.is_plain());
  EXPECT_EQ(plain.retained_bytes(), 1000u * (10 + sizeof(std::uint32_t)));
  mixed.append({.kind = EntryKind::kReasoning, .text = "x"});
  EXPECT_FALSE(mixed.is_plain());
  EXPECT_EQ(mixed.retained_bytes(), 1000u * (10 + 4 + 1) + 1 + 4 + 1) << "one byte each";
  EXPECT_EQ(read_from(mixed, "1-999"), (Lines{"1-1000 text 0123456789", "1-1001 reasoning x"}));
}

TEST(EventLogEntries, AnEmptyEntryOfAnyKindHasAnIdLikeAnyOther) {
  EventLog log(kRoomy);
  log.append({.kind = EntryKind::kReasoning});
  log.append({.kind = EntryKind::kToolCall, .text = "", .aux = ""});
  log.append("");
  EXPECT_EQ(read_from(log), (Lines{"1-1 reasoning", "1-2 call 0", "1-3 text"}));
}

TEST(EventLogEntries, JsonOfSeveralLinesBecomesOneLine) {
  EventLog log(kRoomy);
  log.append({.kind = EntryKind::kExtra, .text = "{\r\n\"a\": 1\n}"});
  log.append({.text = "t\nu", .aux = "[\n1\r]"});
  EXPECT_EQ(read_from(log), (Lines{"1-1 extra {  \"a\": 1 }", "1-2 text t\nu | [ 1 ]"}));
}

TEST(EventLogEntries, TheByteCapCountsAuxDataAndKeepsIndexesOfCalls) {
  // 20 bytes of aux data, 2 of text, 4 of offset, 1 of kind, 8 for the place of the aux data.
  constexpr std::size_t kEntryBytes = 20 + 2 + 4 + 1 + 8;
  EventLog log(10 * kEntryBytes);
  const std::string aux(20, 'p');
  for (int i = 10; i < 100; ++i) log.append({.text = std::to_string(i), .aux = aux});
  EXPECT_EQ(log.trimmed(), 80u);
  EXPECT_EQ(text_of(log), "90919293949596979899");
  EXPECT_EQ(read_from(log, "1-89"), (Lines{"1-90 text 99 | " + aux}));

  EventLog calls(300);
  for (int i = 0; i < 500; ++i) {
    calls.append({.kind = EntryKind::kToolCall, .text = "c" + std::to_string(i), .aux = "f"});
    calls.append({.kind = EntryKind::kToolArguments, .text = "{}"});
  }
  const Lines lines = read_from(calls, "1-998");
  EXPECT_EQ(lines, (Lines{"1-999 call 499 c499 | f", "1-1000 arguments 499 {}"}));
  EXPECT_GT(calls.trimmed(), 900u);
}

TEST(EventLogEntries, ALogThatTrimsReadsLikeTheEndOfOneThatDoesNot) {
  constexpr std::size_t kCap = 8 << 10;
  EventLog whole(64 << 20);
  EventLog trimmed(kCap);
  std::mt19937 random(20240229);
  for (int i = 0; i < 20'000; ++i) {
    const auto kind = static_cast<EntryKind>(random() % 6);
    const std::string text(random() % 9, static_cast<char>('a' + i % 26));
    const std::string aux(random() % 3 == 0 ? random() % 30 : 0, static_cast<char>('A' + i % 26));
    const Entry entry{.kind = kind, .text = text, .aux = aux};
    whole.append(entry);
    trimmed.append(entry);
    if (random() % 1000 == 0) {
      whole.append_typed("t", "{}");
      trimmed.append_typed("t", "{}");
    }
    ASSERT_LE(trimmed.retained_bytes(), kCap);
    ASSERT_LE(trimmed.memory_bytes(), 6 * kCap);
  }
  const std::string cursor = to_string(EventId{1, trimmed.trimmed()});
  EXPECT_EQ(read_from(trimmed, cursor), read_from(whole, cursor));
  EXPECT_GT(read_from(trimmed, cursor).size(), 200u);
}

TEST(EventLogEntries, LogsThatShareEntriesPartAtTheFirstChange) {
  LogBytes total = 0;
  EventLog source(kRoomy, &total);
  source.set_head({.model = "m-1"});
  source.append({.kind = EntryKind::kReasoning, .text = "think"});
  source.append({.text = "Hi", .aux = "[]"});
  const std::int64_t one = total;
  EventLog copy(kRoomy, &total);
  copy.take_tokens(source);
  EXPECT_EQ(total, one);
  EXPECT_EQ(read_from(copy), read_from(source));
  EXPECT_EQ(copy.head().model, "m-1");
  copy.append({.kind = EntryKind::kRefusal, .text = "no"});
  EXPECT_EQ(read_from(source, "1-1"), (Lines{"1-2 text Hi | []"}));
  EXPECT_EQ(read_from(copy, "1-1"), (Lines{"1-2 text Hi | []", "1-3 refusal no"}));
  EXPECT_GT(total, one);
}

TEST(EventLogHead, TheFirstOneBeforeTheFirstEntryCounts) {
  EventLog log(kRoomy);
  EXPECT_EQ(log.head().model, "");
  EXPECT_TRUE(log.set_head({.model = "m-1", .system_fingerprint = "fp", .service_tier = "flex"}));
  EXPECT_FALSE(log.set_head({.model = "m-2"}));
  EXPECT_EQ(log.head().model, "m-1");
  EXPECT_EQ(log.head().system_fingerprint, "fp");
  EXPECT_EQ(log.head().service_tier, "flex");
  log.begin_attempt();
  EXPECT_EQ(log.head().model, "") << "another answer";
  log.append("a");
  EXPECT_FALSE(log.set_head({.model = "m-3"})) << "readers may have rendered the entry without it";
  EXPECT_EQ(log.head().model, "");
}

TEST(EventLogHead, AnEndedLogAcceptsNone) {
  EventLog log(kRoomy);
  log.end({});
  EXPECT_FALSE(log.set_head({.model = "m"}));
}

}  // namespace
}  // namespace sluice
