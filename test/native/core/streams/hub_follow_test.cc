// Jobs that share one answer: the events of a follower, the effects of endings, and backpressure on
// the producer.
#include "core/streams/hub_fixture.h"

namespace sluice {
namespace {

class JobHubFollowTest : public JobHubTest {
 protected:
  static constexpr JobHandle kSource = 1;
  static constexpr JobHandle kFollower = 2;

  // A new job, queued, that follows the source.
  bool follow(JobHandle job, JobOptions options = {}) {
    options.job_id = "job_" + std::to_string(job);
    hub_.create(job, options, now_);
    const bool followed = hub_.follow(job, kSource, now_);
    settle();
    return followed;
  }

  void append_text(const std::string& text) {
    hub_.append(kSource, text, now_);
    settle();
  }

  void finish(JobHandle job, Terminal terminal = complete()) {
    hub_.finish(job, std::move(terminal), now_);
    settle();
  }

  static Terminal cancelled(const std::string& reason) {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kCancelled;
    terminal.reason = reason;
    return terminal;
  }

  // Ids and types of the events for a new reader, and the texts of its tokens.
  std::pair<std::string, std::string> read(JobHandle job) {
    const SubscriberHandle subscriber = next_subscriber_++;
    attach(subscriber, job, "", Subscriber::Mode::kEvents);
    read_all(subscriber);
    hub_.detach(subscriber, now_);
    return told(subscriber);
  }

  std::pair<std::string, std::string> told(SubscriberHandle subscriber) {
    std::string ids;
    std::string text;
    const auto& events = rec_.events[subscriber];
    for (std::size_t i = 0; i < events.size(); i += 3) {
      ids += events[i] + (events[i + 1] == "token" ? " " : ":" + events[i + 1] + " ");
      if (events[i + 1] != "token") continue;
      const std::string key = "\"token\":\"";
      const std::size_t from = events[i + 2].find(key) + key.size();
      text += events[i + 2].substr(from, events[i + 2].size() - from - 2);
    }
    return {ids, text};
  }

  [[nodiscard]] std::string state(JobHandle job) const { return hub_.state(job, true, now_); }
  [[nodiscard]] bool says(JobHandle job, const std::string& part) const {
    return state(job).find(part) != std::string::npos;
  }

  SubscriberHandle next_subscriber_ = 100;
};

using Events = std::pair<std::string, std::string>;

TEST_F(JobHubFollowTest, AFollowerBeforeTheFirstTokenReceivesEachTokenLive) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  attach(9, kFollower, "", Subscriber::Mode::kEvents);
  append_text("a");
  EXPECT_EQ(told(9), Events("1-1 ", "a"));
  append_text("b");
  finish(kSource);
  read_all(9);
  EXPECT_EQ(told(9), Events("1-1 1-2 1-3:job_complete ", "ab"));
  EXPECT_EQ(rec_.closed[9], "finished");
}

TEST_F(JobHubFollowTest, ALaterFollowerReceivesAllTokens) {
  create(kSource);
  append_text("a");
  append_text("b");
  ASSERT_TRUE(follow(kFollower));
  append_text("c");
  EXPECT_EQ(read(kFollower), Events("1-1 1-2 1-3 ", "abc"));
  EXPECT_EQ(read(kSource), Events("1-1 1-2 1-3 ", "abc"));
  finish(kSource);
  EXPECT_EQ(read(kFollower), Events("1-1 1-2 1-3 1-4:job_complete ", "abc"));
}

TEST_F(JobHubFollowTest, AFollowerAfterTheEndReceivesAllAndTheEndAtOnce) {
  create(kSource);
  append_text("a");
  Terminal terminal = complete();
  terminal.usage = Usage{11, 22};
  finish(kSource, terminal);
  pass(kSecond);
  ASSERT_TRUE(follow(kFollower));
  EXPECT_FALSE(hub_.is_open(kFollower));
  EXPECT_EQ(read(kFollower), Events("1-1 1-2:job_complete ", "a"));
  EXPECT_TRUE(says(
      kFollower, "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":22,\"total_tokens\":33}"));
  EXPECT_EQ(rec_.ended.size(), 2u);
}

TEST_F(JobHubFollowTest, TimesAreTheFollowersOwn) {
  hub_.create(kSource, {.job_id = "job_1"}, now_);
  pass(kSecond);
  ASSERT_TRUE(follow(kFollower));
  EXPECT_TRUE(says(kFollower, "\"status\":\"queued\""));
  pass(kSecond);
  hub_.start(kSource, {}, now_);
  EXPECT_TRUE(says(kFollower, "\"status\":\"running\""));
  pass(kSecond);
  append_text("a");
  pass(kSecond);
  ASSERT_TRUE(follow(3));
  pass(kSecond);
  finish(kSource);
  EXPECT_TRUE(
      says(kSource, "{\"queue_ms\":2000.000,\"ttft_ms\":3000.000,\"duration_ms\":5000.000,"));
  EXPECT_TRUE(
      says(kFollower, "{\"queue_ms\":1000.000,\"ttft_ms\":2000.000,\"duration_ms\":4000.000,"));
  EXPECT_TRUE(says(3, "{\"queue_ms\":0.000,\"ttft_ms\":0.000,\"duration_ms\":1000.000,"))
      << "the text was there when it was submitted";
}

TEST_F(JobHubFollowTest, ARetryIsReportedToAttachedFollowers) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  append_text("x");
  hub_.retry(kSource, {}, now_);
  append_text("a");
  ASSERT_TRUE(follow(3));
  finish(kSource);
  EXPECT_EQ(read(kFollower), Events("2-0:job_retry 2-1 2-2:job_complete ", "a"));
  EXPECT_EQ(read(3), Events("1-1 1-2:job_complete ", "a")) << "its own first attempt";
  EXPECT_EQ(read(kSource), Events("2-0:job_retry 2-1 2-2:job_complete ", "a"));
}

