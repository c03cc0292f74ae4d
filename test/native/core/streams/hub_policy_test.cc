// The rules between a hub's jobs and their readers: backpressure, disconnects,
// endings and purges of jobs.
#include "core/streams/hub_fixture.h"

namespace sluice {
namespace {

TEST_F(JobHubTest, AReaderThatIsSlowButAliveIsNotCut) {
  create(1);
  attach(9, 1);
  for (int i = 0; i < 6; ++i) {
    pass(9 * kSecond);
    hub_.progress(9, now_);
  }
  EXPECT_EQ(rec_.closed.count(9), 0u);
  pass(10 * kSecond);
  EXPECT_EQ(rec_.closed[9], "stalled");
}

TEST_F(JobHubTest, TheProducerMayBeCapacityAheadOfTheSlowestReader) {
  create(1);
  append(1, 100);
  EXPECT_EQ(rec_.window[1], 356u) << "nobody reads: the window moves along";
  attach(9, 1, "", Subscriber::Mode::kEvents);
  EXPECT_EQ(rec_.window[1], 256u) << "a reader from the start has 100 to catch up";
  attach(10, 1, "1-100", Subscriber::Mode::kEvents);
  EXPECT_EQ(rec_.window[1], 256u) << "the slowest counts";
  append(1, 156);
  read_all(10);
  EXPECT_EQ(rec_.window[1], 256u);
  read_all(9);
  EXPECT_EQ(rec_.window[1], 512u);
  append(1, 256);
  hub_.detach(9, now_);
  read_all(10);
  EXPECT_EQ(rec_.window[1], 768u) << "the slow one is gone";
}

TEST_F(JobHubTest, ACatchingUpReaderReleasesAWaitingProducer) {
  create(1);
  attach(9, 1, "", Subscriber::Mode::kEvents);
  append(1, 256);
  const std::uint64_t before = rec_.window[1];
  EXPECT_LE(before, 256u);
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_GT(rec_.window[1], 256u);
}

TEST_F(JobHubTest, AReaderWithoutProgressIsCutAndOtherReadersContinue) {
  create(1);
  attach(9, 1);
  attach(10, 1, "", Subscriber::Mode::kEvents);
  append(1, 256);
  read_all(10);
  EXPECT_EQ(rec_.window.count(1), 0u) << "what was granted at first stands: reader 9 holds it";
  pass(10 * kSecond - 1);
  EXPECT_EQ(rec_.closed.count(9), 0u);
  pass(1);
  EXPECT_EQ(rec_.closed[9], "stalled");
  EXPECT_EQ(rec_.window[1], 512u);
  attach(11, 1, "1-3");
  EXPECT_FALSE(rec_.opened.at(11)) << "it may resume";
}

TEST_F(JobHubTest, ABatchTakenLateStillHasItsFullStallTime) {
  create(1);
  attach(9, 1);
  hub_.acknowledge(9, now_);
  pass(7 * kSecond);
  append(1, 1);
  pass(10 * kSecond - 1);
  EXPECT_EQ(rec_.closed.count(9), 0u);
  pass(1);
  EXPECT_EQ(rec_.closed[9], "stalled");
}

TEST_F(JobHubTest, SilenceIsBrokenByAComment) {
  create(1);
  attach(9, 1);
  read_all(9);
  pass(15 * kSecond - 1);
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n");
  pass(1);
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n: keep-alive\n");
  read_all(9);
  pass(15 * kSecond);
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n: keep-alive\n: keep-alive\n");
}

TEST_F(JobHubTest, HeartbeatsMayBeMoreFrequentThanTheStallLimit) {
  Recorder recorder;
  HubOptions options;
  options.heartbeat = 30 * kMillisecond;
  JobHub hub(options, recorder);
  hub.create(1, {.job_id = "job_1"}, 0);
  hub.attach(9, Subscriber::Mode::kFrames, false, {{1, ""}}, 0);
  hub.acknowledge(9, 0);
  hub.advance(0);
  for (Nanos now = 0; now <= 90 * kMillisecond; now += kMillisecond) {
    hub.acknowledge(9, now);
    while (hub.next_deadline() <= now) hub.advance(now);
  }
  EXPECT_EQ(recorder.frames[9], "retry: 2000\n: keep-alive\n: keep-alive\n");
}

TEST_F(JobHubTest, AHeartbeatObeysTheWriteTimeoutToo) {
  create(1, {.wall_time_max = kNever});
  attach(9, 1);
  read_all(9);
  pass(15 * kSecond);
  pass(10 * kSecond);
  EXPECT_EQ(rec_.closed[9], "stalled");
}

TEST_F(JobHubTest, TheJobIsCancelledWhenItsLastReaderHasBeenGoneForTheGrace) {
  create(1);
  attach(9, 1);
  attach(10, 1);
  hub_.detach(9, now_);
  read_all(10);
  pass(kSecond);
  hub_.detach(10, now_);
  pass(30 * kSecond - 1);
  EXPECT_TRUE(rec_.ended.empty());
  pass(1);
  ASSERT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.ended[0].find("\"status\":\"cancelled\""), std::string::npos);
  EXPECT_NE(rec_.ended[0].find("\"reason\":\"client_disconnected\""), std::string::npos);
}

TEST_F(JobHubTest, AReaderThatReturnsInTimeSavesTheJob) {
  create(1, {.wall_time_max = kNever});
  attach(9, 1);
  hub_.detach(9, now_);
  pass(29 * kSecond);
  attach(10, 1);
  read_all(10);
  for (int i = 0; i < 12; ++i) {
    pass(10 * kSecond);
    read_all(10);
  }
  EXPECT_TRUE(rec_.ended.empty());
}

TEST_F(JobHubTest, AReaderThatDoesNotSubscribeCounts) {
  create(1, {.disconnect_grace = 2 * kSecond, .wall_time_max = kNever});
  hub_.hold(1);
  hub_.hold(1);
  attach(9, 1);
  hub_.release(1, now_);
  hub_.detach(9, now_);
  pass(60 * kSecond);
  EXPECT_TRUE(rec_.ended.empty()) << "one is left";
  hub_.release(1, now_);
  pass(2 * kSecond - 1);
  EXPECT_TRUE(rec_.ended.empty());
  pass(1);
  ASSERT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.ended[0].find("\"reason\":\"client_disconnected\""), std::string::npos);
}

TEST_F(JobHubTest, AJobThatNeverHadAReaderContinues) {
  create(1, {.wall_time_max = kNever});
  pass(3600 * kSecond);
  EXPECT_TRUE(rec_.ended.empty());
}

TEST_F(JobHubTest, OnDisconnectContinueKeepsTheJobRunning) {
  create(1, {.cancel_on_disconnect = false, .wall_time_max = kNever});
  attach(9, 1);
  hub_.detach(9, now_);
  pass(3600 * kSecond);
  EXPECT_TRUE(rec_.ended.empty());
}

TEST_F(JobHubTest, WallTimeEndsAJobAsAnError) {
  create(1, {.wall_time_max = 5 * kSecond});
  pass(5 * kSecond - 1);
  EXPECT_TRUE(rec_.ended.empty());
  pass(1);
  ASSERT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.ended[0].find("wall_time_exceeded"), std::string::npos);
}

TEST_F(JobHubTest, TheFirstEndingWinsWhateverRaces) {
  create(1);
  attach(9, 1, "", Subscriber::Mode::kEvents);
  Terminal cancelled;
  cancelled.kind = Terminal::Kind::kCancelled;
  cancelled.reason = "client_request";
  hub_.finish(1, cancelled, now_);
  hub_.finish(1, complete(), now_);
  hub_.append(1, "late", now_);
  settle();
  EXPECT_EQ(rec_.ended.size(), 1u);
  ASSERT_EQ(rec_.events[9].size(), 3u);
  EXPECT_EQ(rec_.events[9][1], "job_cancelled");
  EXPECT_EQ(rec_.order, (std::vector<std::string>{"ended 1", "batch 9"}));
}

