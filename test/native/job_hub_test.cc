// The hub under a hand-moved clock: what readers get, when the producer must wait, how jobs end.
#include "core/job_hub.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace sluice {
namespace {

struct Recorder final : HubObserver {
  std::map<JobHandle, std::uint64_t> window;
  std::vector<std::string> ended;
  std::vector<JobHandle> purged;
  std::map<ChannelHandle, std::string> frames;
  std::map<ChannelHandle, std::vector<std::string>> events;
  std::map<ChannelHandle, std::string> closed;
  std::map<ChannelHandle, bool> opened;
  std::vector<std::string> order;

  void on_window(JobHandle job, std::uint64_t tokens) override { window[job] = tokens; }
  void on_ended(JobHandle job, std::string state) override {
    order.push_back("ended " + std::to_string(job));
    ended.push_back(std::move(state));
  }
  void on_purged(JobHandle job) override { purged.push_back(job); }
  void on_channel_open(ChannelHandle channel, bool finished) override {
    opened[channel] = finished;
  }
  void on_batch(ChannelHandle channel, Channel::Batch batch) override {
    order.push_back("batch " + std::to_string(channel));
    frames[channel] += batch.frames;
    auto& all = events[channel];
    all.insert(all.end(), batch.events.begin(), batch.events.end());
  }
  void on_channel_end(ChannelHandle channel, std::string_view reason) override {
    closed[channel] = reason;
  }
};

class JobHubTest : public testing::Test {
 protected:
  void create(JobHandle job, JobOptions options = {}) {
    options.job_id = "job_" + std::to_string(job);
    hub_.create(job, options, now_);
    hub_.start(job, now_);
  }

  void attach(ChannelHandle channel, JobHandle job, const std::string& cursor = "",
              Channel::Mode mode = Channel::Mode::kFrames) {
    hub_.attach(channel, mode, false, {{job, cursor}}, now_);
    // The head of the response has left.
    if (mode == Channel::Mode::kFrames) hub_.acknowledge(channel, now_);
    settle();
  }

  void settle() {
    while (hub_.next_deadline() <= now_) hub_.advance(now_);
  }

  // Moves the clock, stopping at every deadline on the way.
  void pass(Nanos span) {
    const Nanos until = now_ + span;
    while (hub_.next_deadline() <= until) {
      now_ = std::max(now_, hub_.next_deadline());
      hub_.advance(now_);
    }
    now_ = until;
  }

  void append(JobHandle job, int count) {
    for (int i = 0; i < count; ++i) hub_.append(job, "t", now_);
    settle();
  }

  // Acknowledges until the channel has nothing more to say.
  void read_all(ChannelHandle channel) {
    std::size_t before = 0;
    do {
      before = rec_.frames[channel].size() + rec_.events[channel].size();
      hub_.acknowledge(channel, now_);
      settle();
    } while (rec_.frames[channel].size() + rec_.events[channel].size() != before);
  }

  static Terminal complete() {
    Terminal terminal;
    terminal.reason = "stop";
    return terminal;
  }

  Recorder rec_;
  JobHub hub_{HubOptions{}, rec_};
  Nanos now_ = kSecond;
};

TEST_F(JobHubTest, FramesAreThoseOfTheContract) {
  create(1);
  attach(9, 1);
  hub_.append(1, "Hello", now_);
  hub_.append(1, "\n\"world\"", now_);
  settle();
  read_all(9);
  now_ += 2 * kSecond;
  hub_.finish(1, complete(), now_);
  settle();
  read_all(9);
  EXPECT_EQ(rec_.frames[9],
            "retry: 2000\n\n"
            "id: 1-1\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"Hello\"}\n\n"
            "id: 1-2\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"\\n\\\"world\\\"\"}\n\n"
            "id: 1-3\nevent: job_complete\ndata: {\"job_id\":\"job_1\",\"reason\":\"stop\","
            "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":2},"
            "\"metrics\":{\"queue_ms\":0.000,\"ttft_ms\":0.000,\"duration_ms\":2000.000,"
            "\"tokens\":2,\"tokens_per_second\":1.000}}\n\n");
  EXPECT_EQ(rec_.closed[9], "finished");
  EXPECT_EQ(hub_.channel_count(), 0u);
}

TEST_F(JobHubTest, AFramesChannelIsHeldUntilTheHeadOfItsResponseHasLeft) {
  create(1);
  append(1, 1);
  hub_.attach(9, Channel::Mode::kFrames, false, {{1, ""}}, now_);
  settle();
  EXPECT_EQ(rec_.opened.count(9), 1u);
  EXPECT_EQ(rec_.frames[9], "");
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_TRUE(rec_.frames[9].starts_with("retry: 2000\n\nid: 1-1\n"));
}

TEST_F(JobHubTest, AChannelIsFinishedWhenItsTerminalEventHasBeenTaken) {
  create(1);
  attach(9, 1);
  hub_.finish(1, complete(), now_);
  settle();
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_NE(rec_.frames[9].find("job_complete"), std::string::npos);
  EXPECT_EQ(rec_.closed.count(9), 0u);
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_EQ(rec_.closed[9], "finished");
}

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

