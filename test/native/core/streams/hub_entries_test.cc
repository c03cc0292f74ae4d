// Jobs with entries of several kinds: native events, copies, followers, whole logs.
#include "hub_fixture.h"

namespace sluice {
namespace {

using Lines = std::vector<std::string>;

class JobHubEntriesTest : public JobHubTest {
 protected:
  void append(JobHandle job, const Entry& entry) {
    hub_.append(job, entry, now_);
    settle();
  }

  void append_every_kind(JobHandle job) {
    append(job, {.kind = EntryKind::kReasoning, .text = "th\"ink"});
    append(job, {.text = "plain"});
    append(job, {.text = "Hi", .aux = R"({"content":[{"token":"Hi","logprob":-0.5}]})"});
    append(job, {.kind = EntryKind::kRefusal, .text = "no"});
    append(job, {.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
    append(job, {.kind = EntryKind::kToolArguments, .text = R"({"x":1})"});
    append(job, {.kind = EntryKind::kToolCall, .text = "call_b", .aux = "g"});
    append(job, {.kind = EntryKind::kToolArguments, .text = "{}"});
    append(job, {.kind = EntryKind::kExtra, .text = R"({"images":[1]})"});
  }

  // Every event of the job: id, type and data.
  Lines read(JobHandle job) {
    const SubscriberHandle reader = next_reader_++;
    attach(reader, job, "", Subscriber::Mode::kEvents);
    read_all(reader);
    Lines lines;
    const std::vector<std::string>& events = rec_.events[reader];
    for (std::size_t i = 0; i + 2 < events.size(); i += 3) {
      lines.push_back(events[i] + " " + events[i + 1] + " " + events[i + 2]);
    }
    hub_.detach(reader, now_);
    return lines;
  }

  SubscriberHandle next_reader_ = 1000;
};

const Lines kEveryKind{
    R"(1-1 reasoning {"job_id":"job_1","reasoning":"th\"ink"})",
    R"(1-2 token {"job_id":"job_1","token":"plain"})",
    R"(1-3 token {"job_id":"job_1","token":"Hi",)"
    R"("logprobs":{"content":[{"token":"Hi","logprob":-0.5}]}})",
    R"(1-4 refusal {"job_id":"job_1","refusal":"no"})",
    R"(1-5 tool_call {"job_id":"job_1","index":0,"id":"call_a","name":"f","arguments":""})",
    R"(1-6 tool_call {"job_id":"job_1","index":0,"arguments":"{\"x\":1}"})",
    R"(1-7 tool_call {"job_id":"job_1","index":1,"id":"call_b","name":"g","arguments":""})",
    R"(1-8 tool_call {"job_id":"job_1","index":1,"arguments":"{}"})",
    R"(1-9 extra {"job_id":"job_1","delta":{"images":[1]}})",
};

TEST_F(JobHubEntriesTest, EachKindHasAnEventOfItsOwn) {
  create(1);
  append_every_kind(1);
  EXPECT_EQ(read(1), kEveryKind);
}

TEST_F(JobHubEntriesTest, FramesAreTheSameLiveAndReplayed) {
  create(1);
  attach(2, 1);
  append_every_kind(1);
  read_all(2);
  attach(3, 1);
  read_all(3);
  EXPECT_EQ(rec_.frames[2], rec_.frames[3]);
  EXPECT_NE(rec_.frames[3].find("id: 1-9\nevent: extra\ndata: {\"job_id\""), std::string::npos);
}

TEST_F(JobHubEntriesTest, MetricsCountEntriesOfAnyKind) {
  create(1);
  now_ += 7 * kMillisecond;
  append(1, {.kind = EntryKind::kReasoning, .text = "think"});
  now_ += 5 * kMillisecond;
  append(1, {.text = "Hi"});
  const std::string state = hub_.state(1, true, now_);
  EXPECT_NE(state.find(R"("ttft_ms":7.000)"), std::string::npos) << state;
  EXPECT_NE(state.find(R"("tokens":2)"), std::string::npos) << state;
  EXPECT_NE(state.find(R"("text_bytes":2,"text":"Hi")"), std::string::npos) << state;
}

TEST_F(JobHubEntriesTest, TheWindowIsOverEntriesOfAllKinds) {
  create(1);
  attach(2, 1);
  for (int i = 0; i < 256; ++i) append(1, {.kind = EntryKind::kReasoning, .text = "t"});
  EXPECT_FALSE(hub_.writable(1));
  read_all(2);
  EXPECT_TRUE(hub_.writable(1));
}

TEST_F(JobHubEntriesTest, AFollowerHasEveryKindAndTheHead) {
  create(1);
  hub_.set_head(1, {.model = "m-1"}, now_);
  append_every_kind(1);
  create(2);
  ASSERT_TRUE(hub_.follow(2, 1, now_));
  append(1, {.kind = EntryKind::kReasoning, .text = "more"});
  hub_.finish(1, complete(), now_);
  const Lines followed = read(2);
  ASSERT_EQ(followed.size(), 11u);
  EXPECT_EQ(
      followed[4],
      R"(1-5 tool_call {"job_id":"job_2","index":0,"id":"call_a","name":"f","arguments":""})");
  EXPECT_EQ(followed[9], R"(1-10 reasoning {"job_id":"job_2","reasoning":"more"})");
}

TEST_F(JobHubEntriesTest, CopiesHaveTheTypesAndMembersOfTheirEntries) {
  JobOptions work;
  work.kind = JobKind::kWorkflow;
  create(9, work);
  JobOptions part;
  part.copy_to = 9;
  part.copy_members = R"("node":"a")";
  create(1, part);
  append_every_kind(1);
  EXPECT_EQ(read(9),
            (Lines{
                R"(1-1 reasoning {"workflow_id":"job_9","node":"a","reasoning":"th\"ink"})",
                R"(1-2 token {"workflow_id":"job_9","node":"a","token":"plain"})",
                R"(1-3 token {"workflow_id":"job_9","node":"a","token":"Hi",)"
                R"("logprobs":{"content":[{"token":"Hi","logprob":-0.5}]}})",
                R"(1-4 refusal {"workflow_id":"job_9","node":"a","refusal":"no"})",
                R"(1-5 tool_call {"workflow_id":"job_9","node":"a",)"
                R"("index":0,"id":"call_a","name":"f","arguments":""})",
                R"(1-6 tool_call {"workflow_id":"job_9","node":"a",)"
                R"("index":0,"arguments":"{\"x\":1}"})",
                R"(1-7 tool_call {"workflow_id":"job_9","node":"a",)"
                R"("index":1,"id":"call_b","name":"g","arguments":""})",
                R"(1-8 tool_call {"workflow_id":"job_9","node":"a","index":1,"arguments":"{}"})",
                R"(1-9 extra {"workflow_id":"job_9","node":"a","delta":{"images":[1]}})",
            }));
}

