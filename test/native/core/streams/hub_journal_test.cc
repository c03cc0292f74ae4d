// The hub's journal: writes, endings that wait for it, failures, and restored jobs.
#include "core/streams/hub_fixture.h"
#include "core/streams/journal.h"

namespace sluice {
namespace {

class Journal final : public JobJournal {
 public:
  struct Batch {
    std::uint64_t number;
    std::vector<JobChange> changes;
  };

  void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override {
    batches.push_back({batch, std::move(changes)});
  }

  std::vector<Batch> batches;
};

class JobHubRecordTest : public JobHubTest {
 protected:
  JobHubRecordTest() { hub_.record_to(&journal_); }

  void create_recorded(JobHandle job) {
    JobOptions options;
    options.record = job + 1000;
    create(job, options);
    settle();
  }

  // The outcome of the last batch.
  void written(bool ok = true) {
    hub_.recorded(journal_.batches.back().number, ok, now_);
    settle();
  }

  [[nodiscard]] const JobChange& last() const { return journal_.batches.back().changes.back(); }

  static RestoredJob three_tokens() {
    RestoredJob job;
    job.tokens = {.first_seq = 1, .text = "abc", .ends = {1, 2, 3}};
    job.spans = {.started = kMillisecond, .first_token = 2 * kMillisecond, .ended = kNever};
    job.age = kSecond / 2;
    return job;
  }

