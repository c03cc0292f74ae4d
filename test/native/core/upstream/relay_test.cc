// Relay: from an answer's bytes to the logs of its jobs, time moved by hand.
#include "core/upstream/relay.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "log_reader.h"

namespace sluice {
namespace {

using Failure = RelayOutcome::Failure;

constexpr Nanos kIdle = 10 * kSecond;

std::string delta(std::string_view text, int index = 0) {
  return "data: {\"choices\":[{\"index\":" + std::to_string(index) + ",\"text\":\"" +
         std::string(text) + "\"}]}\n\n";
}

std::string finish(std::string_view reason, int index = 0) {
  return "data: {\"choices\":[{\"index\":" + std::to_string(index) +
         ",\"text\":\"\",\"finish_reason\":\"" + std::string(reason) + "\"}]}\n\n";
}

const std::string kUsageEvent =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
const std::string kDoneEvent = "data: [DONE]\n\n";

// A hub with jobs 1..n, a reader that acknowledges when told to, and a relay over all of them.
class RelayTest : public testing::Test, public HubObserver {
 protected:
  void begin(std::size_t jobs, std::uint64_t capacity = 256, bool one_answer = false) {
    HubOptions options;
    options.stream_capacity = capacity;
    hub_ = std::make_unique<JobHub>(options, *this);
    Relay::Options relay{.idle = kIdle, .jobs = {}, .one_answer = one_answer, .stops = stops_};
    for (JobHandle job = 1; job <= jobs; ++job) {
      hub_->create(job, {.job_id = "job_" + std::to_string(job), .wall_time_max = kNever}, now_);
      hub_->start(job, {}, now_);
      relay.jobs.push_back(job);
    }
    relay_ = std::make_unique<Relay>(std::move(relay), *hub_, now_);
  }

  void head(int status = 200, std::string_view type = "text/event-stream") {
    relay_->on_head(
        {.status = status, .content_type = type, .retry_after = "7", .retry_after_ms = ""}, now_);
  }

  bool bytes(std::string_view text) {
    const bool taken = relay_->on_bytes(text, now_);
    turn();
    return taken;
  }

  void turn() {
    if (hub_->next_deadline() <= now_) hub_->advance(now_);
  }

  void pass(Nanos span) {
    now_ += span;
    if (relay_->next_deadline() <= now_) relay_->advance(now_);
  }

  // A reader of one job; it has one batch at a time, which `acknowledge` takes.
  void attach(SubscriberHandle subscriber, JobHandle job) {
    hub_->attach(subscriber, Subscriber::Mode::kEvents, false, {{job, ""}}, now_);
    turn();
  }

  void acknowledge(SubscriberHandle subscriber) {
    hub_->acknowledge(subscriber, now_);
    turn();
    relay_->resume(now_);
    turn();
  }

  void cancel(JobHandle job) {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kCancelled;
    terminal.reason = "client_request";
    hub_->finish(job, std::move(terminal), now_);
  }

  std::string text(JobHandle job) { return field(job, "\"text\":\""); }
  std::string status(JobHandle job) { return field(job, "\"status\":\""); }
  std::string reason(JobHandle job) { return field(job, "\"reason\":\""); }
  std::string stop_sequence(JobHandle job) { return field(job, "\"stop_sequence\":\""); }
  // An answer of so many choices.
  void begin_answer(std::size_t choices) { begin(choices, 256, true); }

  LogContent log(JobHandle job) { return read_log(*hub_, job, 100 + job, now_); }

  [[nodiscard]] Failure failure() const { return relay_->outcome().failure; }
  [[nodiscard]] bool has_usage(JobHandle job) const {
    return hub_->state(job, false, now_).find("\"usage\":{\"prompt_tokens\":7,") !=
           std::string::npos;
  }

  Nanos now_ = kSecond;
  std::vector<std::string> stops_;
  std::unique_ptr<JobHub> hub_;
  std::unique_ptr<Relay> relay_;

 private:
  std::string field(JobHandle job, std::string_view key) {
    const std::string state = hub_->state(job, true, now_);
    const std::size_t at = state.find(key);
    if (at == std::string::npos) return "none";
    const std::size_t from = at + key.size();
    return state.substr(from, state.find('"', from) - from);
  }