TEST_F(JobHubTest, TokensThatArriveWhileTheReaderIsBusyLeaveTogether) {
  create(1);
  attach(9, 1, "", Channel::Mode::kEvents);
  append(1, 1);
  EXPECT_EQ(rec_.events[9].size(), 3u);
  append(1, 5);
  EXPECT_EQ(rec_.events[9].size(), 3u) << "the first batch is still under way";
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_EQ(rec_.events[9].size(), 18u);
}

TEST_F(JobHubTest, ResumeAtEveryEventLosesAndDoublesNothing) {
  create(1);
  append(1, 5);
  for (int cut = 0; cut <= 5; ++cut) {
    const auto channel = static_cast<ChannelHandle>(100 + cut);
    attach(channel, 1, "1-" + std::to_string(cut), Channel::Mode::kEvents);
    append(1, 1);  // live tokens arrive during the replay
    read_all(channel);
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < rec_.events[channel].size(); i += 3) {
      ids.push_back(rec_.events[channel][i]);
    }
    std::vector<std::string> expected;
    for (int seq = cut + 1; seq <= 6 + cut; ++seq) expected.push_back("1-" + std::to_string(seq));
    EXPECT_EQ(ids, expected) << "cut after " << cut;
    hub_.detach(channel, now_);
  }
}

TEST_F(JobHubTest, ACursorAtTheTerminalEventFinishesAtOnce) {
  create(1);
  append(1, 1);
  hub_.finish(1, complete(), now_);
  attach(9, 1, "1-2");
  EXPECT_TRUE(rec_.opened.at(9));
  EXPECT_EQ(rec_.frames[9], "");
  attach(10, 1, "1-1");
  EXPECT_FALSE(rec_.opened.at(10));
  EXPECT_NE(rec_.frames[10].find("job_complete"), std::string::npos);
}

TEST_F(JobHubTest, AnUnknownCursorGetsAGapAndThenEverything) {
  create(1);
  append(1, 2);
  attach(9, 1, "1-7\n<>", Channel::Mode::kEvents);
  read_all(9);
  ASSERT_EQ(rec_.events[9].size(), 9u);
  EXPECT_EQ(rec_.events[9][0], "");
  EXPECT_EQ(rec_.events[9][1], "gap");
  EXPECT_EQ(rec_.events[9][2],
            "{\"job_id\":\"job_1\",\"requested\":\"1-7\\n<>\",\"earliest\":\"1-1\","
            "\"latest\":\"1-2\"}");
  EXPECT_EQ(rec_.events[9][3], "1-1");
}

TEST_F(JobHubTest, TheProducerMayBeCapacityAheadOfTheSlowestReader) {
  create(1);
  append(1, 100);
  EXPECT_EQ(rec_.window[1], 356u) << "nobody reads: the window moves along";
  attach(9, 1, "", Channel::Mode::kEvents);
  EXPECT_EQ(rec_.window[1], 256u) << "a reader from the start has 100 to catch up";
  attach(10, 1, "1-100", Channel::Mode::kEvents);
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
  attach(9, 1, "", Channel::Mode::kEvents);
  append(1, 256);
  const std::uint64_t before = rec_.window[1];
  EXPECT_LE(before, 256u);
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_GT(rec_.window[1], 256u);
}

TEST_F(JobHubTest, AReaderWithoutProgressIsCutAndTheOthersGoOn) {
  create(1);
  attach(9, 1);
  attach(10, 1, "", Channel::Mode::kEvents);
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
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n\n");
  pass(1);
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n\n: keep-alive\n");
  read_all(9);
  pass(15 * kSecond);
  EXPECT_EQ(rec_.frames[9], "retry: 2000\n\n: keep-alive\n: keep-alive\n");
}