  Journal journal_;
};

TEST_F(JobHubRecordTest, WritesNothingOfJobsWithoutARecord) {
  create(1);
  append(1, 3);
  hub_.finish(1, complete(), now_);
  pass(kSecond);
  EXPECT_TRUE(journal_.batches.empty());
  EXPECT_EQ(rec_.ended.size(), 1u);
}

TEST_F(JobHubRecordTest, WritesTheTokensOfAnIntervalTogether) {
  create_recorded(1);
  create_recorded(2);
  append(1, 3);
  pass(49 * kMillisecond);
  append(2, 2);
  EXPECT_TRUE(journal_.batches.empty());
  pass(kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  const std::vector<JobChange>& changes = journal_.batches[0].changes;
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].record, 1001u);
  EXPECT_EQ(changes[0].tokens.first_seq, 1u);
  EXPECT_EQ(changes[0].tokens.text, "ttt");
  EXPECT_EQ(changes[0].tokens.ends, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_TRUE(changes[0].moved);
  EXPECT_EQ(changes[0].spans.started, 0);
  EXPECT_EQ(changes[1].tokens.text, "tt");
}

TEST_F(JobHubRecordTest, WritesOneBatchAtATimeAndThenOnlyNewEntries) {
  create_recorded(1);
  append(1, 3);
  pass(50 * kMillisecond);
  append(1, 2);
  pass(kSecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  written();
  ASSERT_EQ(journal_.batches.size(), 2u);
  EXPECT_EQ(last().tokens.first_seq, 4u);
  EXPECT_EQ(last().tokens.text, "tt");
  EXPECT_FALSE(last().moved);
  written();
  pass(kSecond);
  EXPECT_EQ(journal_.batches.size(), 2u);
}

TEST_F(JobHubRecordTest, WritesAJobAnewFromItsBeginningOnceTheBatchInFlightIsOver) {
  create_recorded(1);
  append(1, 3);
  pass(50 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  hub_.write_anew(1, now_);
  pass(kSecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  for (const bool ok : {true, false, true}) {
    written(ok);
    pass(kSecond);
    EXPECT_EQ(last().tokens.first_seq, 1u);
    EXPECT_EQ(last().tokens.text, "ttt");
    if (!ok) hub_.write_anew(1, now_);
  }
  hub_.finish(1, complete(), now_);
  written();
  written();
  const std::size_t batches = journal_.batches.size();
  EXPECT_EQ(rec_.ended.size(), 1u);
  hub_.write_anew(1, now_);
  pass(kSecond);
  ASSERT_EQ(journal_.batches.size(), batches + 1);
  EXPECT_EQ(last().tokens.text, "ttt");
  EXPECT_TRUE(last().terminal.has_value());
  written();
  EXPECT_EQ(rec_.ended.size(), 1u);
  pass(kSecond);
  EXPECT_EQ(journal_.batches.size(), batches + 1);
}

TEST_F(JobHubRecordTest, WritesTypedEventsAndCopiesLikeTokens) {
  create_recorded(1);
  JobOptions options;
  options.copy_to = 1;
  options.copy_members = R"("node":"a")";
  create(2, options);
  hub_.append_typed(1, "node_started", R"({"node":"a"})", now_);
  pass(50 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  EXPECT_EQ(last().tokens.text, R"({"node":"a"})");
  EXPECT_EQ(last().tokens.aux, "node_started");
  written();
  append(2, 1);
  pass(50 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 2u);
  EXPECT_EQ(last().tokens.text, R"({"node":"a","token":"t"})");
  EXPECT_EQ(last().tokens.aux, "token");
}

TEST_F(JobHubRecordTest, ReportsAnEndingAfterItIsWritten) {
  create_recorded(1);
  attach(7, 1);
  append(1, 1);
  hub_.finish(1, complete(), now_);
  settle();
  read_all(7);
  EXPECT_TRUE(hub_.holds(1));
  EXPECT_TRUE(rec_.ended.empty());
  EXPECT_EQ(rec_.frames[7].find("job_complete"), std::string::npos);
  // At once, with the remaining text.
  ASSERT_EQ(journal_.batches.size(), 1u);
  EXPECT_EQ(last().tokens.text, "t");
  ASSERT_TRUE(last().terminal.has_value());
  EXPECT_EQ(last().terminal->reason, "stop");
  EXPECT_EQ(last().spans.ended, 0);

  written();
  read_all(7);
  EXPECT_FALSE(hub_.holds(1));
  EXPECT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.frames[7].find("id: 1-2\nevent: job_complete"), std::string::npos);
  EXPECT_EQ(rec_.closed[7], "finished");
}

TEST_F(JobHubRecordTest, CountsTheFirstEndingWhileItIsWritten) {
  create_recorded(1);
  hub_.finish(1, complete(), now_);
  settle();
  Terminal cancelled;
  cancelled.kind = Terminal::Kind::kCancelled;
  hub_.finish(1, cancelled, now_);
  hub_.append(1, "late", now_);
  written();
  ASSERT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.ended[0].find("\"status\":\"completed\""), std::string::npos);
  EXPECT_NE(rec_.ended[0].find("\"tokens\":0"), std::string::npos);
}

TEST_F(JobHubRecordTest, RepeatsAFailedBatchWithLaterEntries) {
  create_recorded(1);
  append(1, 3);
  pass(50 * kMillisecond);
  append(1, 1);
  written(false);
  ASSERT_EQ(journal_.batches.size(), 1u);
  pass(249 * kMillisecond);
  EXPECT_EQ(journal_.batches.size(), 1u);
  pass(kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 2u);
  EXPECT_EQ(last().tokens.first_seq, 1u);
  EXPECT_EQ(last().tokens.text, "tttt");
  EXPECT_TRUE(last().moved);
}

TEST_F(JobHubRecordTest, ReportsAnEndingThatCannotBeWrittenAndKeepsTrying) {
  create_recorded(1);
  hub_.finish(1, complete(), now_);
  settle();
  const Nanos until = now_ + 5 * kSecond;
  while (now_ < until - 250 * kMillisecond) {
    written(false);
    pass(250 * kMillisecond);
  }
  EXPECT_TRUE(rec_.ended.empty());
  written(false);
  pass(250 * kMillisecond);
  EXPECT_EQ(rec_.ended.size(), 1u);
  const std::size_t before = journal_.batches.size();
  written(false);
  pass(250 * kMillisecond);
  EXPECT_EQ(journal_.batches.size(), before + 1);
  EXPECT_TRUE(last().terminal.has_value());
  written();
  pass(kSecond);
  EXPECT_EQ(journal_.batches.size(), before + 1);
  EXPECT_EQ(rec_.ended.size(), 1u);
}

TEST_F(JobHubRecordTest, LeavesNothingOfEarlierAttempts) {
  create_recorded(1);
  append(1, 3);
  pass(50 * kMillisecond);
  written();
  hub_.retry(1, {}, now_);
  append(1, 1);
  pass(50 * kMillisecond);
  EXPECT_TRUE(last().trims);
  EXPECT_TRUE(last().moved);
  EXPECT_EQ(last().attempt, 2u);
  EXPECT_EQ(last().tokens.first_seq, 1u);
  EXPECT_EQ(last().tokens.text, "t");
}

TEST_F(JobHubRecordTest, DropsPurgedJobsUntilThePurgeIsWritten) {
  create_recorded(1);
  append(1, 1);
  hub_.purge(1, now_);
  pass(50 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  ASSERT_EQ(journal_.batches[0].changes.size(), 1u);
  EXPECT_TRUE(last().dropped);
  EXPECT_EQ(last().record, 1001u);
  written(false);
  pass(250 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 2u);
  EXPECT_TRUE(last().dropped);
  written();
  pass(kSecond);
  EXPECT_EQ(journal_.batches.size(), 2u);
}

TEST_F(JobHubRecordTest, WritesTheTokensOfFollowersAsTheirOwn) {
  create(1);
  append(1, 2);
  create_recorded(2);
  ASSERT_TRUE(hub_.follow(2, 1, now_));
  append(1, 1);
  pass(50 * kMillisecond);
  ASSERT_EQ(journal_.batches.size(), 1u);
  EXPECT_EQ(last().record, 1002u);
  EXPECT_EQ(last().tokens.text, "ttt");
  hub_.finish(1, complete(), now_);
  settle();
  EXPECT_EQ(rec_.ended.size(), 1u);  // the source's
  written();
  EXPECT_TRUE(last().terminal.has_value());
  written();
  EXPECT_EQ(rec_.ended.size(), 2u);
}

TEST_F(JobHubRecordTest, HidesNothingOfAJobNoLongerWritten) {
  create_recorded(1);
  hub_.finish(1, complete(), now_);
  settle();
  EXPECT_TRUE(rec_.ended.empty());
  hub_.unrecord(1, now_);
  EXPECT_EQ(rec_.ended.size(), 1u);
}

TEST_F(JobHubRecordTest, PutsAFinishedJobBackForTheRestOfItsTime) {
  RestoredJob job = three_tokens();
  job.attempt = 2;
  job.spans.ended = 10 * kMillisecond;
  job.terminal = complete();
  job.terminal->usage = Usage{7, 8};
  job.retention_left = 4 * kSecond;
  JobOptions options;
  options.job_id = "job_1";
  options.record = 1001;
  hub_.restore(1, options, job, now_);
  attach(7, 1, "2-1");
  read_all(7);
  EXPECT_EQ(
      rec_.frames[7],
      "retry: 2000\nid: 2-2\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"b\"}\n\n"
      "id: 2-3\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"c\"}\n\n"
      "id: 2-4\nevent: job_complete\ndata: {\"job_id\":\"job_1\",\"reason\":\"stop\","
      "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":8,\"total_tokens\":15},\"metrics\":{"
      "\"queue_ms\":1.000,\"ttft_ms\":2.000,\"duration_ms\":10.000,\"tokens\":3,"
      "\"tokens_per_second\":333.333}}\n\n");
  attach(8, 1, "2-4");
  EXPECT_TRUE(rec_.opened[8]);  // nothing follows
  pass(4 * kSecond - 1);
  EXPECT_TRUE(rec_.purged.empty());
  EXPECT_TRUE(journal_.batches.empty());
  pass(kSecond);
  EXPECT_EQ(rec_.purged, (std::vector<JobHandle>{1}));
  EXPECT_TRUE(last().dropped);
}

TEST_F(JobHubRecordTest, PutsAnUnfinishedJobBackToBeEnded) {
  JobOptions options;
  options.job_id = "job_1";
  options.record = 1001;
  hub_.restore(1, options, three_tokens(), now_);
  Terminal terminal;
  terminal.kind = Terminal::Kind::kError;
  terminal.error_code = "server_restarted";
  hub_.finish(1, terminal, now_);
  settle();
  // Its tokens are already written.
  EXPECT_TRUE(last().tokens.ends.empty());
  EXPECT_EQ(last().terminal->error_code, "server_restarted");
  EXPECT_EQ(last().spans.ended, kSecond / 2);
  written();
  attach(7, 1, "1-2");
  read_all(7);
  EXPECT_NE(rec_.frames[7].find("id: 1-3\nevent: token"), std::string::npos);
  EXPECT_NE(rec_.frames[7].find("id: 1-4294967300\nevent: job_error"), std::string::npos);
  EXPECT_EQ(rec_.closed[7], "finished");
  EXPECT_EQ(rec_.frames[7].find("gap"), std::string::npos);

  // A reader with more than was written receives a gap, and the stored events.
  attach(8, 1, "1-4");
  read_all(8);
  EXPECT_NE(rec_.frames[8].find("event: gap"), std::string::npos);
  EXPECT_NE(rec_.frames[8].find("id: 1-1\nevent: token"), std::string::npos);
  attach(9, 1, "1-4294967300");
  EXPECT_TRUE(rec_.opened[9]);  // nothing follows
}

TEST(EventLogCopy, ReturnsLaterEntriesAndStartsAfterTrimmedOnes) {
  EventLog log(20);  // two tokens of six bytes and their offsets
  for (const char* token : {"first.", "second", "third."}) log.append(token);
  ASSERT_EQ(log.trimmed(), 1u);
  TokenRun run = log.copy_from(1);
  EXPECT_EQ(run.first_seq, 2u);
  EXPECT_EQ(run.text, "secondthird.");
  EXPECT_EQ(run.ends, (std::vector<std::uint32_t>{6, 12}));
  EXPECT_EQ(run.kinds, "");
  const TokenRun nothing = log.copy_from(4);
  EXPECT_EQ(nothing.first_seq, 4u);
  EXPECT_TRUE(nothing.ends.empty());

  EventLog copy(1000);
  copy.restore(3, std::move(run));
  EXPECT_EQ(text_of(copy), "secondthird.");
  EXPECT_EQ(copy.trimmed(), 1u);
  EXPECT_EQ(copy.latest(), (EventId{3, 3}));
  EXPECT_EQ(copy.read({3, 3}).text, "third.");
  EXPECT_TRUE(copy.resolve("3-0").gap);
}

// The events of a log from its beginning: id, kind, call, text, aux data.
std::vector<std::string> events_of(const EventLog& log) {
  std::vector<std::string> lines;
  for (auto [position, gap] = log.resolve(""); true; ++position.next_seq) {
    const EventLog::Event event = log.read(position);
    if (event.kind == EventLog::EventKind::kNone) return lines;
    lines.push_back(to_string(event.id) + " " + std::to_string(static_cast<int>(event.entry)) +
                    " " + std::to_string(event.call) + " " + std::string(event.text) + "|" +
                    std::string(event.aux));
  }
}

void append_two_calls(EventLog& log) {
  log.append({.kind = EntryKind::kReasoning, .text = "think"});
  log.append({.text = "Hi", .aux = "[1]"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{}"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_b", .aux = "g"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{\"x\":"});
  log.append({.kind = EntryKind::kToolArguments, .text = "1}"});
  log.append({.kind = EntryKind::kExtra, .text = "{\"a\":1}"});
  log.append("plain");
}

TEST(EventLogCopy, KeepsKindsAuxDataAndCallsFromAnyPlace) {
  EventLog log(1000);
  append_two_calls(log);
  const std::vector<std::string> all = events_of(log);
  for (std::uint64_t seq = 1; seq <= 10; ++seq) {
    EventLog copy(1000);
    copy.restore(1, log.copy_from(seq), {.model = "m-1"});
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(seq - 1);
    EXPECT_EQ(events_of(copy), (std::vector<std::string>(from, all.end()))) << seq;
    EXPECT_EQ(copy.head().model, "m-1");
    EXPECT_EQ(copy.is_plain(), seq >= 9) << seq;
    copy.append({.kind = EntryKind::kToolCall, .text = "call_c", .aux = "h"});
    // The count of calls is not known from text alone.
    EXPECT_EQ(copy.read({1, 10}).call, seq <= 8 ? 2u : 0u) << seq;
  }
}

TEST_F(JobHubRecordTest, WritesTheHeadWithTheAttemptThatHasIt) {
  create_recorded(1);
  settle();
  hub_.set_head(1, {.model = "m-1"}, now_);
  pass(kSecond);
  EXPECT_TRUE(last().moved);
  EXPECT_EQ(last().head.model, "m-1");
  written();
  hub_.append(1, "a", now_);
  pass(kSecond);
  EXPECT_FALSE(last().moved) << "it is written already";
  written();
  hub_.retry(1, R"({"upstream":"b"})", now_);
  pass(kSecond);
  EXPECT_TRUE(last().moved);
  EXPECT_EQ(last().head.model, "") << "another attempt";
  EXPECT_EQ(last().retry_members, R"({"upstream":"b"})");
  written();
  hub_.set_head(1, {.model = "m-2"}, now_);
  pass(kSecond);
  EXPECT_EQ(last().head.model, "m-2");
}

TEST_F(JobHubRecordTest, KeepsTheMembersOfTheFirstAttempt) {
  JobOptions options;
  options.job_id = "job_1";
  options.record = 9;
  hub_.create(1, options, now_);
  hub_.start(1, R"({"upstream":"a"})", now_);
  append(1, 1);
  pass(kSecond);
  EXPECT_TRUE(last().moved);
  EXPECT_EQ(last().retry_members, R"({"upstream":"a"})");
}

TEST_F(JobHubRecordTest, RestoresTheMembersOfARetry) {
  RestoredJob job = three_tokens();
  job.attempt = 2;
  job.retry_members = R"({"upstream":"b"})";
  JobOptions options;
  options.job_id = "job_1";
  hub_.restore(1, options, job, now_);
  attach(7, 1);
  EXPECT_NE(rec_.frames[7].find(R"({"job_id":"job_1","attempt":2,"upstream":"b"})"),
            std::string::npos)
      << rec_.frames[7];
}

TEST_F(JobHubRecordTest, RestoresEveryKindForEveryReader) {
  JobOptions options;
  options.job_id = "job_1";
  hub_.create(1, options, now_);
  hub_.start(1, {}, now_);
  hub_.set_head(1, {.model = "m-1"}, now_);
  EventLog log(1 << 20);
  append_two_calls(log);
  for (std::uint64_t seq = 1; seq <= log.entry_count(); ++seq) {
    const EventLog::Event event = log.read({1, seq});
    hub_.append(1, {.kind = event.entry, .text = event.text, .aux = event.aux}, now_);
  }
  Terminal terminal = complete();
  terminal.raw_reason = "end_turn";
  terminal.usage = Usage{.prompt_tokens = 1, .raw = R"({"prompt_tokens":1,"x":1.0})"};
  hub_.finish(1, terminal, now_);
  attach(7, 1);
  read_all(7);
  const std::string state = hub_.state(1, true, now_, true);

  RestoredJob job;
  job.tokens = log.copy_from(1);
  job.head = {.model = "m-1"};
  job.spans = {.started = 0, .first_token = 0, .ended = 0};
  job.terminal = terminal;
  job.retention_left = kSecond;
  hub_.restore(2, options, job, now_);
  attach(8, 2);
  read_all(8);
  EXPECT_EQ(rec_.frames[8], rec_.frames[7]);
  EXPECT_EQ(hub_.state(2, true, now_, true), state);
}

}  // namespace
}  // namespace sluice
