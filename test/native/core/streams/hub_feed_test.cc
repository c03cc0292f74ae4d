// Logs with custom event types, and works whose log has the tokens of their parts.
#include "core/streams/hub_fixture.h"

namespace sluice {
namespace {

using Lines = std::vector<std::string>;

class JobHubFeedTest : public JobHubTest {
 protected:
  static constexpr JobHandle kWork = 1;

  void create_work(JobOptions options = {}) {
    options.kind = JobKind::kWorkflow;
    create(kWork, options);
  }

  void create_part(JobHandle part, const std::string& node, JobOptions options = {}) {
    options.copy_to = kWork;
    options.copy_members = "\"node\":\"" + node + "\"";
    create(part, options);
  }

  void append_text(JobHandle job, const std::string& text) {
    hub_.append(job, text, now_);
    settle();
  }

  void append_typed(const std::string& type, const std::string& data) {
    hub_.append_typed(kWork, type, data, now_);
    settle();
  }

  void finish(JobHandle job, Terminal terminal = complete()) {
    hub_.finish(job, std::move(terminal), now_);
    settle();
  }

  // The events for a new reader: `id type data`, one event a line.
  Lines read(JobHandle job, const std::string& cursor = "") {
    const SubscriberHandle subscriber = next_subscriber_++;
    attach(subscriber, job, cursor, Subscriber::Mode::kEvents);
    read_all(subscriber);
    hub_.detach(subscriber, now_);
    Lines lines;
    const auto& events = rec_.events[subscriber];
    for (std::size_t i = 0; i < events.size(); i += 3) {
      lines.push_back(events[i] + " " + events[i + 1] + " " + events[i + 2]);
    }
    return lines;
  }

