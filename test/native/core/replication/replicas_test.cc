// Replicas: logs of other processes, followed for readers here.
#include "replicas_fixture.h"

namespace sluice {
namespace {

TEST_F(ReplicasTest, ReadsALogAndFollowsItByMessages) {
  append_all("abcdefghij");  // three pages
  replicate();
  EXPECT_EQ(text(), "abcdefghij");
  EXPECT_EQ(b_.rec.loaded, (std::vector<JobHandle>{kReplica}));
  b_.hub.hold(kReplica);
  const std::size_t reads = redis_.count("XRANGE");
  append("k");
  EXPECT_EQ(text(), "abcdefghijk");
  append_all("lm");
  a_.finish(kJob, complete());
  settle();
  EXPECT_EQ(b_.state(kReplica), a_.state(kJob));
  EXPECT_EQ(redis_.count("XRANGE"), reads);
  EXPECT_FALSE(b_.port.is_subscribed("{t}:j:j")) << "an ended log has no more entries";
  EXPECT_EQ(b_.rec.ended, a_.rec.ended);
}

TEST_F(ReplicasTest, KnowsTheFirstTokenOfALogWithoutItsBeginning) {
  HubOptions options;
  options.log_bytes_max = 64;
  Process owner(redis_, clock_, "c", options);
  processes_.push_back(&owner);
  redis_.admit("k", "c");
  owner.create(kJob, "k");
  owner.hub.set_head(kJob, {.model = "m-1"}, clock_.now);
  pass(100 * kMillisecond);
  for (int i = 0; i < 40; ++i) {
    owner.append(kJob, "0123456789");
    pass(20 * kMillisecond);
  }
  ASSERT_GT(redis_.log("k").front().first, (EventId{1, 1})) << "its first entry is there";
  b_.replicate(kReplica, "k");
  settle();
  const std::string state = b_.state(kReplica);
  EXPECT_NE(state.find(R"("ttft_ms":100.000)"), std::string::npos) << state;
  std::string head;
  for (const auto& [id, fields] : redis_.log("k")) {
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      if (fields[i] == "h") head = fields[i + 1];
    }
  }
  EXPECT_NE(head.find("m-1"), std::string::npos) << head;
}

TEST_F(ReplicasTest, ReadsTheLogAfterAHole) {
  replicate();
  b_.hub.hold(kReplica);
  append_all("ab");
  redis_.drops_messages = true;
  append_all("cd");
  redis_.drops_messages = false;
  EXPECT_EQ(text(), "ab");
  append("e");
  EXPECT_EQ(text(), "abcde");
  EXPECT_EQ(catch_ups(CatchUp::kHole), 1u);
}

TEST_F(ReplicasTest, ALostMessageCostsASecondAtMost) {
  replicate();
  b_.attach(7, kReplica);
  append_all("ab");
  redis_.drops_messages = true;
  append("c");
  a_.finish(kJob, complete());
  pass(kSecond - 21 * kMillisecond);
  EXPECT_EQ(read(7), "1-1 token, 1-2 token");
  pass(kMillisecond);
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 1-3 token, 1-4 job_complete");
  EXPECT_EQ(b_.rec.closed[7], "finished");
}

TEST_F(ReplicasTest, ReadsTheLogAfterAReconnection) {
  replicate();
  b_.hub.hold(kReplica);
  append("a");
  b_.port.disconnect();
  append_all("bc");
  b_.port.connect();
  settle();
  EXPECT_EQ(text(), "abc");
  append("d");
  EXPECT_EQ(text(), "abcd");
}

TEST_F(ReplicasTest, FollowsALaterAttempt) {
  append_all("ab");
  replicate();
  b_.attach(7, kReplica);
  a_.hub.retry(kJob, R"({"upstream":"u"})", clock_.now);
  append_all("xyz");
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 2-0 job_retry, 2-1 token, 2-2 token, 2-3 token");
  EXPECT_NE(b_.rec.frames[7].find(R"({"job_id":"j","attempt":2,"upstream":"u"})"),
            std::string::npos);
  EXPECT_EQ(text(), "xyz");
}

TEST_F(ReplicasTest, ALogWithoutItsBeginningIsAGap) {
  append_all("ab");
  replicate();
  b_.attach(7, kReplica);
  b_.port.disconnect();
  append_all("cdefgh");
  auto& stream = redis_.streams["{t}:log:j"];
  std::erase_if(stream, [](const auto& each) { return each.first < EventId{1, 6}; });
  b_.port.connect();
  settle();
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, gap, 1-6 token, 1-7 token, 1-8 token");
  EXPECT_NE(b_.rec.frames[7].find(R"("requested":"1-2","earliest":"1-6","latest":"1-8")"),
            std::string::npos);
  // A replica that begins now has the same gap.
  b_.replicate(10, "j");
  b_.attach(8, 10);
  EXPECT_EQ(read(8), "gap, 1-6 token, 1-7 token, 1-8 token");
}

TEST_F(ReplicasTest, KeepsTheIndexesOfCallsThatItsLogHasLost) {
  for (const char* name : {"f", "g", "h"}) {
    a_.hub.append(kJob, {.kind = EntryKind::kToolCall, .text = "c", .aux = name}, clock_.now);
    settle();
    pass(20 * kMillisecond);
  }
  a_.hub.append(kJob, {.kind = EntryKind::kToolArguments, .text = "{}"}, clock_.now);
  pass(20 * kMillisecond);
  auto& stream = redis_.streams["{t}:log:j"];
  std::erase_if(stream, [](const auto& each) { return each.first < EventId{1, 4}; });
  replicate();
  b_.attach(7, kReplica);
  EXPECT_NE(b_.rec.frames[7].find(R"({"job_id":"j","index":2,"arguments":"{}"})"),
            std::string::npos)
      << b_.rec.frames[7];
}

TEST_F(ReplicasTest, UnknownKindsOccupyTheirIds) {
  append("a");
  auto& stream = redis_.streams["{t}:log:j"];
  stream.push_back({{1, 3}, {"z", "later"}});
  stream.push_back({{1, 5}, {"t", "bc", "e", "1,1", "k", "q,t"}});
  stream.push_back({{1, 6}, {"y", "page", "d", R"({"n":1})"}});
  replicate();
  b_.attach(7, kReplica);
  EXPECT_EQ(read(7), "1-1 token, 1-5 token, 1-6 page");
  EXPECT_EQ(text(), "ac");
  EXPECT_EQ(b_.hub.latest(kReplica), (EventId{1, 6}));
}

TEST_F(ReplicasTest, AMalformedEntryEndsItWithACut) {
  append("a");
  replicate();
  b_.attach(7, kReplica);
  redis_.streams["{t}:log:j"].push_back({{1, 2}, {"t", "\xff"}});
  pass(2 * kSecond);
  EXPECT_EQ(b_.rec.closed[7], "unreachable");
  ASSERT_EQ(b_.broken.size(), 1u);
  EXPECT_EQ(b_.broken[0], "The entry 1-2 of its log is malformed.");
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica}));
  EXPECT_EQ(b_.replicas().size(), 0u);
}

TEST_F(ReplicasTest, AMalformedMessageMakesItReadTheLog) {
  append("a");
  replicate();
  b_.hub.hold(kReplica);
  for (const char* message :
       {"", "*1\r\n$3\r\n1-9\r\n", "*3\r\n$3\r\n1-2\r\n$1\r\nt\r\n$9\r\nx\r\n",
        "*3\r\n$3\r\n1-2\r\n$1\r\nt\r\n$1\r\n\xff\r\n"}) {
    b_.port.deliver("{t}:j:j", message);
    settle();
  }
  EXPECT_EQ(catch_ups(CatchUp::kHole), 4u);
  EXPECT_EQ(text(), "a");
  append_all("b");
  EXPECT_EQ(text(), "ab");
}

TEST_F(ReplicasTest, AnUnknownJobIsMissing) {
  b_.replicate(kReplica, "unknown");
  b_.attach(7, kReplica);
  EXPECT_EQ(b_.missing, (std::vector<JobHandle>{kReplica}));
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica}));
  EXPECT_EQ(b_.rec.closed[7], "purged");
}

TEST_F(ReplicasTest, WaitsOneLeaseForAJobThatVanishes) {
  append("a");
  replicate();
  b_.attach(7, kReplica);
  processes_ = {&b_};  // its owner is dead as well
  redis_.hashes.clear();
  redis_.streams.clear();
  pass(Process::kLease);
  EXPECT_TRUE(b_.missing.empty());
  pass(3 * kSecond);
  EXPECT_EQ(b_.missing, (std::vector<JobHandle>{kReplica}));
  EXPECT_EQ(b_.rec.closed[7], "unreachable");
}

TEST_F(ReplicasTest, AnEndedJobWhoseLogIsLostIsMissing) {
  append("a");
  a_.finish(kJob, complete());
  pass(kSecond);
  redis_.streams.clear();
  replicate();
  pass(2 * kSecond);
  EXPECT_EQ(b_.missing, (std::vector<JobHandle>{kReplica}));
}

TEST_F(ReplicasTest, ReadersOpenOnceTheLogHasBeenRead) {
  append_all("ab");
  a_.finish(kJob, complete());
  settle();
  b_.port.is_frozen = true;
  b_.replicate(kReplica, "j");
  b_.attach(7, kReplica);
  b_.attach(8, kReplica, "1-3");
  b_.attach(9, kReplica);
  b_.hub.detach(9, clock_.now);
  EXPECT_TRUE(b_.rec.opened.empty());
  b_.port.is_frozen = false;
  settle();
  EXPECT_EQ(b_.rec.opened, (std::map<SubscriberHandle, bool>{{7, false}, {8, true}}))
      << "the second reader is at the end";
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 1-3 job_complete");
}

TEST_F(ReplicasTest, IsDroppedWhenItCannotBeRead) {
  append("a");
  b_.port.is_frozen = true;
  b_.replicate(kReplica, "j");
  b_.attach(7, kReplica);
  b_.port.disconnect();
  EXPECT_EQ(b_.rec.closed[7], "unreachable");
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica}));
  b_.replicate(10, "j");  // without a connection
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica, 10}));
}

TEST_F(ReplicasTest, GoesFiveSecondsAfterItsLastReader) {
  append("a");
  replicate();
  pass(4 * kSecond);
  b_.attach(7, kReplica);
  pass(20 * kSecond);
  EXPECT_TRUE(b_.rec.purged.empty());
  b_.hub.hold(kReplica);
  b_.hub.detach(7, clock_.now);
  pass(20 * kSecond);
  EXPECT_TRUE(b_.rec.purged.empty());
  b_.hub.release(kReplica, clock_.now);
  pass(5 * kSecond - 1);
  EXPECT_TRUE(b_.rec.purged.empty());
  pass(1);
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica}));
  EXPECT_FALSE(b_.port.is_subscribed("{t}:j:j"));
}

TEST_F(ReplicasTest, StaysForTheRetentionOnceItHasEnded) {
  append("a");
  replicate();
  a_.finish(kJob, complete());
  pass(299 * kSecond);
  EXPECT_TRUE(b_.rec.purged.empty());
  pass(2 * kSecond);
  EXPECT_EQ(b_.rec.purged, (std::vector<JobHandle>{kReplica}));
}

TEST_F(ReplicasTest, ASlowReaderDoesNotDelayTheReplica) {
  replicate();
  b_.hub.attach(7, Subscriber::Mode::kFrames, false, {{kReplica, ""}}, clock_.now);
  for (int i = 0; i < 1000; ++i) a_.append(kJob, "x");
  pass(kSecond);
  EXPECT_FALSE(b_.rec.window.contains(kReplica));
  EXPECT_EQ(b_.hub.latest(kReplica), (EventId{1, 1000}));
  b_.attach(8, kReplica, "1-999");
  EXPECT_EQ(read(8), "1-1000 token");
  pass(10 * kSecond);
  EXPECT_EQ(b_.rec.closed[7], "stalled");
  EXPECT_FALSE(b_.rec.closed.contains(8));
}

TEST_F(ReplicasTest, TakesItsStartFromTheOwner) {
  redis_.field("j", "created_us") = "5000000";
  replicate();
  b_.hub.hold(kReplica);
  EXPECT_NE(b_.state(kReplica).find("\"status\":\"queued\""), std::string::npos);
  redis_.field("j", "status") = "running";
  redis_.field("j", "started_ms") = "5250";
  pass(500 * kMillisecond);
  b_.replicas().refresh(kReplica, 77);
  settle();
  EXPECT_EQ(b_.refreshed, (std::vector<std::uint64_t>{77}));
  EXPECT_NE(b_.state(kReplica).find("\"status\":\"running\""), std::string::npos);
  EXPECT_NE(b_.state(kReplica).find("\"queue_ms\":250.000"), std::string::npos);
}

TEST_F(ReplicasTest, ARefreshReadsEntriesWithoutMessages) {
  append("a");
  replicate();
  redis_.drops_messages = true;
  append_all("bcdefghi");
  EXPECT_EQ(text(), "a");
  b_.replicas().refresh(kReplica, 77);
  settle();
  EXPECT_EQ(text(), "abcdefghi");
  b_.port.disconnect();
  b_.replicas().refresh(kReplica, 78);
  b_.replicas().refresh(12345, 79);
  EXPECT_EQ(b_.refreshed, (std::vector<std::uint64_t>{77, 78, 79}));
}

// --- cursors ahead of the log

class AheadTest : public ReplicasTest {
 protected:
  void SetUp() override {
    ReplicasTest::SetUp();
    append_all("ab");
    replicate();
    a_.port.is_frozen = true;  // further entries stay with the owner
  }

  void thaw() {
    a_.port.is_frozen = false;
    settle();
    pass(20 * kMillisecond);
  }
};

TEST_F(AheadTest, WaitsUntilTheLogReachesIt) {
  append_all("cde");
  b_.attach(7, kReplica, "1-4");
  pass(3 * kSecond);
  EXPECT_EQ(read(7), "");
  EXPECT_FALSE(b_.rec.closed.contains(7));
  thaw();
  EXPECT_EQ(read(7), "1-5 token");
}

TEST_F(AheadTest, IsAGapOnceTheJobHasEndedBeforeIt) {
  b_.attach(7, kReplica, "1-4");
  a_.finish(kJob, complete());
  thaw();
  EXPECT_EQ(read(7), "gap, 1-1 token, 1-2 token, 1-3 job_complete");
  EXPECT_EQ(b_.rec.closed[7], "finished");
}

TEST_F(AheadTest, IsOverWhenItWasTheEnding) {
  a_.finish(kJob, complete());
  b_.attach(7, kReplica, "1-3");
  thaw();
  EXPECT_EQ(read(7), "");
  EXPECT_EQ(b_.rec.closed[7], "finished");
}

TEST_F(AheadTest, ContinuesWithALaterAttempt) {
  append_all("cd");
  b_.attach(7, kReplica, "1-4");
  a_.hub.retry(kJob, {}, clock_.now);
  append_all("xy");
  thaw();
  EXPECT_EQ(read(7), "2-0 job_retry, 2-1 token, 2-2 token");
}

TEST_F(AheadTest, WaitsForTheNextAttempt) {
  a_.hub.retry(kJob, {}, clock_.now);
  append_all("xy");
  b_.attach(7, kReplica, "2-1");
  b_.attach(8, kReplica, "3-1");
  EXPECT_EQ(read(8), "gap, 1-1 token, 1-2 token") << "no reader can have received that id";
  thaw();
  EXPECT_EQ(read(7), "2-2 token");
}

TEST_F(AheadTest, IsAGapAfterALeaseInWhichRedisAnswered) {
  b_.attach(7, kReplica, "1-4");
  pass(Process::kLease - 2 * kSecond);
  EXPECT_EQ(read(7), "");
  pass(4 * kSecond);
  EXPECT_EQ(read(7), "gap, 1-1 token, 1-2 token");
}

TEST_F(AheadTest, DoesNotCountTheTimeOfAnOutage) {
  b_.attach(7, kReplica, "1-4");
  pass(5 * kSecond);
  b_.port.disconnect();
  pass(60 * kSecond);
  b_.port.connect();
  pass(2 * kSecond);
  EXPECT_EQ(read(7), "");
  pass(5 * kSecond);
  EXPECT_EQ(read(7), "gap, 1-1 token, 1-2 token");
}

TEST_F(AheadTest, OnTheOwnerItIsAGapAtOnce) {
  a_.attach(7, kJob, "1-9");
  EXPECT_NE(a_.rec.frames[7].find("event: gap"), std::string::npos);
}

}  // namespace
}  // namespace sluice
