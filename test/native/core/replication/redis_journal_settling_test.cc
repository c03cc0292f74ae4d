// The journal in Redis: jobs with a settlement in their ending.
#include <algorithm>

#include "redis_journal_fixture.h"

namespace sluice {
namespace {

class SettlingJobTest : public RedisJournalTest {
 protected:
  void SetUp() override {
    RedisJournalTest::SetUp();
    a_.create(1, "j", {.settles = true});
    append("a");
  }

  void settle_job(const std::string& settlement) {
    a_.hub.settle(1, settlement, clock_.now);
    settle();
  }

  using Texts = std::vector<std::string>;
};

TEST_F(SettlingJobTest, WritesItsEndingOnceItsSettlementIsKnown) {
  a_.append(1, "b");
  a_.finish(1, complete());
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b") << "its tokens wait for nothing";
  ASSERT_EQ(a_.rec.ending.size(), 1u);
  EXPECT_EQ(a_.rec.ending[0].first, 1u);
  EXPECT_TRUE(a_.rec.ended.empty());
  EXPECT_TRUE(a_.hub.holds(1));
  settle_job("{\"quota\":\"7\"}");
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=b 1-3=end");
  EXPECT_EQ(redis_.settlements, (Texts{"{\"quota\":\"7\"}"}));
  ASSERT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_EQ(a_.rec.ending[0].second, a_.rec.ended[0]) << "the state is that of the ending";
  const auto at = [this](const char* name) {
    return std::find(a_.rec.order.begin(), a_.rec.order.end(), name);
  };
  EXPECT_LT(at("ending 1"), at("ended 1"));
}

TEST_F(SettlingJobTest, HasTheAnswerOnRequest) {
  redis_.admit("k", "a");
  a_.create(2, "k", {.settles = true, .settles_answer = true});
  a_.append(2, "whole text");
  a_.finish(2, complete());
  a_.finish(1, complete());
  ASSERT_EQ(a_.rec.ending.size(), 2u);
  EXPECT_NE(a_.rec.ending[0].second.find("\"text\":\"whole text\""), std::string::npos);
  EXPECT_EQ(a_.rec.ending[1].second.find("\"text\":"), std::string::npos);
}

TEST_F(SettlingJobTest, CarriesTheItemsOfAnAnswerThatIsMoreThanText) {
  redis_.admit("k", "a");
  a_.create(2, "k", {.settles = true, .settles_answer = true});
  a_.append(2, "text");
  a_.hub.append(2, {.kind = EntryKind::kToolCall, .text = "c_1", .aux = "fn"}, clock_.now);
  a_.finish(2, complete());
  redis_.admit("l", "a");
  a_.create(3, "l", {.settles = true, .settles_answer = true});
  a_.append(3, "text");
  a_.finish(3, complete());
  ASSERT_EQ(a_.rec.ending.size(), 2u);
  EXPECT_NE(a_.rec.ending[0].second.find("\"items\":["), std::string::npos);
  EXPECT_EQ(a_.rec.ending[1].second.find("\"items\":"), std::string::npos);
}

TEST_F(SettlingJobTest, CountsTheFirstSettlementAlone) {
  settle_job("before its ending");
  finish();
  EXPECT_TRUE(redis_.settlements.empty());
  a_.hub.settle(1, "first", clock_.now);
  settle_job("second");
  EXPECT_EQ(redis_.settlements, Texts{"first"});
}

TEST_F(SettlingJobTest, KeepsItsSettlementAcrossAReconnection) {
  finish();
  a_.port.disconnect();
  settle_job("s");
  EXPECT_TRUE(redis_.settlements.empty());
  a_.port.connect();
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.settlements, Texts{"s"});
  EXPECT_EQ(a_.rec.ending.size(), 1u);
  // The new master has lost the ending: it is written again.
  redis_.streams["{t}:log:j"].pop_back();
  redis_.field("j", "status") = "running";
  reconnect();
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(redis_.settlements, (Texts{"s", "s"}));
  EXPECT_EQ(a_.rec.ending.size(), 1u);
}

TEST_F(SettlingJobTest, FindsItsSettledEndingWhenTheAnswerWasLost) {
  finish();
  a_.port.is_frozen = true;
  a_.hub.settle(1, "s", clock_.now);
  a_.settle();
  ASSERT_EQ(a_.port.waiting(), 1u);
  a_.port.disconnect(1);
  a_.port.is_frozen = false;
  a_.port.connect();
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.settlements, Texts{"s"}) << "not applied twice";
  EXPECT_EQ(a_.rec.ended.size(), 1u);
}

TEST_F(SettlingJobTest, IsReportedHereAfterFiveSecondsWithoutSettlementAndWrittenLater) {
  a_.finish(1, complete());
  pass(5 * kSecond);
  EXPECT_EQ(a_.rec.ended.size(), 1u);
  EXPECT_EQ(log(), "1-0={} 1-1=a");
  settle_job("s");
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 1-2=end");
  EXPECT_EQ(redis_.settlements, Texts{"s"});
  EXPECT_EQ(a_.rec.ended.size(), 1u);
}

TEST_F(SettlingJobTest, ForgetsTheSettlementOfAJobThatAnotherHas) {
  finish();
  redis_.field("j", "owner") = "b";
  redis_.streams["{t}:log:j"].push_back({{2, 0}, {"r", "{}"}});
  settle_job("s");
  pass(kSecond);
  EXPECT_EQ(a_.rec.fenced, (std::map<JobHandle, bool>{{1, false}}));
  settle_job("again");
  pass(kSecond);
  EXPECT_EQ(log(), "1-0={} 1-1=a 2-0={}");
  EXPECT_TRUE(redis_.settlements.empty());
}

TEST_F(SettlingJobTest, IsNotAtRestWhileItsSettlementIsAwaited) {
  pass(kSecond);
  EXPECT_TRUE(a_.hub.records_rest());
  a_.finish(1, complete());
  pass(kSecond);
  EXPECT_FALSE(a_.hub.records_rest());
  settle_job("s");
  EXPECT_TRUE(a_.hub.records_rest());
  // It does not wait for a purged job, or for one no longer written.
  redis_.admit("k", "a");
  redis_.admit("l", "a");
  a_.create(2, "k", {.settles = true});
  a_.create(3, "l", {.settles = true});
  a_.finish(2, complete());
  a_.finish(3, complete());
  pass(kSecond);
  a_.hub.fence(2, clock_.now);
  EXPECT_FALSE(a_.hub.records_rest());
  a_.hub.unrecord(3, clock_.now);
  pass(kSecond);
  EXPECT_TRUE(a_.hub.records_rest());
}

TEST_F(SettlingJobTest, WaitsForNothingWithoutARecord) {
  a_.hub.unrecord(1, clock_.now);
  finish();
  EXPECT_TRUE(a_.rec.ending.empty());
  EXPECT_EQ(a_.rec.ended.size(), 1u);
}

TEST_F(SettlingJobTest, SettlesAJobThatItHasTakenOver) {
  b_.replicate(9, "j");
  redis_.field("j", "owner") = "b";
  b_.adopt(9, "j", 1, 0, {.settles = true});
  ASSERT_TRUE(b_.adopted[9]);
  b_.finish(9, complete());
  settle();
  ASSERT_EQ(b_.rec.ending.size(), 1u);
  EXPECT_EQ(b_.rec.ending[0].first, 9u);
  b_.hub.settle(9, "heir", clock_.now);
  settle();
  pass(kSecond);
  EXPECT_EQ(redis_.settlements, Texts{"heir"});
}

}  // namespace
}  // namespace sluice
