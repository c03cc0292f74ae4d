// Relay: from an answer's bytes to the logs of its jobs.
#include <ostream>
#include <string>
#include <vector>

#include "relay_fixture.h"

namespace sluice {
namespace {

using Failure = RelayOutcome::Failure;

TEST_F(RelayTest, WritesTextAtOnceAndEndsOnceTheUsageIsThere) {
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
  // The relay still reads to the end of the body, so that the connection can be reused.
  EXPECT_FALSE(relay_->over());
  relay_->on_end(now_);
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, WaitsTwoSecondsForTheUsage) {
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

TEST_F(RelayTest, ReadsTheRestOfABodyForASecondAndSixtyFourKilobytes) {
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

TEST_F(RelayTest, AFailureConcernsOnlyJobsThatHaveNotEnded) {
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

TEST_F(RelayTest, AFailureAfterTheFinishReasonIsIgnored) {
  begin(1);
  head();
  bytes(delta("all") + finish("stop"));
  relay_->on_broken(false, "", now_);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(failure(), Failure::kNone);
}

TEST_F(RelayTest, TheIdleTimeoutCountsFromTheLastByteAndNotWhileBlocked) {
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

TEST_F(RelayTest, AClosedWindowStopsTheRelayInTheMiddleOfAChunk) {
  begin(1, 2);
  attach(1, 1);
  head();
  // The relay keeps the rest of these bytes.
  EXPECT_TRUE(bytes(delta("a") + delta("b") + delta("c") + delta("d") + finish("stop")));
  EXPECT_EQ(text(1), "ab");
  EXPECT_TRUE(relay_->blocked());
  EXPECT_FALSE(bytes(kDoneEvent)) << "refused: the caller passes them again later";
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

TEST_F(RelayTest, ABreakAfterHeldBytesIsReportedAfterThem) {
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

TEST_F(RelayTest, MakesNoCallForJobsThatHaveEnded) {
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

TEST_F(RelayTest, TheStatusOfARefusalIsEnough) {
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

TEST_F(RelayTest, ReadsAnAnswerWithoutStreaming) {
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

TEST_F(RelayTest, AcceptsAnEventOfSixteenMegabytes) {
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

TEST_F(RelayTest, AToolCallAfterTheFinishReasonHasArgumentsForEveryEndOfTheBody) {
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

TEST_F(RelayTest, KeepsTheHeadOfAnEmptyAnswer) {
  begin(1);
  head();
  bytes("data: {\"model\":\"m\",\"choices\":[{\"delta\":{}}]}\n\n" + kDoneEvent);
  EXPECT_EQ(reason(1), "stop");
  EXPECT_EQ(log(1).head.model, "m");
}

// --- one answer of several choices

TEST_F(RelayTest, ChoicesOfOneAnswerEndTogetherAndTheFirstHasTheUsage) {
  begin_answer(3);
  head();
  bytes(delta("a", 0) + finish("length", 0) + delta("b", 1) + finish("stop", 1) + delta("c", 2));
  for (const JobHandle job : {1, 2, 3}) EXPECT_EQ(status(job), "running");
  bytes(finish("stop", 2));
  EXPECT_EQ(status(1), "running") << "the usage may follow";
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
  EXPECT_EQ(failure(), Failure::kNone) << "the finish reasons stand";
  EXPECT_EQ(status(1), "completed");
}

TEST_F(RelayTest, IgnoresAChoiceWhoseJobHasEnded) {
  begin_answer(2);
  head();
  bytes(delta("a", 0) + delta("b", 1));
  cancel(2);
  bytes(finish("stop", 0) + kDoneEvent);
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{-1, -1}));
}

struct FailureCase {
  const char* name;
  const char* type;
  std::string body;
  Failure failure;
  // For a body beyond the limit, which the test builds: a parameter would be built at the start of
  // every process that runs any test.
  char filler = 0;
  const char* tail = "";

  [[nodiscard]] std::string whole_body() const {
    return filler == 0 ? body : body + std::string(1 << 24, filler) + tail;
  }

  friend void PrintTo(const FailureCase& failure_case, std::ostream* out) {
    *out << failure_case.name;
  }
};

class RelayFailures : public RelayTest, public testing::WithParamInterface<FailureCase> {};

TEST_P(RelayFailures, EndTheCallWithTheirKind) {
  begin(1);
  head(200, GetParam().type);
  bytes(GetParam().whole_body());
  if (!relay_->settled()) relay_->on_end(now_);
  EXPECT_EQ(failure(), GetParam().failure);
  EXPECT_EQ(relay_->outcome().failed, std::vector<std::int64_t>{0});
  EXPECT_EQ(status(1), "running") << "the caller decides on a retry";
  EXPECT_TRUE(relay_->over() || relay_->next_deadline() == now_ + kSecond);
}

INSTANTIATE_TEST_SUITE_P(
    Relay, RelayFailures,
    testing::Values(
        FailureCase{"page", "text/html", "<html>", Failure::kContentType},
        FailureCase{"other_json", "application/json", "{\"ok\":true}", Failure::kInvalid},
        FailureCase{"broken_json", "application/json", "{\"ok\":", Failure::kInvalid},
        FailureCase{"error_json", "application/json", "{\"error\":{\"message\":\"no\"}}",
                    Failure::kReported},
        FailureCase{"large_json", "application/json", "{", Failure::kInvalid, ' '},
        FailureCase{"broken_event", "text/event-stream", "data: {\"choices\":\n\n",
                    Failure::kInvalid},
        FailureCase{"large_event", "text/event-stream", "data: ", Failure::kInvalid, 'x', "\n\n"},
        FailureCase{"error_event", "text/event-stream",
                    "data: {\"error\":{\"message\":\"no\"}}\n\n", Failure::kReported},
        FailureCase{"index", "text/event-stream", delta("x", 2), Failure::kInvalid},
        FailureCase{"nothing", "text/event-stream", "", Failure::kIncomplete},
        FailureCase{"page_without_type", "", "<html>\n\n", Failure::kIncomplete},
        FailureCase{"only_done", "text/event-stream", kDoneEvent, Failure::kIncomplete}),
    [](const auto& given) { return std::string(given.param.name); });

TEST_F(RelayTest, ABreakBeforeTheHeadIsAnUnreachableUpstream) {
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
