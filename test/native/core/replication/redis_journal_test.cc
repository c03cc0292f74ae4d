// The journal in Redis: writes, and failures of Redis.
#include <algorithm>

#include "redis_journal_fixture.h"

namespace sluice {
namespace {

TEST_F(RedisJournalTest, WritesTheFirstTokenAtOnceAndLaterOnesAtItsPace) {
  begin();
  EXPECT_EQ(log(), "1-0={} 1-1=a");
  pass(kMillisecond);
  append("b");
  append("c");
  pass(8 * kMillisecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a");
  pass(kMillisecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-3=bc");
  EXPECT_EQ(field(2, "e"), "1,1");
  EXPECT_EQ(field(1, "e"), "-");
  pass(kSecond);
  append("d");
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-3=bc 1-4=d");
}

TEST_F(RedisJournalTest, WritesOneEntryForEachJobInOnePipeline) {
  redis_.admit("k", "a");
  create();
  a_.create(2, "k");
  for (int i = 0; i < 3; ++i) {
    a_.append(1, "x");
    a_.append(2, "y");
  }
  settle();
  EXPECT_EQ(log("j"), "1-0={} 1-3=xxx");
  EXPECT_EQ(log("k"), "1-0={} 1-3=yyy");
  EXPECT_EQ(redis_.count("XADD"), 2u);
}

TEST_F(RedisJournalTest, WritesKindsAndTheHeadWithTheFirstEntry) {
  create();
  a_.hub.set_head(1, {.model = "m-1"}, clock_.now);
  settle();
  EXPECT_EQ(log(), "1-0={}");
  a_.hub.append(1, {.kind = EntryKind::kReasoning, .text = "hm"}, clock_.now);
  a_.hub.append(1, {.text = "Hi", .aux = "[1]"}, clock_.now);
  a_.hub.append(1, {.kind = EntryKind::kToolCall, .text = "c_1", .aux = "fn"}, clock_.now);
  a_.hub.append(1, {.kind = EntryKind::kToolArguments, .text = "{}"}, clock_.now);
  settle();
  EXPECT_EQ(log(), "1-0={} 1-4=hmHic_1{}");
  EXPECT_EQ(field(1, "e"), "2,2,3,2");
  EXPECT_EQ(field(1, "k"), "r,t:3,c0:2,g0");
  EXPECT_EQ(field(1, "a"), "[1]fn");
  EXPECT_EQ(field(1, "h"), R"({"model":"m-1"})");
  EXPECT_EQ(field(1, "s"), R"({"started":0,"first_token":0})");
  pass(kSecond);
  append("b");
  EXPECT_EQ(field(2, "h"), "-");
  EXPECT_EQ(field(2, "k"), "-");
}

TEST_F(RedisJournalTest, PublishesExactlyTheAcceptedEntries) {
  create();
  b_.replicate(9, "j");
  const auto published = [this] { return redis_.count("PUBLISH"); };
  append("a");
  EXPECT_EQ(published(), 1u);
  redis_.error = "OOM command not allowed when used memory > 'maxmemory'.";
  pass(kSecond);
  append("b");
  EXPECT_EQ(published(), 1u);
  redis_.error.clear();
  pass(250 * kMillisecond);
  EXPECT_EQ(published(), 2u);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b");
  EXPECT_EQ(b_.state(9).find("\"text\":\"ab\"") == std::string::npos, false);
}

TEST_F(RedisJournalTest, TriesAgainAfterAnErrorOnceInTheDelay) {
  create();
  for (const char* error : {"OOM x", "READONLY x", "LOADING x", "MASTERDOWN x"}) {
    redis_.error = error;
    append("a");
    const std::size_t before = redis_.commands.size();
    pass(249 * kMillisecond);
    append("b");
    EXPECT_EQ(redis_.commands.size(), before) << error;
    pass(2 * kMillisecond);
    EXPECT_GT(redis_.commands.size(), before) << error;
    redis_.error.clear();
    pass(kSecond);
  }
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 8}));
}

TEST_F(RedisJournalTest, LooksUpBeforeItWritesAgainWhenAnAnswerWasLost) {
  begin();
  for (const std::size_t executed : {std::size_t{0}, std::size_t{1}}) {
    pass(kSecond);
    a_.port.is_frozen = true;
    append("b");
    a_.port.disconnect(executed);
    a_.port.is_frozen = false;
    a_.append(1, "c");
    pass(kSecond);
    const std::size_t before = redis_.commands.size();
    a_.port.connect();
    settle();
    pass(250 * kMillisecond);
    EXPECT_EQ(redis_.commands.at(before)[0], "HMGET") << executed;
  }
  const auto& entries = redis_.log("j");
  EXPECT_EQ(entries.back().first, (EventId{1, 5}));
  std::string text;
  for (std::size_t i = 1; i < entries.size(); ++i) text += field(i, "t");
  EXPECT_EQ(text, "abcbc");
}

TEST_F(RedisJournalTest, LeavesNoGapWhereTheHubCountsOnMoreThanTheLogHas) {
  begin();
  redis_.error = "OOM command not allowed";
  append("b");
  pass(kSecond);
  a_.hub.rewind(1, {1, 3}, clock_.now);
  redis_.error.clear();
  finish();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b 1-3=end");
}

TEST_F(RedisJournalTest, LooksUpEveryOpenJobAfterAReconnection) {
  redis_.admit("k", "a");
  create();
  a_.create(2, "k");
  a_.append(1, "x");
  a_.append(2, "y");
  settle();
  pass(kSecond);
  // The new master after a failover lacks the end.
  redis_.streams["{t}:log:k"].pop_back();
  reconnect();
  EXPECT_EQ(log("j"), "1-0={} 1-1=x");
  EXPECT_EQ(log("k"), "1-0={} 1-1=y");
}

TEST_F(RedisJournalTest, WritesALostEndingAgain) {
  begin();
  finish();
  ASSERT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  const auto ending = redis_.log("j").back();
  redis_.streams["{t}:log:j"].resize(1);
  redis_.field("j", "status") = "running";
  reconnect();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(redis_.log("j").back(), ending);
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  // Later than a minute after its ending nothing is looked up.
  pass(61 * kSecond);
  append("nothing");
  redis_.admit("k", "a");
  a_.create(2, "k");
  a_.append(2, "x");
  settle();
  a_.port.disconnect();
  const std::size_t before = redis_.count("XREVRANGE");
  a_.port.connect();
  settle();
  EXPECT_EQ(redis_.count("XREVRANGE"), before + 1);
}

TEST_F(RedisJournalTest, EndsByTheScriptAndReportsTheEndingAfterIt) {
  begin();
  a_.attach(7, 1);
  a_.port.is_frozen = true;
  a_.hub.append(1, "b", clock_.now);
  finish();
  EXPECT_TRUE(a_.hub.holds(1));
  EXPECT_TRUE(a_.rec.ended.empty());
  a_.port.is_frozen = false;
  settle();
  pass(10 * kMillisecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b 1-3=end");
  EXPECT_FALSE(a_.hub.holds(1));
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_EQ(redis_.field("j", "status"), "completed");
  // The event and the state equal the local ones, to the byte.
  const std::string x = field(3, "x");
  const std::string data = x.substr(x.find(",\"data\":") + 8);
  EXPECT_NE(a_.rec.frames[7].find("event: job_complete\ndata: " + data.substr(0, data.size() - 1) +
                                  "\n\n"),
            std::string::npos);
  EXPECT_NE(field(3, "f").find("{\"state\":" + a_.rec.ended[0] + ","), std::string::npos);
}

TEST_F(RedisJournalTest, FindsItsOwnEndingWhenTheAnswerWasLost) {
  begin();
  pass(kSecond);
  a_.finish(1, complete());
  a_.port.is_frozen = true;
  a_.settle();
  ASSERT_EQ(a_.port.waiting(), 1u);
  a_.port.disconnect(1);
  a_.port.is_frozen = false;
  ASSERT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  a_.port.connect();
  settle();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, ReportsAnEndingToLocalReadersAfterFiveSecondsWithoutRedis) {
  begin();
  a_.port.disconnect();
  a_.finish(1, complete());
  pass(5 * kSecond - kMillisecond);
  EXPECT_TRUE(a_.rec.ended.empty());
  pass(kMillisecond);
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_EQ(log(), "1-0={} 1-1=a");
  a_.port.connect();
  settle();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(a_.rec.ended.size(), 1u);
}

TEST_F(RedisJournalTest, ReportsAnEndingOnceEnoughReplicasHaveIt) {
  a_.port.replicas = 2;
  redis_.replicas = 1;
  begin();
  finish();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_TRUE(a_.rec.ended.empty());
  redis_.replicas = 2;
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end") << "written once";
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  const auto wait = std::ranges::find_if(
      redis_.commands, [](const redis::Command& command) { return command.front() == "WAIT"; });
  ASSERT_NE(wait, redis_.commands.end());
  EXPECT_EQ(*wait, (redis::Command{"WAIT", "2", "100"}));
}

TEST_F(RedisJournalTest, WaitsForNoReplicasByDefault) {
  create();
  finish();
  pass(kSecond);
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_EQ(redis_.count("WAIT"), 0u);
}

TEST_F(RedisJournalTest, BeginsAnAttemptWithItsMembers) {
  begin();
  a_.hub.retry(1, R"({"upstream":"b"})", clock_.now);
  a_.hub.append(1, "x", clock_.now);
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.log("j").back().first, (EventId{2, 1}));
  EXPECT_EQ(log().find("2-0={\"upstream\":\"b\"} 2-1=x"), 0u) << log() << ": the rest is trimmed";
}

TEST_F(RedisJournalTest, StepsDownForAJobOfAnotherOwner) {
  begin();
  a_.attach(7, 1);
  redis_.field("j", "owner") = "b";
  redis_.streams["{t}:log:j"].push_back({{2, 0}, {"r", "{}"}});
  pass(kSecond);
  append("late");
  EXPECT_EQ(log(), "1-0={} 1-1=a 2-0={}");
  EXPECT_EQ(a_.rec.fenced, (std::map<JobHandle, bool>{{1, false}}));
  EXPECT_EQ(a_.rec.closed[7], "fenced");
  EXPECT_FALSE(a_.hub.is_open(1));
  EXPECT_TRUE(a_.rec.ended.empty()) << "nothing is settled";
}

TEST_F(RedisJournalTest, StepsDownWhenAnotherHasEndedTheJob) {
  begin();
  pass(kSecond);
  // With an id beyond all ids that this process may still write.
  redis_.field("j", "owner") = "b";
  redis_.field("j", "status") = "cancelled";
  const EventId far{1, 2 + (std::uint64_t{1} << 32)};
  redis_.streams["{t}:log:j"].push_back({far, {"x", "{}", "f", "{}"}});
  a_.hub.append(1, "late", clock_.now);
  finish();
  pass(kSecond);
  EXPECT_EQ(redis_.log("j").back().first, far);
  EXPECT_EQ(a_.rec.fenced, (std::map<JobHandle, bool>{{1, false}}));
  EXPECT_TRUE(a_.rec.ended.empty());
}

TEST_F(RedisJournalTest, ReportsAConflictingEnding) {
  begin();
  a_.port.disconnect();
  a_.finish(1, complete());
  pass(6 * kSecond);
  ASSERT_EQ(a_.rec.ended.size(), 1u);
  redis_.field("j", "owner") = "b";
  a_.port.connect();
  settle();
  pass(kSecond);
  EXPECT_EQ(a_.rec.fenced, (std::map<JobHandle, bool>{{1, true}}));
  EXPECT_EQ(log(), "1-0={} 1-1=a");
}

TEST_F(RedisJournalTest, FencesIdleJobsAfterAReconnection) {
  begin();
  redis_.field("j", "owner") = "b";
  pass(kSecond);
  EXPECT_TRUE(a_.rec.fenced.empty());
  reconnect();
  EXPECT_EQ(a_.rec.fenced.size(), 1u);
}

TEST_F(RedisJournalTest, KeepsItsJobsUnderAnotherName) {
  begin();
  a_.port.rename("a2");
  pass(kSecond);
  append("b");  // still in the old name
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b");
  redis_.field("j", "owner") = "a2";
  finish();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b 1-3=end");
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, KnowsEveryNameThatTheProcessHasHad) {
  begin();
  a_.port.rename("a2");
  a_.port.rename("a3");
  redis_.field("j", "owner") = "a2";
  reconnect();
  append("b");
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b");
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, WritesALogAnewThatIsGone) {
  create();
  for (const char* token : {"a", "b", "c"}) {
    append(token);
    pass(20 * kMillisecond);
  }
  redis_.streams.erase("{t}:log:j");
  append("d");
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-4=abcd");
  EXPECT_EQ(a_.lost, (std::vector<JobHandle>{1}));
  // It lives as long as the job.
  const auto expire = std::find_if(redis_.commands.begin(), redis_.commands.end(),
                                   [](const auto& command) { return command[0] == "PEXPIRE"; });
  ASSERT_NE(expire, redis_.commands.end());
  EXPECT_EQ(*expire, (redis::Command{"PEXPIRE", "{t}:log:j", "1234"}));
  append("e");
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-4=abcd 1-5=e");
  redis_.streams.erase("{t}:log:j");
  append("f");
  pass(kSecond);
  EXPECT_EQ(a_.lost.size(), 2u) << "another loss";
}

TEST_F(RedisJournalTest, WaitsForAJobThatIsGoneAndThenWritesItsLogAnew) {
  begin();
  const auto job = redis_.hashes["{t}:job:j"];
  redis_.hashes.clear();
  redis_.streams.clear();
  pass(kSecond);
  append("b");
  pass(3 * kSecond);
  EXPECT_EQ(a_.lost, (std::vector<JobHandle>{1})) << "reported once";
  EXPECT_TRUE(redis_.streams.empty());
  redis_.hashes["{t}:job:j"] = job;
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-2=ab");
  finish();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-2=ab 1-3=end");
}

TEST_F(RedisJournalTest, ForgetsJobsNoLongerWritten) {
  begin();
  a_.hub.unrecord(1, clock_.now);
  redis_.hashes.clear();
  pass(kSecond);
  a_.port.disconnect();
  a_.port.connect();
  pass(kSecond);
  EXPECT_TRUE(a_.lost.empty());
  EXPECT_EQ(redis_.count("HMGET"), 0u);
}

TEST_F(RedisJournalTest, DoesNotRestoreAJobErasedElsewhere) {
  begin();
  finish();
  redis_.hashes.clear();
  redis_.streams.clear();
  pass(kSecond);
  a_.port.disconnect();
  a_.port.connect();
  pass(kSecond);
  EXPECT_TRUE(a_.lost.empty());
  EXPECT_TRUE(redis_.streams.empty());
  EXPECT_EQ(redis_.count("HMGET"), 1u);
}

TEST_F(RedisJournalTest, WritesAnIdleJobAnewThatRedisHasLost) {
  begin();
  pass(kSecond);
  lose("queued");
  pass(kSecond);
  EXPECT_TRUE(redis_.streams.empty()) << "nothing tells it of the loss";
  a_.hub.write_anew(1, clock_.now);
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a");
  append("b");
  finish();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b 1-3=end");
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, WritesAnEndedJobAnewForTheRestOfItsRetention) {
  // The journal looks up ended jobs during a minute; the hub keeps them for five.
  for (const Nanos age : {Nanos{0}, 200 * kSecond}) {
    redis_.admit("j", "a");
    begin();
    finish();
    pass(kSecond);
    ASSERT_EQ(log(), "1-0={} 1-1=a 1-2=end");
    const auto ending = redis_.log("j").back();
    pass(age);
    lose("running");
    a_.hub.write_anew(1, clock_.now);
    pass(kSecond);
    EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
    EXPECT_EQ(redis_.log("j").back(), ending);
    EXPECT_EQ(redis_.field("j", "status"), "completed");
    const auto finish =
        std::find_if(redis_.commands.rbegin(), redis_.commands.rend(),
                     [](const redis::Command& command) { return command[0] == "EVALSHA"; });
    EXPECT_EQ(finish->at(4 + 10), std::to_string((299 * kSecond - age) / kMillisecond + 1));
    a_.hub.purge(1, clock_.now);
    pass(kSecond);
  }
  EXPECT_EQ(a_.rec.ended.size(), 2u) << "once for each";
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, WritesNothingTwiceThatRedisStillHas) {
  begin();
  pass(kSecond);
  const auto write_anew = [&] {
    const std::size_t entries = redis_.count("XADD") + redis_.count("EVALSHA");
    const std::size_t look_ups = redis_.count("XREVRANGE");
    a_.hub.write_anew(1, clock_.now);
    pass(kSecond);
    EXPECT_EQ(redis_.count("XADD") + redis_.count("EVALSHA"), entries);
    EXPECT_GT(redis_.count("XREVRANGE"), look_ups);
  };
  write_anew();
  finish();
  pass(kSecond);
  write_anew();
  pass(100 * kSecond);
  write_anew();
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_TRUE(a_.rec.fenced.empty());
}

TEST_F(RedisJournalTest, WaitsForAnEndedJobThatIsToBeWrittenAgainAndIsGone) {
  begin();
  finish();
  pass(kSecond);
  const auto job = redis_.hashes["{t}:job:j"];
  redis_.hashes.clear();
  redis_.streams.clear();
  a_.hub.write_anew(1, clock_.now);
  pass(kSecond);
  EXPECT_TRUE(redis_.streams.empty());
  redis_.hashes["{t}:job:j"] = job;
  redis_.field("j", "status") = "running";
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
}

TEST_F(RedisJournalTest, WritesALostJobAnewWhoseEndingWasToldWithoutRedis) {
  begin();
  a_.port.disconnect();
  a_.finish(1, complete());
  pass(6 * kSecond);
  ASSERT_EQ(a_.rec.ended.size(), 1u);
  redis_.hashes.clear();
  redis_.streams.clear();
  a_.port.connect();
  pass(kSecond);
  EXPECT_EQ(a_.lost, (std::vector<JobHandle>{1}));
  redis_.hashes["{t}:job:j"] = {{"owner", "a"}, {"attempt", "1"}, {"status", "running"}};
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(a_.rec.ended.size(), 1u);
}

TEST_F(RedisJournalTest, TrimsAsTheLogDoes) {
  JobOptions options;
  options.job_id = "j";
  HubOptions small;
  small.log_bytes_max = 60;
  Process small_process(redis_, clock_, "a", small);
  processes_.push_back(&small_process);
  small_process.create(1, "j");
  for (int i = 0; i < 40; ++i) {
    small_process.append(1, "0123456789");
    settle();
    pass(20 * kMillisecond);
  }
  EXPECT_LE(redis_.log("j").size(), 9u) << "four entries, and steps of four";
  EXPECT_GE(redis_.log("j").size(), 4u);
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 40}));
  small_process.kill();
  processes_.pop_back();
}

