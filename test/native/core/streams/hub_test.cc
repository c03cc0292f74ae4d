// Readers of a hub: frames, cursors, fan-in, states.
#include <set>

#include "core/streams/hub_fixture.h"

namespace sluice {
namespace {

TEST_F(JobHubTest, FramesMatchTheContract) {
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
            "retry: 2000\n"
            "id: 1-1\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"Hello\"}\n\n"
            "id: 1-2\nevent: token\ndata: {\"job_id\":\"job_1\",\"token\":\"\\n\\\"world\\\"\"}\n\n"
            "id: 1-3\nevent: job_complete\ndata: {\"job_id\":\"job_1\",\"reason\":\"stop\","
            "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":2,\"total_tokens\":2,"
            "\"estimated\":true},"
            "\"metrics\":{\"queue_ms\":0.000,\"ttft_ms\":0.000,\"duration_ms\":2000.000,"
            "\"tokens\":2,\"tokens_per_second\":1.000}}\n\n");
  EXPECT_EQ(rec_.closed[9], "finished");
  EXPECT_EQ(hub_.subscriber_count(), 0u);
}

TEST_F(JobHubTest, AFramesSubscriberIsHeldUntilTheHeadOfItsResponseHasLeft) {
  create(1);
  append(1, 1);
  hub_.attach(9, Subscriber::Mode::kFrames, false, {{1, ""}}, now_);
  settle();
  EXPECT_EQ(rec_.opened.count(9), 1u);
  EXPECT_EQ(rec_.frames[9], "");
  hub_.acknowledge(9, now_);
  settle();
  EXPECT_TRUE(rec_.frames[9].starts_with("retry: 2000\nid: 1-1\n"));
}

TEST_F(JobHubTest, ASubscriberIsFinishedWhenItsTerminalEventHasBeenTaken) {
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

TEST_F(JobHubTest, TheBatchWithTheLastTerminalEventIsMarked) {
  create(1);
  create(2);
  hub_.attach(7, Subscriber::Mode::kFrames, true, {{1, ""}, {2, ""}}, now_);
  hub_.acknowledge(7, now_);
  append(1, 1);
  EXPECT_FALSE(rec_.last[7]);
  hub_.finish(1, complete(), now_);
  read_all(7);
  EXPECT_FALSE(rec_.last[7]) << "the other job goes on";
  hub_.finish(2, complete(), now_);
  settle();
  EXPECT_TRUE(rec_.last[7]);
}

TEST_F(JobHubTest, TokensThatArriveWhileTheReaderIsBusyLeaveTogether) {
  create(1);
  attach(9, 1, "", Subscriber::Mode::kEvents);
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
    const auto subscriber = static_cast<SubscriberHandle>(100 + cut);
    attach(subscriber, 1, "1-" + std::to_string(cut), Subscriber::Mode::kEvents);
    append(1, 1);  // live tokens arrive during the replay
    read_all(subscriber);
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < rec_.events[subscriber].size(); i += 3) {
      ids.push_back(rec_.events[subscriber][i]);
    }
    std::vector<std::string> expected;
    for (int seq = cut + 1; seq <= 6 + cut; ++seq) expected.push_back("1-" + std::to_string(seq));
    EXPECT_EQ(ids, expected) << "cut after " << cut;
    hub_.detach(subscriber, now_);
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

TEST_F(JobHubTest, AnUnknownCursorReceivesAGapAndThenEverything) {
  create(1);
  append(1, 2);
  attach(9, 1, "1-7\n<>", Subscriber::Mode::kEvents);
  read_all(9);
  ASSERT_EQ(rec_.events[9].size(), 9u);
  EXPECT_EQ(rec_.events[9][0], "");
  EXPECT_EQ(rec_.events[9][1], "gap");
  EXPECT_EQ(rec_.events[9][2],
            "{\"job_id\":\"job_1\",\"requested\":\"1-7\\n<>\",\"earliest\":\"1-1\","
            "\"latest\":\"1-2\"}");
  EXPECT_EQ(rec_.events[9][3], "1-1");
}

TEST_F(JobHubTest, ANewAttemptReachesReadersAsJobRetry) {
  create(1);
  attach(9, 1, "", Subscriber::Mode::kEvents);
  append(1, 2);
  hub_.retry(1, R"({"upstream":"b"})", now_);
  append(1, 1);
  read_all(9);
  EXPECT_EQ(rec_.events[9][6], "2-0");
  EXPECT_EQ(rec_.events[9][7], "job_retry");
  EXPECT_EQ(rec_.events[9][8], "{\"job_id\":\"job_1\",\"attempt\":2,\"upstream\":\"b\"}");
  EXPECT_EQ(rec_.events[9][9], "2-1");
  hub_.retry(1, "{}", now_);
  settle();
  read_all(9);
  EXPECT_EQ(rec_.events[9][12], "3-0");
  EXPECT_EQ(rec_.events[9][14], "{\"job_id\":\"job_1\",\"attempt\":3}");
}

TEST_F(JobHubTest, FanInIdsAreACursorOverTheSet) {
  create(1);
  create(2);
  append(1, 1);
  hub_.attach(9, Subscriber::Mode::kEvents, true, {{1, ""}, {2, ""}}, now_);
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
  hub_.attach(10, Subscriber::Mode::kEvents, true, {{1, "1-2"}, {2, "1-1"}}, now_);
  settle();
  ASSERT_EQ(rec_.events[10].size(), 3u);
  EXPECT_EQ(rec_.events[10][0], "job_1:1-2,job_2:1-2");
}

TEST_F(JobHubTest, FanInServesEveryJobEvenBesideABusyOne) {
  for (JobHandle job = 1; job <= 3; ++job) create(job);
  hub_.attach(9, Subscriber::Mode::kEvents, true, {{1, ""}, {2, ""}, {3, ""}}, now_);
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

TEST_F(JobHubTest, TrimmedHistoryIsAnnouncedToAReaderThatNeededIt) {
  Recorder recorder;
  HubOptions options;
  options.log_bytes_max = 20;  // four one-byte tokens with their offsets
  JobHub hub(options, recorder);
  hub.create(1, {.job_id = "job_1"}, now_);
  hub.attach(9, Subscriber::Mode::kEvents, false, {{1, ""}}, now_);
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

TEST_F(JobHubTest, StateHasTextUsageAndMetrics) {
  hub_.create(1, {.job_id = "job_1", .prompt_tokens = 7}, now_);
  EXPECT_NE(hub_.state(1, true, now_).find("\"status\":\"queued\""), std::string::npos);
  now_ += 100 * kMillisecond;
  hub_.start(1, {}, now_);
  now_ += 400 * kMillisecond;
  hub_.append(1, "a", now_);
  hub_.append(1, "b", now_);
  now_ += 600 * kMillisecond;
  EXPECT_EQ(hub_.state(1, true, now_),
            "{\"status\":\"running\",\"attempt\":1,\"last_event_id\":\"1-2\","
            "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9,"
            "\"estimated\":true},"
            "\"metrics\":{\"queue_ms\":100.000,\"ttft_ms\":500.000,\"duration_ms\":1100.000,"
            "\"tokens\":2,\"tokens_per_second\":2.000},\"log_bytes\":10,"
            "\"text_bytes\":2,\"text\":\"ab\"}");
}

}  // namespace
}  // namespace sluice