TEST_F(JobHubTest, HeartbeatsMayBeMoreFrequentThanTheStallLimit) {
  Recorder recorder;
  HubOptions options;
  options.heartbeat = 30 * kMillisecond;
  JobHub hub(options, recorder);
  hub.create(1, {.job_id = "job_1"}, 0);
  hub.attach(9, Channel::Mode::kFrames, false, {{1, ""}}, 0);
  hub.acknowledge(9, 0);
  hub.advance(0);
  for (Nanos now = 0; now <= 90 * kMillisecond; now += kMillisecond) {
    hub.acknowledge(9, now);
    while (hub.next_deadline() <= now) hub.advance(now);
  }
  EXPECT_EQ(recorder.frames[9], "retry: 2000\n\n: keep-alive\n: keep-alive\n");
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

TEST_F(JobHubTest, AReaderThatComesBackInTimeSavesTheJob) {
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

TEST_F(JobHubTest, AJobThatNobodyEverReadRunsOn) {
  create(1, {.wall_time_max = kNever});
  pass(3600 * kSecond);
  EXPECT_TRUE(rec_.ended.empty());
}

TEST_F(JobHubTest, OnDisconnectContinueLetsTheJobRunOn) {
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
  attach(9, 1, "", Channel::Mode::kEvents);
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

TEST_F(JobHubTest, ANewAttemptReachesReadersAsJobRetry) {
  create(1);
  attach(9, 1, "", Channel::Mode::kEvents);
  append(1, 2);
  hub_.retry(1, now_);
  append(1, 1);
  read_all(9);
  EXPECT_EQ(rec_.events[9][6], "2-0");
  EXPECT_EQ(rec_.events[9][7], "job_retry");
  EXPECT_EQ(rec_.events[9][8], "{\"job_id\":\"job_1\",\"attempt\":2}");
  EXPECT_EQ(rec_.events[9][9], "2-1");
}

TEST_F(JobHubTest, FanInIdsAreACursorOverTheSet) {
  create(1);
  create(2);
  append(1, 1);
  hub_.attach(9, Channel::Mode::kEvents, true, {{1, ""}, {2, ""}}, now_);
  settle();
  read_all(9);
  append(2, 1);
  read_all(9);
  ASSERT_EQ(rec_.events[9].size(), 6u);
  EXPECT_EQ(rec_.events[9][0], "job_1:1-1");
  EXPECT_EQ(rec_.events[9][3], "job_1:1-1,job_2:1-1");
  hub_.finish(1, complete(), now_);
  settle();
  read_all(9);
  EXPECT_EQ(rec_.closed.count(9), 0u) << "the other job goes on";
  hub_.finish(2, complete(), now_);
  settle();
  read_all(9);
  EXPECT_EQ(rec_.closed[9], "finished");
  hub_.attach(10, Channel::Mode::kEvents, true, {{1, "1-2"}, {2, "1-1"}}, now_);
  settle();
  ASSERT_EQ(rec_.events[10].size(), 3u);
  EXPECT_EQ(rec_.events[10][0], "job_1:1-2,job_2:1-2");
}

TEST_F(JobHubTest, FanInServesEveryJobEvenBesideABusyOne) {
  for (JobHandle job = 1; job <= 3; ++job) create(job);
  hub_.attach(9, Channel::Mode::kEvents, true, {{1, ""}, {2, ""}, {3, ""}}, now_);
  for (JobHandle job = 1; job <= 3; ++job) {
    for (int i = 0; i < 200; ++i) hub_.append(job, "t", now_);
  }
  settle();
  std::set<std::string> seen;
  for (int batch = 0; batch < 3; ++batch) {
    seen.insert(rec_.events[9].back());
    hub_.acknowledge(9, now_);
    settle();
  }
  EXPECT_GE(seen.size(), 3u);
  read_all(9);
  EXPECT_EQ(rec_.events[9].size(), 3u * 600u);
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
  hub_.attach(10, Channel::Mode::kEvents, true, {{1, ""}, {2, ""}}, now_);
  hub_.purge(1, now_);
  EXPECT_EQ(rec_.closed[9], "purged");
  EXPECT_EQ(rec_.closed.count(10), 0u);
  append(2, 1);
  EXPECT_EQ(rec_.events[10].size(), 3u);
}

TEST_F(JobHubTest, TrimmedHistoryIsAnnouncedToAReaderThatNeededIt) {
  Recorder recorder;
  HubOptions options;
  options.log_bytes_max = 20;  // four one-byte tokens with their offsets
  JobHub hub(options, recorder);
  hub.create(1, {.job_id = "job_1"}, now_);
  hub.attach(9, Channel::Mode::kEvents, false, {{1, ""}}, now_);
  hub.append(1, "a", now_);
  hub.advance(now_);
  for (const char* token : {"b", "c", "d", "e", "f", "g"}) hub.append(1, token, now_);
  hub.advance(now_);
  hub.acknowledge(9, now_);
  hub.advance(now_);
  const auto& events = recorder.events[9];
  ASSERT_EQ(events.size(), 18u);
  EXPECT_EQ(events[4], "gap");
  EXPECT_EQ(events[5],
            "{\"job_id\":\"job_1\",\"requested\":\"1-1\",\"earliest\":\"1-4\",\"latest\":\"1-7\"}");
  EXPECT_EQ(events[6], "1-4");
}

TEST_F(JobHubTest, StateTellsTextUsageAndMetrics) {
  hub_.create(1, {.job_id = "job_1", .prompt_tokens = 7}, now_);
  EXPECT_NE(hub_.state(1, true, now_).find("\"status\":\"queued\""), std::string::npos);
  now_ += 100 * kMillisecond;
  hub_.start(1, now_);
  now_ += 400 * kMillisecond;
  hub_.append(1, "a", now_);
  hub_.append(1, "b", now_);
  now_ += 600 * kMillisecond;
  EXPECT_EQ(hub_.state(1, true, now_),
            "{\"status\":\"running\",\"attempt\":1,\"last_event_id\":\"1-2\","
            "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2},"
            "\"metrics\":{\"queue_ms\":100.000,\"ttft_ms\":500.000,\"duration_ms\":1100.000,"
            "\"tokens\":2,\"tokens_per_second\":2.000},\"text\":\"ab\"}");
}

}  // namespace
}  // namespace sluice