  SubscriberHandle next_subscriber_ = 100;
};

TEST_F(JobHubFeedTest, TypedEventsAreReadInOrderWithTokensAndTheirOwnIds) {
  create_work();
  append_text(kWork, "plain");
  append_typed("node_started", R"({"node":"a","attempt":1})");
  append_typed("page", "{}");
  append_text(kWork, "plain");
  append_typed("node_started", R"({"node":"b"})");
  EXPECT_EQ(read(kWork),
            (Lines{R"(1-1 token {"workflow_id":"job_1","token":"plain"})",
                   R"(1-2 node_started {"workflow_id":"job_1","node":"a","attempt":1})",
                   R"(1-3 page {"workflow_id":"job_1"})",
                   R"(1-4 token {"workflow_id":"job_1","token":"plain"})",
                   R"(1-5 node_started {"workflow_id":"job_1","node":"b"})"}));
  EXPECT_EQ(read(kWork, "1-4"), Lines{R"(1-5 node_started {"workflow_id":"job_1","node":"b"})"});
}

TEST_F(JobHubFeedTest, FramesCarryTheType) {
  create_work();
  append_typed("page", R"({"url":"x"})");
  attach(7, kWork);
  EXPECT_EQ(
      rec_.frames[7],
      "retry: 2000\nid: 1-1\nevent: page\ndata: {\"workflow_id\":\"job_1\",\"url\":\"x\"}\n\n");
}

TEST_F(JobHubFeedTest, TerminalEventsAreNamedForTheWorkAndSayTheirDetails) {
  create_work();
  Terminal terminal;
  terminal.usage = Usage{3, 4};
  terminal.details = R"({"nodes":{"completed":2}})";
  finish(kWork, terminal);
  EXPECT_EQ(read(kWork),
            Lines{R"(1-1 workflow_complete {"workflow_id":"job_1","usage":{"prompt_tokens":3,)"
                  R"("completion_tokens":4,"total_tokens":7},"nodes":{"completed":2},)"
                  R"("metrics":{"duration_ms":0.000,"events":0}})"});

  JobOptions crawl;
  crawl.kind = JobKind::kCrawl;
  create(2, crawl);
  Terminal failed;
  failed.kind = Terminal::Kind::kError;
  finish(2, failed);
  ASSERT_EQ(read(2).size(), 1u);
  EXPECT_EQ(read(2)[0].substr(0, 35), R"(1-1 crawl_failed {"crawl_id":"job_2)");

  create(3, crawl);
  Terminal complete;
  complete.reason = "limit";
  complete.details = R"({"pages":7})";
  finish(3, complete);
  EXPECT_EQ(read(3), Lines{R"(1-1 crawl_complete {"crawl_id":"job_3","reason":"limit","pages":7,)"
                           R"("metrics":{"duration_ms":0.000,"events":0}})"})
      << "it uses no model";
}

TEST_F(JobHubFeedTest, TheByteCapDropsTypedEventsWithTheirTypes) {
  const std::string padding(4096, 'x');  // 2000 of them are twice the cap
  const auto data = [&](std::size_t i) {
    return "\"i\":" + std::to_string(i) + ",\"pad\":\"" + padding + "\"}";
  };
  create_work();
  append_text(kWork, "first");
  for (std::size_t i = 0; i < 2000; ++i) append_typed(i % 2 == 0 ? "even" : "odd", "{" + data(i));
  const Lines lines = read(kWork);
  ASSERT_GT(lines.size(), 900u);
  ASSERT_LT(lines.size(), 1100u);
  EXPECT_NE(lines[0].find("gap"), std::string::npos);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::size_t number = 2000 - lines.size() + i;
    ASSERT_EQ(lines[i], "1-" + std::to_string(number + 2) + (number % 2 == 0 ? " even" : " odd") +
                            R"( {"workflow_id":"job_1",)" + data(number));
  }
}

TEST_F(JobHubFeedTest, ALogHasUpTo128Types) {
  create_work();
  for (int i = 0; i < 300; ++i) append_typed("t" + std::to_string(i), "{}");
  append_typed("t127", "{}");
  const Lines lines = read(kWork);
  ASSERT_EQ(lines.size(), 129u);
  EXPECT_EQ(lines.back(), R"(1-129 t127 {"workflow_id":"job_1"})");
}

// --- reopening

TEST_F(JobHubFeedTest, AReopenedLogBeginsItsNextAttemptAndForgetsTheEnding) {
  create_work();
  append_typed("page", "{}");
  finish(kWork);
  ASSERT_EQ(read(kWork).size(), 2u);
  hub_.reopen(kWork, now_);
  settle();
  EXPECT_TRUE(hub_.is_open(kWork));
  append_typed("page", R"({"n":2})");
  const Lines all{R"(2-0 workflow_retry {"workflow_id":"job_1","attempt":2})",
                  R"(2-1 page {"workflow_id":"job_1","n":2})"};
  EXPECT_EQ(read(kWork), all);
  EXPECT_EQ(read(kWork, "1-2"), all) << "whoever had the ending is told of the new attempt";
  finish(kWork);
  EXPECT_EQ(rec_.ended.size(), 2u);
  EXPECT_EQ(read(kWork, "2-1").size(), 1u);
}

TEST_F(JobHubFeedTest, AReopenedJobIsNotPurgedAndHasItsWallTimeAnew) {
  create_work({.wall_time_max = 60 * kSecond});
  pass(50 * kSecond);
  finish(kWork);
  pass(200 * kSecond);
  hub_.reopen(kWork, now_);
  pass(59 * kSecond);
  EXPECT_TRUE(hub_.is_open(kWork));
  pass(2 * kSecond);
  EXPECT_FALSE(hub_.is_open(kWork));
  EXPECT_NE(rec_.ended.back().find("wall_time_exceeded"), std::string::npos);
  EXPECT_TRUE(rec_.purged.empty());
  pass(300 * kSecond);
  EXPECT_EQ(rec_.purged, std::vector{kWork});
}

TEST_F(JobHubFeedTest, OnlyEndedJobsCanBeReopened) {
  create_work();
  append_typed("page", "{}");
  hub_.reopen(kWork, now_);
  hub_.reopen(99, now_);
  settle();
  EXPECT_EQ(read(kWork).size(), 1u);
}

// --- parts

TEST_F(JobHubFeedTest, AWorkHasTheTokensOfItsPartsAndPartsKeepTheirOwnLogs) {
  create_work();
  create_part(2, "a");
  create_part(3, "b");
  append_text(2, "one");
  append_text(3, "say \"two\"");
  append_text(2, "three");
  finish(2);
  append_text(3, "four");
  EXPECT_EQ(read(kWork),
            (Lines{R"(1-1 token {"workflow_id":"job_1","node":"a","token":"one"})",
                   R"(1-2 token {"workflow_id":"job_1","node":"b","token":"say \"two\""})",
                   R"(1-3 token {"workflow_id":"job_1","node":"a","token":"three"})",
                   R"(1-4 token {"workflow_id":"job_1","node":"b","token":"four"})"}));
  EXPECT_EQ(read(3), (Lines{R"(1-1 token {"job_id":"job_3","token":"say \"two\""})",
                            R"(1-2 token {"job_id":"job_3","token":"four"})"}));
}

TEST_F(JobHubFeedTest, AFollowingPartFeedsItsCopiedEntriesToo) {
  create_work();
  create(2);
  append_text(2, "early");
  create_part(3, "a");
  ASSERT_TRUE(hub_.follow(3, 2, now_));
  append_text(2, "late");
  EXPECT_EQ(read(kWork), (Lines{R"(1-1 token {"workflow_id":"job_1","node":"a","token":"early"})",
                                R"(1-2 token {"workflow_id":"job_1","node":"a","token":"late"})"}));
}

TEST_F(JobHubFeedTest, PartsOfAPurgedWorkContinueByThemselves) {
  create_part(2, "a");  // the work does not exist yet
  create_work();
  create_part(3, "b");
  create_part(4, "c");
  finish(kWork);
  append_text(2, "x");
  append_text(3, "y");
  hub_.purge(kWork, now_);
  append_text(4, "z");
  EXPECT_EQ(read(3), Lines{R"(1-1 token {"job_id":"job_3","token":"y"})"});
  EXPECT_EQ(read(4), Lines{R"(1-1 token {"job_id":"job_4","token":"z"})"});
  hub_.purge(3, now_);
}

TEST_F(JobHubFeedTest, APurgedPartIsRemovedFromItsWork) {
  create_work();
  create_part(2, "a");
  append_text(2, "x");
  hub_.purge(2, now_);
  append_typed("page", "{}");
  finish(kWork);
  EXPECT_EQ(read(kWork).size(), 3u);
}

// --- the window: 256 tokens ahead of the slowest reader

TEST_F(JobHubFeedTest, AReaderOfTheWorkHoldsBackItsParts) {
  create_work();
  create_part(2, "a");
  create_part(3, "b");
  attach(7, kWork);  // reads none of the following events
  append(2, 100);
  append(3, 100);
  EXPECT_TRUE(hub_.writable(2));
  append(2, 56);
  EXPECT_FALSE(hub_.writable(2)) << "156 of one and 100 of the other: 256 in all";
  EXPECT_FALSE(hub_.writable(3));
  EXPECT_FALSE(hub_.writable(kWork));
  read_all(7);
  EXPECT_TRUE(hub_.writable(2));
  EXPECT_TRUE(hub_.writable(3));
  EXPECT_TRUE(hub_.writable(kWork));
}

TEST_F(JobHubFeedTest, ADetachedReaderDoesNotCloseTheWindow) {
  create_work();
  create_part(2, "a");
  attach(7, kWork);
  append(2, 256);
  EXPECT_FALSE(hub_.writable(2));
  hub_.detach(7, now_);
  settle();
  EXPECT_TRUE(hub_.writable(2));
}

TEST_F(JobHubFeedTest, TheEndOfAWorkOpensTheWindow) {
  create_work();
  create_part(2, "a");
  attach(7, kWork);
  append(2, 256);
  EXPECT_FALSE(hub_.writable(2));
  finish(kWork);
  EXPECT_TRUE(hub_.writable(2));
}

TEST_F(JobHubFeedTest, TheWindowOfAWorkCountsWhatItsOwnProducerAppended) {
  create_work();
  create_part(2, "a");
  append(2, 5000);
  for (int i = 0; i < 10; ++i) append_typed("page", "{}");
  // 10 of its own: the producer has 246 to 256 more, for any number added by its parts.
  EXPECT_GE(rec_.window.contains(kWork) ? rec_.window[kWork] : 256, 256u);
  EXPECT_LE(rec_.window.contains(kWork) ? rec_.window[kWork] : 256, 266u);
  EXPECT_TRUE(hub_.writable(kWork));
}

TEST_F(JobHubTest, ABatchThatIsTakenAtOnceNeedsNoAcknowledgement) {
  for (const bool takes : {false, true}) {
    rec_ = {};
    rec_.takes_batches = takes;
    const JobHandle job = takes ? 2 : 1;
    create(job);
    attach(9, job);
    // More than one window, and more than one batch.
    for (int i = 0; i < 3; ++i) {
      append(job, 200);
      if (!takes) read_all(9);
      EXPECT_TRUE(hub_.writable(job)) << i;
    }
    hub_.finish(job, complete(), now_);
    settle();
    if (!takes) read_all(9);
    EXPECT_EQ(rec_.closed[9], "finished");
    EXPECT_FALSE(hub_.has_subscriber(9));
    EXPECT_NE(rec_.frames[9].find("id: 1-601\n"), std::string::npos);
  }
}

TEST_F(JobHubTest, AnAppendReturnsWhetherTheJobIsWritable) {
  create(1);
  attach(9, 1);
  bool open = true;
  int appended = 0;
  for (; open && appended < 10'000; ++appended) {
    open = hub_.append(1, Entry{.text = "t"}, now_);
    EXPECT_EQ(open, hub_.writable(1));
  }
  EXPECT_LT(appended, 10'000) << "the reader takes nothing";
  EXPECT_FALSE(hub_.append(7, Entry{.text = "t"}, now_)) << "there is no such job";
  hub_.finish(1, complete(), now_);
  settle();
  EXPECT_FALSE(hub_.append(1, Entry{.text = "t"}, now_));
}

}  // namespace
}  // namespace sluice
