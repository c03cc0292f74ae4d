// Subscribers with a face: the frames of another protocol.
#include "hub_fixture.h"

namespace sluice {
namespace {

// One line per event; `after` frames are left out.
class LineFace final : public Face {
 public:
  explicit LineFace(std::uint64_t after = 0, bool opens = true) : after_(after), opens_(opens) {}

  void open(std::string& out) override {
    if (opens_) add(out, "open");
  }
  void write(std::string& out, std::uint32_t choice, const Job& job,
             const EventLog::Event& event) override {
    std::string line = std::to_string(choice) + " " + job.options.job_id + " ";
    if (event.kind == EventLog::EventKind::kRetry) line += "retry";
    if (event.kind == EventLog::EventKind::kTyped) line += "typed";
    if (event.kind == EventLog::EventKind::kTerminal) line += job.log.terminal().reason;
    line += event.text;
    add(out, line);
  }
  void keep_alive(std::string& out) override { out += "alive\n"; }

 private:
  void add(std::string& out, const std::string& line) {
    if (written_++ >= after_) out += line + "\n";
  }
  std::uint64_t after_;
  bool opens_;
  std::uint64_t written_ = 0;
};

class JobHubFaceTest : public JobHubTest {
 protected:
  void attach_face(SubscriberHandle subscriber, const std::vector<JobHub::Cursor>& jobs,
                   std::uint64_t after = 0, bool opens = true) {
    hub_.attach(subscriber, Subscriber::Mode::kFrames, false, jobs, now_,
                std::make_unique<LineFace>(after, opens));
    settle();
    hub_.acknowledge(subscriber, now_);
    settle();
  }