TEST_F(RedisJournalTest, WritesABacklogInEntriesOfALimitedSizeOneAfterTheOther) {
  begin();
  a_.port.disconnect();
  const std::string text(1000, 'x');
  for (int i = 0; i < 200; ++i) a_.append(1, text);
  for (int i = 0; i < 3000; ++i) a_.append(1, "y");
  pass(kSecond);
  a_.port.connect();
  pass(kSecond);
  const auto& entries = redis_.log("j");
  ASSERT_EQ(entries.back().first, (EventId{1, 3201}));
  EXPECT_GE(entries.size(), 7u);
  std::string all;
  for (std::size_t i = 1; i < entries.size(); ++i) {
    EXPECT_LE(field(i, "t").size(), EntryWriter::kBytesMax);
    all += field(i, "t");
  }
  EXPECT_EQ(all.size(), 1u + 200 * 1000 + 3000);
}

TEST_F(RedisJournalTest, EndsAChoiceByTheJobItBelongsTo) {
  redis_.streams["{t}:log:j.1"] = {{{1, 0}, {"r", "{}"}}};
  a_.create(2, "j.1");
  a_.append(2, "x");
  a_.finish(2, complete());
  settle();
  pass(kSecond);
  EXPECT_EQ(log("j.1"), "1-0={} 1-1=x 1-2=end");
  EXPECT_EQ(redis_.field("j", "status"), "queued");
  EXPECT_EQ(redis_.commands.back()[0], "EVALSHA");
  // Role and settlement are the last arguments.
  EXPECT_EQ(redis_.commands.back().end()[-2], "choice");
  EXPECT_EQ(redis_.commands.back().back(), "");
}

TEST_F(RedisJournalTest, CostsNothingWhileRedisIsFrozen) {
  begin();
  pass(kSecond);
  a_.port.is_frozen = true;
  for (int i = 0; i < 1000; ++i) {
    append("b");
    pass(kMillisecond);
  }
  EXPECT_LE(a_.port.waiting(), 1u);
  EXPECT_EQ(a_.hub.unrecorded_tokens(), 1000u);
  a_.port.is_frozen = false;
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 1001}));
  EXPECT_EQ(a_.hub.unrecorded_tokens(), 0u);
}

}  // namespace
}  // namespace sluice