  void on_window(JobHandle, std::uint64_t) override {}
  void on_ended(JobHandle job, std::string) override {
    if (relay_) relay_->forget(job);
  }
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch&) override { return false; }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}
};

TEST_F(RelayTest, TextGoesToTheLogAndTheEndWaitsForTheCounts) {
  begin(1);
  head();
  EXPECT_TRUE(bytes(delta("Hel") + delta("lo")));
  EXPECT_EQ(text(1), "Hello");
  bytes(finish("length"));
  EXPECT_EQ(status(1), "running");
  bytes(kUsageEvent);
  EXPECT_EQ(status(1), "running");
  bytes(kDoneEvent);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(has_usage(1));
  EXPECT_TRUE(relay_->settled());
  EXPECT_EQ(failure(), Failure::kNone);
  // The body's end is waited for, so that the connection can be kept.
  EXPECT_FALSE(relay_->over());
  relay_->on_end(now_);
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, TheCountsAreWaitedForTwoSecondsAndNotLonger) {
  begin(1);
  head();
  bytes(delta("all") + finish("stop"));
  pass(2 * kSecond - 1);
  EXPECT_EQ(status(1), "running");
  pass(1);
  EXPECT_EQ(status(1), "completed");
  EXPECT_FALSE(has_usage(1));
  EXPECT_EQ(failure(), Failure::kNone);
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, TheRestOfABodyIsReadForASecondAndSixtyFourKilobytes) {
  begin(1);
  head();
  bytes(finish("stop") + kDoneEvent);
  EXPECT_TRUE(relay_->settled());
  pass(kSecond - 1);
  EXPECT_FALSE(relay_->over());
  pass(1);
  EXPECT_TRUE(relay_->over());

  begin(1);
  head();
  bytes(finish("stop") + kDoneEvent);
  EXPECT_TRUE(bytes(std::string(64 * 1024, ' ')));
  EXPECT_FALSE(relay_->over());
  bytes(" ");
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, ChoicesOfOneCallGoToTheirJobsAndEndOneByOne) {
  begin(3);
  head();
  bytes(delta("c", 2) + delta("a", 0) + delta("b", 1) + delta("a", 0) + finish("stop", 1));
  EXPECT_EQ(text(1), "aa");
  EXPECT_EQ(text(2), "b");
  EXPECT_EQ(text(3), "c");
  EXPECT_EQ(status(2), "completed");
  EXPECT_EQ(status(1), "running");
  bytes(finish("length", 0) + finish("stop", 2));
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(relay_->settled());
  bytes(kUsageEvent);
  EXPECT_FALSE(has_usage(1));
}

TEST_F(RelayTest, AFailureConcernsOnlyWhatHasNotEnded) {
  begin(3);
  head();
  bytes(delta("whole", 0) + finish("stop", 0) + delta("part", 1));
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_EQ(failure(), Failure::kDisconnected);
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{-1, 1, 0}));
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(status(2), "running");
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, NothingThatGoesWrongAfterTheFinishReasonTakesItBack) {
  begin(1);
  head();
  bytes(delta("all") + finish("stop"));
  relay_->on_broken(false, "", now_);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(failure(), Failure::kNone);
}