// --- the state

TEST_F(JobHubEntriesTest, TheStateHasTheAnswerByKind) {
  create(1);
  append_every_kind(1);
  const std::string state = hub_.state(1, true, now_);
  EXPECT_NE(state.find(R"("text_bytes":7,"text":"plainHi","reasoning":"th\"ink","refusal":"no",)"
                       R"("tool_calls":[{"id":"call_a","type":"function","function":)"
                       R"({"name":"f","arguments":"{\"x\":1}"}},)"
                       R"({"id":"call_b","type":"function","function":)"
                       R"({"name":"g","arguments":"{}"}}]})"),
            std::string::npos)
      << state;
  EXPECT_EQ(hub_.state(1, false, now_).find("call_a"), std::string::npos);
}

TEST_F(JobHubEntriesTest, TextAloneAddsNothingToTheState) {
  create(1);
  append(1, {.text = "a"});
  const std::string state = hub_.state(1, true, now_);
  for (const char* name : {"reasoning", "refusal", "tool_calls", "items", "head", "raw_reason"}) {
    EXPECT_EQ(state.find(name), std::string::npos) << name;
  }
}

TEST_F(JobHubEntriesTest, ItemsJoinAdjacentEntriesOfOneKind) {
  create(1);
  append(1, {.kind = EntryKind::kReasoning, .text = "th"});
  append(1, {.kind = EntryKind::kReasoning, .text = "ink"});
  append(1, {.text = "a", .aux = R"({"content":[1]})"});
  append(1, {.text = "b"});
  append(1, {.text = "c", .aux = R"({"content":[2]})"});
  append(1, {.kind = EntryKind::kExtra, .text = R"({"images":[1]})"});
  append(1, {.kind = EntryKind::kExtra, .text = R"({"images":[2]})"});
  append(1, {.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
  append(1, {.kind = EntryKind::kToolArguments, .text = "{\"x\":"});
  append(1, {.kind = EntryKind::kToolArguments, .text = "1}"});
  append(1, {.kind = EntryKind::kToolCall, .text = "call_b", .aux = "g"});
  hub_.append_typed(1, "page", "{}", now_);
  append(1, {.kind = EntryKind::kRefusal, .text = "no"});
  append(1, {.text = "d"});
  const std::string state = hub_.state(1, false, now_, true);
  const std::string items =
      R"("items":[{"kind":"reasoning","text":"think"},)"
      R"({"kind":"text","text":"abc","logprobs":[{"content":[1]},{"content":[2]}]},)"
      R"({"kind":"extra","delta":{"images":[1]}},{"kind":"extra","delta":{"images":[2]}},)"
      R"({"kind":"tool_call","id":"call_a","name":"f","arguments":"{\"x\":1}"},)"
      R"({"kind":"tool_call","id":"call_b","name":"g","arguments":""},)"
      R"({"kind":"refusal","text":"no"},{"kind":"text","text":"d"}])";
  EXPECT_NE(state.find(items), std::string::npos) << state;
  EXPECT_EQ(state.find("\"text\":\"abcd\""), std::string::npos) << "not asked for";
}

TEST_F(JobHubEntriesTest, TheStateHasTheHeadTheRawReasonAndTheWholeUsage) {
  create(1);
  hub_.set_head(1, {.model = "m-1", .service_tier = "flex"}, now_);
  append(1, {.text = "a"});
  Terminal terminal = complete();
  terminal.raw_reason = "eos";
  terminal.usage = Usage{
      .prompt_tokens = 7,
      .completion_tokens = 1,
      .raw = R"({"prompt_tokens":7,"completion_tokens":1,"total_tokens":8,"x":{"y":1}})",
  };
  hub_.finish(1, terminal, now_);
  settle();
  const std::string state = hub_.state(1, false, now_);
  EXPECT_NE(state.find(R"("head":{"model":"m-1","service_tier":"flex"})"), std::string::npos)
      << state;
  EXPECT_NE(state.find(R"("reason":"stop","raw_reason":"eos")"), std::string::npos) << state;
  EXPECT_NE(state.find("\"usage\":" + terminal.usage->raw), std::string::npos) << state;
  const Lines events = read(1);
  EXPECT_NE(events.back().find(R"("reason":"stop","usage":{"prompt_tokens":7,)"
                               R"("completion_tokens":1,"total_tokens":8,"x":{"y":1}},"metrics")"),
            std::string::npos)
      << events.back();
}

// --- the first entry

TEST_F(JobHubEntriesTest, TheFirstEntryIsAnnouncedOnceToWhomItConcerns) {
  JobOptions announced;
  announced.announce = true;
  create(1, announced);
  create(2);
  append(1, {.kind = EntryKind::kReasoning, .text = "t"});
  append(1, {.text = "t"});
  append(2, {.text = "t"});
  EXPECT_EQ(rec_.begun, (std::vector<JobHandle>{1}));
  hub_.retry(1, {}, now_);
  append(1, {.text = "t"});
  EXPECT_EQ(rec_.begun, (std::vector<JobHandle>{1})) << "once over all attempts";
}

TEST_F(JobHubEntriesTest, AFollowerIsAnnouncedWithTheEntriesThatItReceives) {
  JobOptions announced;
  announced.announce = true;
  create(1);
  create(2, announced);
  ASSERT_TRUE(hub_.follow(2, 1, now_));
  EXPECT_TRUE(rec_.begun.empty());
  append(1, {.text = "t"});
  EXPECT_EQ(rec_.begun, (std::vector<JobHandle>{2}));
  create(3, announced);
  ASSERT_TRUE(hub_.follow(3, 1, now_));
  EXPECT_EQ(rec_.begun, (std::vector<JobHandle>{2, 3})) << "the source has begun before";
}

TEST_F(JobHubEntriesTest, AJobWithoutEntriesIsNeverAnnounced) {
  JobOptions announced;
  announced.announce = true;
  create(1, announced);
  hub_.append_typed(1, "page", "{}", now_);
  hub_.finish(1, complete(), now_);
  settle();
  EXPECT_TRUE(rec_.begun.empty());
}

// --- whole logs

class JobHubWholeTest : public JobHubEntriesTest {
 protected:
  static HubOptions small() {
    HubOptions options;
    options.log_bytes_max = 100;
    options.whole_log_bytes_max = 1000;
    return options;
  }
  static JobOptions whole() {
    JobOptions options;
    options.whole = true;
    return options;
  }
};

TEST_F(JobHubWholeTest, AWholeLogIsNotTrimmedAndEndsAtItsCap) {
  JobHub hub(small(), rec_);
  hub.create(1, whole(), now_);
  hub.start(1, {}, now_);
  hub.create(2, {}, now_);
  // 46 bytes of text and 4 of offset: 20 of them are the cap.
  const std::string text(46, 'x');
  for (int i = 0; i < 19; ++i) {
    hub.append(1, text, now_);
    hub.append(2, text, now_);
  }
  EXPECT_TRUE(hub.is_open(1));
  EXPECT_EQ(hub.state(1, true, now_).find("text_truncated"), std::string::npos);
  EXPECT_NE(hub.state(2, true, now_).find("text_truncated"), std::string::npos);
  hub.append(1, text, now_);
  EXPECT_FALSE(hub.is_open(1));
  hub.append(1, "late", now_);
  const std::string state = hub.state(1, false, now_);
  EXPECT_NE(state.find(R"("status":"completed")"), std::string::npos) << state;
  EXPECT_NE(state.find(R"("reason":"length")"), std::string::npos) << state;
  EXPECT_NE(state.find(R"("text_bytes":920)"), std::string::npos) << state;
  EXPECT_TRUE(hub.is_open(2));
}

TEST_F(JobHubWholeTest, TheCapCountsLogprobsToo) {
  JobHub hub(small(), rec_);
  hub.create(1, whole(), now_);
  const std::string logprobs = "[" + std::string(500, ' ') + "]";
  hub.append(1, {.text = "a", .aux = logprobs}, now_);
  EXPECT_TRUE(hub.is_open(1));
  hub.append(1, {.text = "b", .aux = logprobs}, now_);
  EXPECT_FALSE(hub.is_open(1));
}

TEST_F(JobHubWholeTest, FollowersThatAreFullLeaveTheirSourceToTheOthers) {
  JobHub hub(small(), rec_);
  hub.create(1, {}, now_);
  for (JobHandle follower = 2; follower <= 5; ++follower) {
    hub.create(follower, follower % 2 == 0 ? whole() : JobOptions{}, now_);
    ASSERT_TRUE(hub.follow(follower, 1, now_));
  }
  for (int i = 0; i < 30; ++i) hub.append(1, std::string(46, 'x'), now_);
  EXPECT_FALSE(hub.is_open(2));
  EXPECT_FALSE(hub.is_open(4));
  for (const JobHandle open : {1, 3, 5}) EXPECT_TRUE(hub.is_open(open)) << open;
  for (const JobHandle open : {1, 3, 5}) {
    EXPECT_NE(hub.state(open, false, now_).find(R"("tokens":30)"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice
