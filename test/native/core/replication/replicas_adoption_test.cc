// Adoption: a process takes over the job of which it has a replica.
#include "replicas_fixture.h"

namespace sluice {
namespace {

class AdoptionTest : public ReplicasTest {
 protected:
  void SetUp() override {
    ReplicasTest::SetUp();
    append_all("ab");
    replicate();
    b_.attach(7, kReplica);
    redis_.drops_messages = true;
    append_all("c");
    processes_ = {&b_};  // the owner is dead
  }

  void take(std::uint64_t attempt) {
    redis_.field("j", "owner") = "b";
    if (attempt == 1) return;
    redis_.streams["{t}:log:j"].push_back({{attempt, 0}, {"r", "{}"}});
  }

  static Terminal lost() {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = "producer_lost";
    return terminal;
  }
};

TEST_F(AdoptionTest, EndsTheAttemptWithAnIdBeyondTheReachOfTheOwner) {
  take(1);
  b_.adopt(kReplica, "j", 1, std::uint64_t{1} << 32);
  EXPECT_TRUE(b_.adopted[kReplica]);
  b_.finish(kReplica, lost());
  settle();
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 1-3 token, 1-4294967300 job_error")
      << "also the entry without a message";
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 4294967300}));
  EXPECT_EQ(redis_.field("j", "status"), "failed");
  // The former owner resumes: its writes are refused, and it gives the job up.
  a_.append(kJob, "late");
  processes_ = {&a_, &b_};
  pass(kSecond);
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 4294967300}));
  EXPECT_TRUE(a_.rec.fenced.contains(kJob));
}

TEST_F(AdoptionTest, EndsTheAttemptAfterLateEntriesOfItsOwner) {
  take(1);
  b_.adopt(kReplica, "j", 1, std::uint64_t{1} << 32);
  // The former owner resumes before the ending is written.
  a_.append(kJob, "d");
  a_.settle();
  ASSERT_EQ(redis_.log("j").back().first, (EventId{1, 4}));
  b_.finish(kReplica, lost());
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.log("j").back().first, (EventId{1, 4294967300}));
  EXPECT_EQ(redis_.field("j", "status"), "failed");
  EXPECT_EQ(b_.rec.closed[7], "finished");
  EXPECT_TRUE(b_.rec.fenced.empty());
  b_.replicate(10, "j");
  b_.attach(8, 10);
  EXPECT_EQ(read(8), "1-1 token, 1-2 token, 1-3 token, 1-4 token, 1-4294967300 job_error");
}

TEST_F(AdoptionTest, RunsTheJobAgainInTheNextAttempt) {
  take(2);
  b_.adopt(kReplica, "j", 2);
  b_.hub.start(kReplica, {}, clock_.now);
  b_.append(kReplica, "x");
  settle();
  b_.finish(kReplica, complete());
  pass(kSecond);
  // The text of an earlier attempt is discarded, so its end need not be read.
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 2-0 job_retry, 2-1 token, 2-2 job_complete");
  EXPECT_EQ(redis_.log("j").back().first, (EventId{2, 2}));
  EXPECT_EQ(redis_.field("j", "status"), "completed");
  EXPECT_EQ(b_.rec.ended.size(), 1u);
}

TEST_F(AdoptionTest, TimesTheAttemptFromItsStartInThisProcess) {
  redis_.field("j", "started_ms") = "0";
  take(2);
  b_.adopt(kReplica, "j", 2);
  EXPECT_NE(b_.state(kReplica).find(R"("status":"queued")"), std::string::npos);
  const Nanos created = clock_.now;
  pass(3 * kSecond);
  b_.hub.start(kReplica, R"({"upstream":"u"})", clock_.now);
  pass(100 * kMillisecond);
  b_.append(kReplica, "x");
  settle();
  const std::string state = b_.state(kReplica);
  const auto ms = [&](std::string_view name) {
    const std::size_t at = state.find(std::string("\"").append(name).append("\":"));
    return at == std::string::npos ? -1.0 : std::stod(state.substr(at + name.size() + 3));
  };
  EXPECT_GE(ms("queue_ms"), 3000.0) << state;
  EXPECT_EQ(ms("ttft_ms") - ms("queue_ms"), 100.0) << state;
  EXPECT_GE(clock_.now - created, 3 * kSecond);
  // Other processes read the beginning that the takeover has written.
  EXPECT_EQ(b_.rec.frames[7].find("upstream"), std::string::npos) << b_.rec.frames[7];
}

TEST_F(AdoptionTest, CommandsWaitForTheAdoption) {
  take(2);
  b_.port.is_frozen = true;
  b_.adopt(kReplica, "j", 2);
  b_.append(kReplica, "x");
  b_.finish(kReplica, complete());
  settle();
  EXPECT_TRUE(b_.hub.is_open(kReplica));
  b_.port.is_frozen = false;
  settle();
  pass(kSecond);
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 2-0 job_retry, 2-1 token, 2-2 job_complete");
}

TEST_F(AdoptionTest, BeginsAnAttemptThatTheLogLacks) {
  take(1);
  b_.adopt(kReplica, "j", 2);
  b_.append(kReplica, "x");
  settle();
  EXPECT_EQ(redis_.log("j").back().first, (EventId{2, 1}));
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 2-0 job_retry, 2-1 token");
}

TEST_F(AdoptionTest, IsRefusedWhenAnotherProcessWasFaster) {
  take(3);
  b_.adopt(kReplica, "j", 2);
  EXPECT_FALSE(b_.adopted.at(kReplica));
  b_.append(kReplica, "x");
  settle();
  EXPECT_EQ(redis_.log("j").back().first, (EventId{3, 0}));
  EXPECT_TRUE(b_.hub.is_open_replica(kReplica)) << "it remains a replica";
}

TEST_F(AdoptionTest, IsRefusedWhenTheJobHasEnded) {
  processes_ = {&a_, &b_};
  a_.finish(kJob, complete());
  settle();
  b_.adopt(kReplica, "j", 1);
  EXPECT_FALSE(b_.adopted.at(kReplica));
  pass(2 * kSecond);
  EXPECT_EQ(read(7), "1-1 token, 1-2 token, 1-3 token, 1-4 job_complete");
}

TEST_F(AdoptionTest, WaitsForTheNextConnection) {
  take(2);
  b_.port.disconnect();
  b_.adopt(kReplica, "j", 2);
  EXPECT_TRUE(b_.adopted.empty());
  b_.port.connect();
  settle();
  EXPECT_TRUE(b_.adopted[kReplica]);
}

TEST_F(AdoptionTest, GrantsTheProducerAWindow) {
  take(1);
  b_.adopt(kReplica, "j", 1);
  EXPECT_TRUE(b_.hub.writable(kReplica));
  // Less the entries that the reader has not acknowledged.
  EXPECT_GE(b_.rec.window[kReplica], 255U) << "a waiting producer is notified";
  for (int i = 0; i < 256; ++i) b_.append(kReplica, "x");
  EXPECT_FALSE(b_.hub.writable(kReplica)) << "counted from the adoption";
}

}  // namespace
}  // namespace sluice