TEST_F(JobHubTest, AnEndedJobIsPurgedAfterItsRetention) {
  create(1);
  hub_.finish(1, complete(), now_);
  pass(300 * kSecond - 1);
  EXPECT_FALSE(hub_.state(1, true, now_).empty());
  pass(1);
  EXPECT_EQ(rec_.purged, (std::vector<JobHandle>{1}));
  EXPECT_TRUE(hub_.state(1, true, now_).empty());
  attach(9, 1);
  EXPECT_EQ(rec_.closed[9], "purged");
}

TEST_F(JobHubTest, PurgeCutsItsReadersButNotAFanInWithOtherJobs) {
  create(1);
  create(2);
  attach(9, 1);
  hub_.attach(10, Subscriber::Mode::kEvents, true, {{1, ""}, {2, ""}}, now_);
  hub_.purge(1, now_);
  EXPECT_EQ(rec_.closed[9], "purged");
  EXPECT_EQ(rec_.closed.count(10), 0u);
  append(2, 1);
  EXPECT_EQ(rec_.events[10].size(), 3u);
}

TEST_F(JobHubTest, AnOnlookerHoldsNothingBackAndKeepsNothingAlive) {
  create(1, {.disconnect_grace = 2 * kSecond, .wall_time_max = kNever});
  attach(9, 1);
  attach(10, 1, "", Subscriber::Mode::kObserve);
  append(1, 200);
  EXPECT_LT(rec_.events[10].size(), 600u) << "its first batch is under way";
  // The reader has a batch in flight, too, and has consumed nothing.
  EXPECT_EQ(hub_.readers(1), "[{\"lag\":200,\"busy\":true}]");
  read_all(9);
  EXPECT_EQ(rec_.window[1], 456u) << "the onlooker lags, and does not count";
  EXPECT_EQ(hub_.readers(1), "[{\"lag\":0,\"busy\":false}]");
  hub_.hold(1);
  EXPECT_EQ(hub_.readers(1), "[{\"lag\":0,\"busy\":false},{\"lag\":null}]");
  hub_.release(1, now_);
  read_all(10);
  EXPECT_EQ(rec_.events[10].size(), 600u);
  EXPECT_EQ(rec_.events[10][1], "token");
  hub_.detach(9, now_);
  EXPECT_EQ(hub_.readers(1), "[]");
  // A further onlooker does not end the grace.
  attach(11, 1, "1-200", Subscriber::Mode::kObserve);
  pass(2 * kSecond);
  ASSERT_EQ(rec_.ended.size(), 1u);
  EXPECT_NE(rec_.ended[0].find("\"reason\":\"client_disconnected\""), std::string::npos);
  EXPECT_EQ(hub_.readers(7), "");
}

TEST_F(JobHubTest, AnOnlookerThatLeavesDoesNotCancelAJobWithoutReaders) {
  create(1, {.wall_time_max = kNever});
  attach(10, 1, "", Subscriber::Mode::kObserve);
  hub_.detach(10, now_);
  pass(3600 * kSecond);
  EXPECT_TRUE(rec_.ended.empty());
}

TEST_F(JobHubTest, CountsAppendedTokens) {
  create(1);
  create(2);
  create(3);
  ASSERT_TRUE(hub_.follow(3, 2, now_));
  append(1, 3);
  append(2, 4);
  EXPECT_EQ(hub_.entries_appended(), 7u) << "copies do not count";
  hub_.finish(1, complete(), now_);
  append(1, 1);
  EXPECT_EQ(hub_.entries_appended(), 7u);
}

}  // namespace
}  // namespace sluice