TEST_F(RelayTest, SilenceCountsFromTheLastByteAndNotWhileNobodyWaits) {
  begin(1, 1);
  attach(1, 1);
  pass(kIdle - 1);
  head();
  pass(kIdle - 1);
  EXPECT_FALSE(relay_->settled());
  bytes(": still there\n");
  pass(kIdle - 1);
  EXPECT_FALSE(relay_->settled());
  bytes(delta("a"));
  EXPECT_TRUE(relay_->blocked());
  EXPECT_EQ(relay_->next_deadline(), kNever);
  pass(5 * kIdle);
  EXPECT_FALSE(relay_->settled());
  acknowledge(1);
  EXPECT_FALSE(relay_->blocked());
  pass(kIdle - 1);
  EXPECT_FALSE(relay_->settled());
  EXPECT_FALSE(relay_->stalls_at(now_));
  EXPECT_TRUE(relay_->stalls_at(now_ + 1));
  pass(1);
  EXPECT_EQ(failure(), Failure::kStalled);
  EXPECT_EQ(relay_->outcome().failed, std::vector<std::int64_t>{1});
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, AWindowThatClosesIsHeededInTheMiddleOfWhatCame) {
  begin(1, 2);
  attach(1, 1);
  head();
  // What is left of these bytes is the relay's to keep.
  EXPECT_TRUE(bytes(delta("a") + delta("b") + delta("c") + delta("d") + finish("stop")));
  EXPECT_EQ(text(1), "ab");
  EXPECT_TRUE(relay_->blocked());
  EXPECT_FALSE(bytes(kDoneEvent)) << "not taken: to be given again";
  acknowledge(1);  // "a"
  EXPECT_EQ(text(1), "abc");
  acknowledge(1);  // "b"
  EXPECT_EQ(text(1), "abcd");
  EXPECT_EQ(status(1), "running");
  relay_->on_end(now_);  // comes while the finish reason is still held
  EXPECT_EQ(status(1), "running");
  acknowledge(1);  // "c"
  EXPECT_EQ(status(1), "completed");
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, ABreakBehindHeldBytesIsToldAfterThem) {
  begin(1, 1);
  attach(1, 1);
  head();
  bytes(delta("a") + delta("b"));
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_FALSE(relay_->settled());
  acknowledge(1);
  EXPECT_EQ(text(1), "ab");
  EXPECT_EQ(failure(), Failure::kDisconnected);
  EXPECT_EQ(relay_->outcome().failed, std::vector<std::int64_t>{2});
}

TEST_F(RelayTest, TheSlowestJobOfACallHoldsBackTheOthersUntilItEnds) {
  begin(2, 1);
  attach(1, 1);
  attach(2, 2);
  head();
  bytes(delta("a", 0) + delta("b", 1) + delta("c", 1));
  EXPECT_EQ(text(1), "a");
  EXPECT_EQ(text(2), "");
  cancel(1);
  relay_->resume(now_);
  turn();
  EXPECT_EQ(text(2), "b");
  acknowledge(2);
  EXPECT_EQ(text(2), "bc");
  EXPECT_FALSE(relay_->over());
}

TEST_F(RelayTest, TheLastJobThatEndsEndsTheCallAtOnce) {
  begin(2);
  head();
  bytes(delta("a", 0));
  cancel(1);
  bytes(delta("x", 0));
  EXPECT_EQ(text(1), "a");
  EXPECT_FALSE(relay_->over());
  cancel(2);
  EXPECT_TRUE(relay_->over());
  EXPECT_EQ(failure(), Failure::kNone);
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{-1, -1}));
}

TEST_F(RelayTest, AJobThatHasEndedBeforeTheCallMakesNone) {
  begin(1);
  cancel(1);
  Relay late({.idle = kIdle, .jobs = {1, 99}}, *hub_, now_);
  EXPECT_TRUE(late.settled());
  EXPECT_TRUE(late.over());
}

TEST_F(RelayTest, ARefusalIsReadToItsEndAndReported) {
  begin(1);
  head(422, "application/json");
  bytes("{\"detail\":");
  bytes("\"no stream_options\"}");
  EXPECT_FALSE(relay_->settled());
  relay_->on_end(now_);
  EXPECT_EQ(failure(), Failure::kStatus);
  EXPECT_TRUE(relay_->outcome().body_whole);
  EXPECT_EQ(relay_->outcome().to_json(),
            "{\"failure\":\"status\",\"text\":\"{\\\"detail\\\":\\\"no stream_options\\\"}\","
            "\"code\":\"\",\"type\":\"\",\"location\":\"\",\"retry_after\":\"7\",\"retry_after_"
            "ms\":\"\",\"status\":422,"
            "\"body_whole\":true,\"failed\":[0]}");
}

TEST_F(RelayTest, TheStatusOfARefusalSaysEnough) {
  begin(1);
  head(503, "");
  bytes("half");
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_EQ(failure(), Failure::kStatus);
  EXPECT_FALSE(relay_->outcome().body_whole);

  begin(1);
  head(503, "");
  pass(kIdle);
  EXPECT_EQ(failure(), Failure::kStatus);

  begin(1);
  head(400, "");
  bytes(std::string(64 * 1024 + 1, 'x'));
  EXPECT_EQ(failure(), Failure::kStatus);
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, AWholeAnswerIsTakenLikeOneChunk) {
  begin(1);
  head(200, "Application/JSON; charset=utf-8");
  bytes("{\"choices\":[{\"index\":0,\r\n\"message\":{\"content\":\"two\"},");
  bytes(
      "\"finish_reason\":\"length\"}],\n\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}");
  EXPECT_EQ(status(1), "running");
  relay_->on_end(now_);
  EXPECT_EQ(text(1), "two");
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(has_usage(1));
}

TEST_F(RelayTest, AnEventOfSixteenMegabytesIsTaken) {
  begin(1);
  head();
  const std::string prefix = R"({"choices":[{"delta":{"images":[")";
  const std::string suffix = R"("]}}]})";
  const std::string image((1 << 24) - prefix.size() - suffix.size(), 'A');
  bytes("data: " + prefix + image + suffix + "\n\n" + finish("stop") + kDoneEvent);
  EXPECT_EQ(status(1), "completed");
  const LogContent content = log(1);
  ASSERT_EQ(content.entries.size(), 1u);
  EXPECT_EQ(content.entries[0].kind, EntryKind::kExtra);
  EXPECT_EQ(content.entries[0].text, R"({"images":[")" + image + R"("]})");
}

std::string call_event(std::string_view members) {
  return "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0," + std::string(members) +
         "}]}}]}\n\n";
}

TEST_F(RelayTest, ACallBehindTheFinishReasonHasArgumentsHoweverTheBodyEnds) {
  const auto begin_call = [this] {
    begin(1);
    head();
    bytes(finish("stop") + call_event(R"("id":"c","function":{"name":"f"})"));
  };
  const auto expect_call = [this] {
    EXPECT_EQ(reason(1), "tool_calls");
    const LogContent content = log(1);
    ASSERT_EQ(content.entries.size(), 2u);
    EXPECT_EQ(content.entries[1].kind, EntryKind::kToolArguments);
    EXPECT_EQ(content.entries[1].text, "{}");
  };
  begin_call();
  relay_->on_broken(false, "ECONNRESET", now_);
  expect_call();
  begin_call();
  pass(2 * kSecond);
  expect_call();
}

TEST_F(RelayTest, TheHeadOfAnEmptyAnswerIsKept) {
  begin(1);
  head();
  bytes("data: {\"model\":\"m\",\"choices\":[{\"delta\":{}}]}\n\n" + kDoneEvent);
  EXPECT_EQ(reason(1), "stop");
  EXPECT_EQ(log(1).head.model, "m");
}

// --- stop strings that the upstream ignores

TEST_F(RelayTest, TextEndsBeforeAStopStringAndTheTransferIsDropped) {
  stops_ = {"END", "\xF0\x9F\x98\x80"};
  begin(1);
  head();
  bytes(delta("one E") + delta("Nx two E"));
  EXPECT_EQ(text(1), "one ENx two ") << "what may be a beginning is held back";
  bytes(delta("N") + delta("D three"));
  EXPECT_EQ(text(1), "one ENx two ");
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(reason(1), "stop");
  EXPECT_EQ(stop_sequence(1), "END");
  EXPECT_TRUE(relay_->over());
  EXPECT_EQ(failure(), Failure::kNone);
  EXPECT_TRUE(hub_->usage(1).estimated);
}

TEST_F(RelayTest, WhatIsHeldBackIsNotLost) {
  const auto begin_text = [this] {
    stops_ = {"END"};
    begin(1);
    head();
    bytes(delta("a E") + delta("N"));
    EXPECT_EQ(text(1), "a ");
  };
  begin_text();
  bytes(finish("length") + kUsageEvent + kDoneEvent);
  EXPECT_EQ(text(1), "a EN");
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(has_usage(1));

  begin_text();
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_EQ(text(1), "a EN");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{2}));
}

TEST_F(RelayTest, OtherOutputDividesTheTextForStopStrings) {
  stops_ = {"END"};
  begin(1);
  head();
  bytes(delta("E") + call_event(R"("id":"c","function":{"name":"f","arguments":"END"})") +
        delta("ND") + finish("stop") + kDoneEvent);
  const LogContent content = log(1);
  ASSERT_EQ(content.entries.size(), 4u);
  EXPECT_EQ(content.entries[0].text, "E");
  EXPECT_EQ(content.entries[1].kind, EntryKind::kToolCall);
  EXPECT_EQ(content.entries[2].text, "END");
  EXPECT_EQ(content.entries[3].text, "ND");
}

TEST_F(RelayTest, LogprobsStayWithTheirWholeText) {
  const auto scored = [](std::string_view text) {
    return "data: {\"choices\":[{\"delta\":{\"content\":\"" + std::string(text) +
           "\"},\"logprobs\":{\"content\":[{\"token\":\"" + std::string(text) + "\"}]}}]}\n\n";
  };
  stops_ = {"END"};
  begin(1);
  head();
  bytes(scored("a E") + scored("x") + scored("b") + scored("cEND"));
  const LogContent content = log(1);
  std::vector<std::string> texts;
  for (const auto& entry : content.entries) texts.push_back(entry.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"a E", "x", "b", "c"}));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NE(content.entries[i].aux.find('"' + texts[i] + '"'), std::string::npos) << i;
  }
  EXPECT_EQ(content.entries[3].aux, "") << "those of a text that was cut are not its own";
}

TEST_F(RelayTest, EachAnswerOfACallStopsByItself) {
  stops_ = {"."};
  begin(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + delta("c", 0));
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(status(2), "running");
  EXPECT_FALSE(relay_->over());
  bytes(delta("d.", 1));
  EXPECT_EQ(text(1), "a");
  EXPECT_EQ(text(2), "bd");
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, ChoicesOfOneAnswerStopAndEndTogether) {
  stops_ = {"."};
  begin_answer(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + delta("more", 0) + finish("length", 0));
  EXPECT_EQ(status(1), "running");
  bytes(delta("c.", 1));
  EXPECT_TRUE(relay_->over());
  EXPECT_EQ(text(1), "a");
  EXPECT_EQ(text(2), "bc");
  EXPECT_EQ(reason(1), "stop");

  begin_answer(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + finish("stop", 1));
  pass(kSecond);
  bytes(delta("more", 0));
  pass(kSecond);
  EXPECT_EQ(status(1), "completed") << "what a stopped choice goes on with is not waited for";
  EXPECT_EQ(text(2), "b");
}

// --- one answer of several choices

TEST_F(RelayTest, ChoicesOfOneAnswerEndTogetherAndTheFirstHasTheUsage) {
  begin_answer(3);
  head();
  bytes(delta("a", 0) + finish("length", 0) + delta("b", 1) + finish("stop", 1) + delta("c", 2));
  for (const JobHandle job : {1, 2, 3}) EXPECT_EQ(status(job), "running");
  bytes(finish("stop", 2));
  EXPECT_EQ(status(1), "running") << "the counts may follow";
  bytes(kUsageEvent + kDoneEvent);
  for (const JobHandle job : {1, 2, 3}) EXPECT_EQ(status(job), "completed");
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(has_usage(1));
  EXPECT_FALSE(has_usage(2));
  EXPECT_EQ(hub_->usage(2).completion_tokens, 1u);
  EXPECT_TRUE(hub_->usage(2).estimated);
}

TEST_F(RelayTest, TheEstimateOfOneAnswerCountsAllItsChoices) {
  begin_answer(2);
  head();
  bytes(delta("a", 0) + delta("b", 0) + delta("c", 1) + finish("stop", 0) + finish("stop", 1));
  pass(2 * kSecond);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(hub_->usage(1).completion_tokens, 3u);
  EXPECT_TRUE(hub_->usage(1).estimated);
  EXPECT_EQ(hub_->usage(2).completion_tokens, 1u);
}