  void append_text(JobHandle job, std::string_view text) {
    hub_.append(job, text, now_);
    settle();
  }
};

TEST_F(JobHubFaceTest, WritesEveryEventFromTheBeginningAndEnds) {
  create(1);
  append_text(1, "a");
  attach_face(2, {{1, "1-1"}});
  EXPECT_EQ(rec_.frames[2], "open\n0 job_1 a\n") << "a cursor of the log is none of the face";
  read_all(2);
  append_text(1, "b");
  hub_.finish(1, complete(), now_);
  read_all(2);
  EXPECT_EQ(rec_.frames[2], "open\n0 job_1 a\n0 job_1 b\n0 job_1 stop\n");
  EXPECT_TRUE(rec_.last[2]);
  EXPECT_EQ(rec_.closed[2], "finished");
}

TEST_F(JobHubFaceTest, TheOpeningFramesGoWithoutAnEvent) {
  create(1);
  attach_face(2, {{1, ""}});
  EXPECT_EQ(rec_.frames[2], "open\n");
}

TEST_F(JobHubFaceTest, NothingIsSentBeforeTheHeadHasLeft) {
  create(1);
  append_text(1, "a");
  hub_.attach(2, Subscriber::Mode::kFrames, false, {{1, ""}}, now_, std::make_unique<LineFace>());
  settle();
  EXPECT_EQ(rec_.frames[2], "");
}

TEST_F(JobHubFaceTest, ARetryIsAnEvent) {
  create(1);
  append_text(1, "a");
  attach_face(2, {{1, ""}});
  read_all(2);
  hub_.retry(1, {}, now_);
  append_text(1, "b");
  read_all(2);
  EXPECT_EQ(rec_.frames[2], "open\n0 job_1 a\n0 job_1 retry\n0 job_1 b\n");
}

TEST_F(JobHubFaceTest, ChoicesAreThePlacesOfTheJobs) {
  create(1);
  create(2);
  append_text(1, "a");
  append_text(2, "b");
  attach_face(3, {{2, ""}, {1, ""}});
  read_all(3);
  hub_.finish(1, complete(), now_);
  read_all(3);
  EXPECT_FALSE(rec_.closed.contains(3)) << "the other one runs";
  hub_.finish(2, complete(), now_);
  read_all(3);
  EXPECT_EQ(rec_.frames[3], "open\n0 job_2 b\n1 job_1 a\n1 job_1 stop\n0 job_2 stop\n");
  EXPECT_EQ(rec_.closed[3], "finished");
}

TEST_F(JobHubFaceTest, SilenceIsFilledWithTheKeepAliveOfTheFace) {
  create(1);
  attach_face(2, {{1, ""}}, 0, false);
  EXPECT_EQ(rec_.frames[2], "");
  pass(15 * kSecond);
  EXPECT_EQ(rec_.frames[2], "alive\n");
  append_text(1, "a");
  read_all(2);
  EXPECT_EQ(rec_.frames[2], "alive\n0 job_1 a\n");
}

TEST_F(JobHubFaceTest, OmittedFramesStillMoveTheWindow) {
  create(1);
  attach_face(2, {{1, ""}}, 2000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(hub_.writable(1)) << i;
    append_text(1, "t");
  }
  EXPECT_EQ(rec_.frames[2], "");
}

TEST_F(JobHubFaceTest, EndsAsFinishedIfNothingIsLeftToWrite) {
  create(1);
  append_text(1, "a");
  hub_.finish(1, complete(), now_);
  settle();
  attach_face(2, {{1, ""}}, 3);
  EXPECT_EQ(rec_.opened[2], false);
  EXPECT_EQ(rec_.frames[2], "");
  EXPECT_EQ(rec_.closed[2], "finished");
  EXPECT_FALSE(hub_.has_subscriber(2));
}

TEST_F(JobHubFaceTest, EndsAsFinishedWithTheEndingWithoutAFrame) {
  create(1);
  attach_face(2, {{1, ""}}, 5);
  append_text(1, "a");
  EXPECT_FALSE(rec_.closed.contains(2));
  hub_.finish(1, complete(), now_);
  settle();
  EXPECT_EQ(rec_.closed[2], "finished");
}

TEST_F(JobHubFaceTest, ALongLogWithoutFramesIsReadInSeveralTurns) {
  create(1);
  for (int i = 0; i < 20'000; ++i) hub_.append(1, "t", now_);
  hub_.finish(1, complete(), now_);
  settle();
  hub_.attach(2, Subscriber::Mode::kFrames, false, {{1, ""}}, now_,
              std::make_unique<LineFace>(20'001));
  hub_.acknowledge(2, now_);
  int turns = 0;
  for (; hub_.has_subscriber(2) && hub_.next_deadline() <= now_; ++turns) {
    hub_.advance(now_);
    if (rec_.frames[2].empty()) continue;
    hub_.acknowledge(2, now_);
  }
  EXPECT_GE(turns, 4);
  EXPECT_EQ(rec_.frames[2], "0 job_1 stop\n");
  EXPECT_EQ(rec_.closed[2], "finished");
}

TEST_F(JobHubFaceTest, EventsOfTypesOfTheirOwnAreNotForFaces) {
  create(1);
  hub_.append_typed(1, "page", "{}", now_);
  append_text(1, "a");
  attach_face(2, {{1, ""}});
  EXPECT_EQ(rec_.frames[2], "open\n0 job_1 a\n");
}

TEST_F(JobHubFaceTest, ALogThatHasLostItsBeginningHasNoFace) {
  HubOptions options;
  options.log_bytes_max = 100;
  JobHub hub(options, rec_);
  hub.create(1, {}, now_);
  for (int i = 0; i < 100; ++i) hub.append(1, "0123456789", now_);
  hub.attach(2, Subscriber::Mode::kFrames, false, {{1, ""}}, now_, std::make_unique<LineFace>());
  EXPECT_EQ(rec_.closed[2], "purged");
  EXPECT_FALSE(rec_.opened.contains(2));
}

TEST_F(JobHubFaceTest, AFaceThatLosesUnreadEventsEnds) {
  HubOptions options;
  options.log_bytes_max = 100;
  JobHub hub(options, rec_);
  hub.create(1, {}, now_);
  hub.append(1, "first", now_);
  hub.attach(2, Subscriber::Mode::kFrames, false, {{1, ""}}, now_, std::make_unique<LineFace>());
  for (int i = 0; i < 100; ++i) hub.append(1, "0123456789", now_);
  hub.acknowledge(2, now_);
  while (hub.next_deadline() <= now_) hub.advance(now_);
  EXPECT_EQ(rec_.frames[2], "");
  EXPECT_EQ(rec_.closed[2], "purged");
}

TEST_F(JobHubFaceTest, NeedsAllOfItsJobs) {
  create(1);
  create(2);
  attach_face(3, {{1, ""}, {77, ""}});
  EXPECT_EQ(rec_.closed[3], "purged") << "one is unknown";
  attach_face(4, {{1, ""}, {2, ""}});
  hub_.purge(2, now_);
  settle();
  EXPECT_EQ(rec_.closed[4], "purged");
  append_text(1, "a");
  EXPECT_EQ(rec_.frames[4], "open\n");
}

}  // namespace
}  // namespace sluice
