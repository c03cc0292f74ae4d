// Jobs that have ended before their hub gets them.
#include <string>
#include <utility>

#include "hub_fixture.h"

namespace sluice {
namespace {

class HubEnded : public JobHubTest {
 protected:
  // A job whose first token came 2 ms after its creation, and its end 5 ms after it.
  EndedJob ended_job(JobHandle handle, std::vector<std::string> tokens) const {
    EndedJob job{.handle = handle,
                 .created_at = now_,
                 .started_at = now_ + kMillisecond,
                 .tokens = std::move(tokens),
                 .terminal = complete()};
    job.options.job_id = "job_x";
    if (!job.tokens.empty()) job.first_token_at = now_ + 2 * kMillisecond;
    return job;
  }

  // The same job by commands of the hub.
  void run(JobHandle handle, const std::vector<std::string>& tokens) {
    JobOptions options;
    options.job_id = "job_x";
    hub_.create(handle, options, now_);
    hub_.start(handle, {}, now_ + kMillisecond);
    for (const std::string& token : tokens) hub_.append(handle, token, now_ + 2 * kMillisecond);
    hub_.finish(handle, complete(), now_ + 5 * kMillisecond);
    settle();
  }

  JobHub::Made make(JobHandle handle, std::vector<std::string> tokens) {
    return hub_.make_ended(ended_job(handle, std::move(tokens)), now_ + 5 * kMillisecond);
  }
};

TEST_F(HubEnded, StateAndFramesAreThoseOfAJobThatEndsInTheHub) {
  for (const std::vector<std::string>& tokens :
       {std::vector<std::string>{}, {"a"}, {"a", "", "\"\n\u20ac"}, {std::string(3000, 'x')}}) {
    rec_ = {};
    run(1, tokens);
    const JobHub::Made made = make(2, tokens);
    EXPECT_EQ(made.state, rec_.ended.at(0));
    EXPECT_EQ(made.frames, hub_.unread_frames(1));
    hub_.purge(1, now_);
  }
}

TEST_F(HubEnded, IsAJobOfTheHubOnceAdded) {
  run(1, {"a", "b"});
  JobHub::Made made = make(2, {"a", "b"});
  EXPECT_EQ(hub_.state(2, true, now_), "");
  rec_ = {};
  hub_.add_ended(std::move(made.job));
  settle();
  EXPECT_TRUE(rec_.ended.empty());
  EXPECT_EQ(hub_.state(2, true, now_), hub_.state(1, true, now_));
  for (const std::string cursor : {"", "1-1", "9-9"}) {
    rec_ = {};
    attach(8, 1, cursor);
    attach(9, 2, cursor);
    read_all(8);
    read_all(9);
    EXPECT_NE(rec_.frames[9], "");
    EXPECT_EQ(rec_.frames[9], rec_.frames[8]);
  }
}

TEST_F(HubEnded, IsPurgedAfterItsRetention) {
  EndedJob job = ended_job(2, {"a"});
  job.options.retention = kSecond;
  hub_.add_ended(hub_.make_ended(std::move(job), now_).job);
  settle();
  pass(kSecond - kMillisecond);
  EXPECT_TRUE(rec_.purged.empty());
  pass(kMillisecond);
  EXPECT_EQ(rec_.purged, std::vector<JobHandle>{2});
}

TEST_F(HubEnded, MayRunAgain) {
  hub_.add_ended(make(2, {"a"}).job);
  hub_.reopen(2, now_);
  EXPECT_TRUE(hub_.is_open(2));
  append(2, 2);
  hub_.finish(2, complete(), now_);
  EXPECT_EQ(rec_.ended.size(), 1u);
}

TEST_F(HubEnded, CountsFromTheTimeItIsMade) {
  {
    const JobHub::Made made = make(2, {"a", "b"});
    EXPECT_GT(hub_.log_bytes(), 0);
    EXPECT_EQ(hub_.entries_appended(), 2u);
  }
  EXPECT_EQ(hub_.log_bytes(), 0);
  hub_.add_ended(make(3, {"a"}).job);
  EXPECT_EQ(hub_.entries_appended(), 3u);
  hub_.purge(3, now_);
  EXPECT_EQ(hub_.log_bytes(), 0);
}

}  // namespace
}  // namespace sluice