TEST_F(RelayTest, ChoicesOfOneAnswerFailTogether) {
  begin_answer(2);
  head();
  bytes(delta("a", 0) + delta("b", 0) + finish("stop", 0));
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_EQ(failure(), Failure::kDisconnected);
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(status(1), "running");

  begin_answer(2);
  head();
  bytes(delta("a", 0) + finish("stop", 0) + finish("abort", 1) + kDoneEvent);
  EXPECT_EQ(failure(), Failure::kFinish);
  EXPECT_EQ(relay_->outcome().text, "abort");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{1, 1}));

  begin_answer(2);
  head();
  bytes(delta("a", 0) + finish("stop", 0) + kDoneEvent);
  EXPECT_EQ(failure(), Failure::kChoices) << "a choice that never came";
  EXPECT_EQ(relay_->outcome().text, "1 of 2");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{1, 1}));

  begin_answer(3);
  head();
  bytes(delta("a", 0) + delta("b", 1) + finish("stop", 0) + finish("length", 1));
  relay_->on_end(now_);
  EXPECT_EQ(failure(), Failure::kChoices) << "the body ends in good order";
  EXPECT_EQ(relay_->outcome().text, "2 of 3");

  begin_answer(2);
  head();
  bytes(delta("a", 0) + finish("stop", 0) + delta("b", 1));
  relay_->on_end(now_);
  EXPECT_EQ(failure(), Failure::kIncomplete) << "a choice that has begun";

  begin_answer(2);
  head();
  bytes(finish("stop", 0) + finish("stop", 1));
  relay_->on_broken(false, "", now_);
  EXPECT_EQ(failure(), Failure::kNone) << "nothing takes the finish reasons back";
  EXPECT_EQ(status(1), "completed");
}

TEST_F(RelayTest, AChoiceOfOneAnswerWhoseJobHasEndedIsLeftOut) {
  begin_answer(2);
  head();
  bytes(delta("a", 0) + delta("b", 1));
  cancel(2);
  bytes(finish("stop", 0) + kDoneEvent);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{-1, -1}));
}

struct Bad {
  const char* name;
  const char* type;
  std::string body;
  Failure failure;
  // For a body beyond the limit. It is made by its test: as a parameter it would be made at the
  // start of every process that runs any test.
  char filler = 0;
  const char* tail = "";

  [[nodiscard]] std::string whole_body() const {
    return filler == 0 ? body : body + std::string(1 << 24, filler) + tail;
  }

  friend void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }
};

class RelayFailures : public RelayTest, public testing::WithParamInterface<Bad> {};

TEST_P(RelayFailures, EndTheCallWithTheirKind) {
  begin(1);
  head(200, GetParam().type);
  bytes(GetParam().whole_body());
  if (!relay_->settled()) relay_->on_end(now_);
  EXPECT_EQ(failure(), GetParam().failure);
  EXPECT_EQ(relay_->outcome().failed, std::vector<std::int64_t>{0});
  EXPECT_EQ(status(1), "running") << "to be tried again or not: that is for others to say";
  EXPECT_TRUE(relay_->over() || relay_->next_deadline() == now_ + kSecond);
}

INSTANTIATE_TEST_SUITE_P(
    Relay, RelayFailures,
    testing::Values(
        Bad{"page", "text/html", "<html>", Failure::kContentType},
        Bad{"other_json", "application/json", "{\"ok\":true}", Failure::kInvalid},
        Bad{"broken_json", "application/json", "{\"ok\":", Failure::kInvalid},
        Bad{"error_json", "application/json", "{\"error\":{\"message\":\"no\"}}",
            Failure::kReported},
        Bad{"large_json", "application/json", "{", Failure::kInvalid, ' '},
        Bad{"broken_event", "text/event-stream", "data: {\"choices\":\n\n", Failure::kInvalid},
        Bad{"large_event", "text/event-stream", "data: ", Failure::kInvalid, 'x', "\n\n"},
        Bad{"error_event", "text/event-stream", "data: {\"error\":{\"message\":\"no\"}}\n\n",
            Failure::kReported},
        Bad{"index", "text/event-stream", delta("x", 2), Failure::kInvalid},
        Bad{"nothing", "text/event-stream", "", Failure::kIncomplete},
        Bad{"page_without_type", "", "<html>\n\n", Failure::kIncomplete},
        Bad{"only_done", "text/event-stream", kDoneEvent, Failure::kIncomplete}),
    [](const auto& given) { return std::string(given.param.name); });

TEST_F(RelayTest, ABreakBeforeTheHeadIsAnUpstreamThatCannotBeReached) {
  begin(1);
  relay_->on_broken(false, "ECONNREFUSED", now_);
  EXPECT_EQ(failure(), Failure::kUnreachable);
  EXPECT_EQ(relay_->outcome().code, "ECONNREFUSED");

  begin(1);
  relay_->on_broken(true, "", now_);
  EXPECT_EQ(failure(), Failure::kProtocol);
}

}  // namespace
}  // namespace sluice
