// Subscribers that receive all frames of short finished logs at once.
#include <string>

#include "hub_fixture.h"

namespace sluice {
namespace {

class HubWhole : public JobHubTest {
 protected:
  void attach_at_once(SubscriberHandle subscriber, std::vector<JobHub::Cursor> cursors) {
    const bool fan_in = cursors.size() > 1;
    hub_.attach(subscriber, Subscriber::Mode::kFrames, fan_in, cursors, now_, nullptr, true);
    settle();
  }

  void finish(JobHandle job) {
    hub_.finish(job, complete(), now_);
    settle();
  }
};

TEST_F(HubWhole, TheBytesEqualThoseOfAStreamInBatches) {
  create(1);
  append(1, 5);
  finish(1);
  for (const std::string cursor : {"", "1-2", "1-5", "9-9"}) {
    attach(8, 1, cursor);
    read_all(8);
    attach_at_once(9, {{1, cursor}});
    EXPECT_FALSE(rec_.whole[9].empty()) << cursor;
    EXPECT_EQ(rec_.whole[9], rec_.frames[8]) << cursor;
    rec_ = {};
  }
}

TEST_F(HubWhole, IsTheOnlyEventAndLeavesNoSubscriber) {
  create(1);
  append(1, 1);
  finish(1);
  rec_.order.clear();
  attach_at_once(9, {{1, ""}});
  EXPECT_EQ(rec_.order, std::vector<std::string>{"whole 9"});
  EXPECT_TRUE(rec_.opened.empty());
  EXPECT_FALSE(hub_.has_subscriber(9));
}

TEST_F(HubWhole, JoinsTheJobsOfAFanIn) {
  for (const JobHandle job : {1u, 2u}) {
    create(job);
    append(job, 2);
    finish(job);
  }
  attach_at_once(9, {{1, ""}, {2, "1-1"}});
  EXPECT_NE(rec_.whole[9].find("job_1"), std::string::npos);
  EXPECT_NE(rec_.whole[9].find("job_2:1-3"), std::string::npos);
}

TEST_F(HubWhole, ARunningJobOpensAsAny) {
  create(1);
  create(2);
  append(1, 1);
  finish(2);
  attach_at_once(8, {{1, ""}});
  attach_at_once(9, {{1, ""}, {2, ""}});
  EXPECT_TRUE(rec_.whole.empty());
  EXPECT_EQ(rec_.opened, (std::map<SubscriberHandle, bool>{{8, false}, {9, false}}));
}

TEST_F(HubWhole, ALongLogOpensAsAny) {
  create(1);
  for (int i = 0; i < 9; ++i) hub_.append(1, std::string(1000, 'x'), now_);
  finish(1);
  attach_at_once(9, {{1, ""}});
  EXPECT_TRUE(rec_.whole.empty());
  EXPECT_FALSE(rec_.opened.at(9));
}

TEST_F(HubWhole, FramesBeyondOneBatchOpenAsAny) {
  create(1);
  // Each character is six in JSON, and an entry of one byte has a frame of eighty.
  for (int i = 0; i < 255; ++i) hub_.append(1, std::string(30, '\x01'), now_);
  finish(1);
  attach_at_once(9, {{1, ""}});
  EXPECT_TRUE(rec_.whole.empty());
  hub_.acknowledge(9, now_);
  settle();
  read_all(9);
  EXPECT_EQ(rec_.closed.at(9), "finished");
}

TEST_F(HubWhole, ACursorAtTheEndIsStillAnsweredAsFinished) {
  create(1);
  append(1, 1);
  finish(1);
  attach_at_once(9, {{1, "1-2"}});
  EXPECT_TRUE(rec_.whole.empty());
  EXPECT_TRUE(rec_.opened.at(9));
}

TEST_F(HubWhole, UnreadFramesEqualThoseOfAFirstReader) {
  create(1);
  append(1, 5);
  EXPECT_EQ(hub_.unread_frames(1), "");  // not ended
  finish(1);
  attach(8, 1, "");
  EXPECT_EQ(hub_.unread_frames(1), "");  // has a reader
  read_all(8);
  EXPECT_NE(rec_.frames[8], "");
  EXPECT_EQ(hub_.unread_frames(1), rec_.frames[8]);
  hub_.reopen(1, now_);
  EXPECT_EQ(hub_.unread_frames(1), "");
  EXPECT_EQ(hub_.unread_frames(7), "");  // unknown
}

TEST_F(HubWhole, UnreadFramesOfALongLogAreNotKept) {
  create(1);
  for (int i = 0; i < 3; ++i) hub_.append(1, std::string(1000, 'x'), now_);
  finish(1);
  EXPECT_EQ(hub_.unread_frames(1), "");
  attach_at_once(9, {{1, ""}});
  EXPECT_NE(rec_.whole[9], "");
}

TEST_F(HubWhole, AnUnknownJobIsStillPurged) {
  attach_at_once(9, {{1, ""}});
  EXPECT_TRUE(rec_.whole.empty());
  EXPECT_EQ(rec_.closed.at(9), "purged");
}

}  // namespace
}  // namespace sluice