TEST_F(JobHubFollowTest, EveryKindOfEndingIsShared) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  Terminal failed;
  failed.kind = Terminal::Kind::kError;
  failed.error_code = "upstream_error";
  finish(kSource, failed);
  EXPECT_TRUE(says(kFollower, "\"status\":\"failed\""));
  EXPECT_TRUE(says(kFollower, "\"code\":\"upstream_error\""));

  hub_.create(11, {.job_id = "job_11"}, now_);
  hub_.create(12, {.job_id = "job_12"}, now_);
  ASSERT_TRUE(hub_.follow(12, 11, now_));
  finish(11, cancelled("shutdown"));
  EXPECT_TRUE(says(12, "\"reason\":\"shutdown\""));
}

TEST_F(JobHubFollowTest, TheSourceEndsBeforeItsFollowers) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  ASSERT_TRUE(follow(3));
  finish(kSource);
  EXPECT_EQ(rec_.order, (std::vector<std::string>{"ended 1", "ended 2", "ended 3"}));
}

TEST_F(JobHubFollowTest, AFollowersEndingEndsNothingButItself) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  ASSERT_TRUE(follow(3, {.wall_time_max = 2 * kSecond}));
  ASSERT_TRUE(follow(4, {.disconnect_grace = kSecond}));
  ASSERT_TRUE(follow(5));
  append_text("a");
  finish(kFollower, cancelled("client_request"));
  attach(9, 4);
  hub_.detach(9, now_);
  pass(3 * kSecond);
  append_text("b");
  finish(kSource);
  EXPECT_EQ(read(kFollower), Events("1-1 1-2:job_cancelled ", "a"));
  EXPECT_TRUE(says(3, "\"code\":\"wall_time_exceeded\""));
  EXPECT_TRUE(says(4, "\"reason\":\"client_disconnected\""));
  EXPECT_EQ(read(5), Events("1-1 1-2 1-3:job_complete ", "ab"));
  EXPECT_EQ(read(kSource), Events("1-1 1-2 1-3:job_complete ", "ab"));
  EXPECT_EQ(rec_.ended.size(), 5u) << "each once";
}

TEST_F(JobHubFollowTest, TheSlowestReaderOfAllFollowersHoldsTheProducerBack) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  ASSERT_TRUE(follow(3));
  attach(9, kFollower, "", Subscriber::Mode::kEvents);
  attach(10, 3, "", Subscriber::Mode::kEvents);
  append(kSource, 256);
  read_all(10);
  EXPECT_FALSE(hub_.writable(kSource));
  read_all(9);
  EXPECT_TRUE(hub_.writable(kSource));
  EXPECT_EQ(rec_.window[kSource], 512u);
  EXPECT_EQ(rec_.window.count(kFollower), 0u) << "it has no producer to be told";
}

TEST_F(JobHubFollowTest, AStalledReaderIsCutAndTheProducerContinues) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  attach(9, kFollower, "", Subscriber::Mode::kEvents);
  append(kSource, 256);
  pass(10 * kSecond - 1);
  EXPECT_FALSE(hub_.writable(kSource));
  pass(1);
  EXPECT_EQ(rec_.closed[9], "stalled");
  EXPECT_TRUE(hub_.writable(kSource));
}

TEST_F(JobHubFollowTest, AnEndedFollowerNoLongerHoldsBackTheProducer) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  attach(9, kFollower, "", Subscriber::Mode::kEvents);
  append(kSource, 256);
  ASSERT_FALSE(hub_.writable(kSource));
  finish(kFollower, cancelled("client_request"));
  EXPECT_TRUE(hub_.writable(kSource));

  ASSERT_TRUE(follow(3));
  attach(10, 3, "", Subscriber::Mode::kEvents);
  EXPECT_FALSE(hub_.writable(kSource)) << "a reader from the start has 256 to catch up";
  hub_.purge(3, now_);
  settle();
  EXPECT_TRUE(hub_.writable(kSource));
}

TEST_F(JobHubFollowTest, APurgeOfTheSourceKeepsEndedFollowersAndFailsOpenOnes) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  append_text("a");
  hub_.purge(kSource, now_);
  settle();
  EXPECT_TRUE(says(kFollower, "\"code\":\"answer_dropped\""));
  EXPECT_EQ(read(kFollower).second, "a");

  create(kSource);
  append_text("b");
  ASSERT_TRUE(follow(3));
  finish(kSource);
  hub_.purge(kSource, now_);
  settle();
  EXPECT_EQ(read(3), Events("1-1 1-2:job_complete ", "b"));
  EXPECT_FALSE(follow(4)) << "there is nothing left to follow";
}

TEST_F(JobHubFollowTest, APurgedFollowerReceivesNothing) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  append_text("a");
  hub_.purge(kFollower, now_);
  append_text("b");
  hub_.retry(kSource, {}, now_);
  finish(kSource);
  EXPECT_EQ(state(kFollower), "");
  EXPECT_EQ(rec_.ended.size(), 1u);
}

TEST_F(JobHubFollowTest, RetentionMayBeAJobsOwn) {
  create(kSource, {.retention = 7 * kSecond});
  create(3, {.retention = kNever});
  ASSERT_TRUE(follow(kFollower));
  finish(kSource);
  finish(3);
  pass(7 * kSecond - 1);
  EXPECT_TRUE(rec_.purged.empty());
  pass(1);
  EXPECT_EQ(rec_.purged, std::vector<JobHandle>{kSource});
  pass(300 * kSecond);
  EXPECT_EQ(rec_.purged, (std::vector<JobHandle>{kSource, kFollower}));
  pass(100'000 * kSecond);
  EXPECT_NE(state(3), "");
  hub_.purge(3, now_);
  EXPECT_EQ(state(3), "");
}

TEST_F(JobHubFollowTest, AnIncompleteCopyIsRefused) {
  HubOptions options;
  options.log_bytes_max = 64;
  JobHub hub(options, rec_);
  hub.create(kSource, {.job_id = "job_1"}, now_);
  hub.create(kFollower, {.job_id = "job_2"}, now_);
  ASSERT_TRUE(hub.follow(kFollower, kSource, now_));
  for (int i = 0; i < 100; ++i) hub.append(kSource, "token", now_);
  hub.create(3, {.job_id = "job_3"}, now_);
  EXPECT_FALSE(hub.follow(3, kSource, now_)) << "the beginning is gone";
  EXPECT_TRUE(hub.is_open(3)) << "and it may follow another";
  EXPECT_FALSE(hub.follow(3, 99, now_)) << "no such source";
  EXPECT_FALSE(hub.follow(3, 3, now_)) << "itself";
  EXPECT_FALSE(hub.follow(3, kFollower, now_)) << "a follower that has not ended";
  hub.append(3, "x", now_);
  hub.create(4, {.job_id = "job_4"}, now_);
  EXPECT_FALSE(hub.follow(3, 4, now_)) << "it has a token of its own";
  EXPECT_FALSE(hub.follow(kSource, 4, now_)) << "it is followed itself";
  hub.finish(3, cancelled("client_request"), now_);
  EXPECT_TRUE(hub.follow(3, 99, now_)) << "there is nothing left to do for it";
  EXPECT_TRUE(hub.follow(77, kSource, now_));
  // Followers from the start equal their source.
  hub.finish(kSource, complete(), now_);
  const auto text = [&](JobHandle job) {
    const std::string json = hub.state(job, true, now_);
    return json.substr(json.find("\"text_bytes\""));
  };
  EXPECT_EQ(text(kFollower), text(kSource));
  EXPECT_NE(text(kFollower).find("\"text_truncated\":true"), std::string::npos);
}

TEST_F(JobHubFollowTest, AnEndedFollowerMayLead) {
  create(kSource);
  ASSERT_TRUE(follow(kFollower));
  append_text("a");
  finish(kSource);
  hub_.purge(kSource, now_);
  hub_.create(3, {.job_id = "job_3"}, now_);
  EXPECT_TRUE(hub_.follow(3, kFollower, now_));
  EXPECT_EQ(read(3), Events("1-1 1-2:job_complete ", "a"));
}

TEST(EventLogShared, AGrowingLogDoesNotChangeItsCopy) {
  EventLog one(1 << 20);
  one.append("a");
  EventLog other(1 << 20);
  other.take_tokens(one);
  one.append("b");
  EXPECT_EQ(text_of(one), "ab");
  EXPECT_EQ(text_of(other), "a");
  EXPECT_EQ(other.latest(), (EventId{1, 1}));
  other.append("c");
  EXPECT_EQ(text_of(one), "ab");
  EXPECT_EQ(text_of(other), "ac");
  other.take_tokens(one);
  one.begin_attempt();
  EXPECT_EQ(text_of(one), "");
  EXPECT_EQ(text_of(other), "ab");
  EXPECT_EQ(other.attempt(), 1u);
}

}  // namespace
}  // namespace sluice
