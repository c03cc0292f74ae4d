// One run of a task graph: order, places, retries, failures, cancelling, and the cost of large
// ones.
#include "core/scheduling/task_graph.h"

#include <gtest/gtest.h>

#include "core/scheduling/task_graph_fixture.h"
#include "milliseconds.h"

namespace sluice {
namespace {

using Log = std::vector<std::string>;

constexpr TaskOptions kThreeAttempts{
    .attempts_max = 3, .backoff_base = 100 * kMillisecond, .backoff_cap = 10 * kSecond};
constexpr TaskOptions kContinue{.continue_on_failure = true};
constexpr TaskGraph::Failure kHalf{.random = 0.5};

TEST(TaskGraph, AnEmptyOneEndsAtOnce) {
  GraphRig rig;
  rig.start();
  EXPECT_EQ(rig.log, Log{"end"});
}

TEST(TaskGraph, ATaskStartsWhenAllThatItWaitsForIsComplete) {
  GraphRig rig;
  rig.add("a").add("b").add("both", {"a", "b"}).start();
  EXPECT_EQ(rig.take_log(), (Log{"start a", "start b"}));
  rig.complete("b");
  EXPECT_EQ(rig.take_log(), Log{"done b"});
  rig.complete("a");
  EXPECT_EQ(rig.take_log(), (Log{"done a", "start both"}));
  rig.complete("both");
  EXPECT_EQ(rig.take_log(), (Log{"done both", "end"}));
}

TEST(TaskGraph, ADependencyNamedTwiceIsOne) {
  GraphRig rig;
  rig.add("a").add("b", {"a", "a"}).start();
  rig.complete("a");
  EXPECT_EQ(rig.log, (Log{"start a", "done a", "start b"}));
}

TEST(TaskGraph, RunsUpToTheNumberOfPlacesAndStartsReadyTasksInOrder) {
  GraphRig rig;
  rig.add("a").add("b").add("c").add("d", {"a"}).add("e").start(2);
  EXPECT_EQ(rig.take_log(), (Log{"start a", "start b"}));
  rig.complete("a");  // d is ready behind c and e
  EXPECT_EQ(rig.take_log(), (Log{"done a", "start c"}));
  rig.complete("c");
  EXPECT_EQ(rig.take_log(), (Log{"done c", "start e"}));
  rig.complete("b");
  EXPECT_EQ(rig.take_log(), (Log{"done b", "start d"}));
  EXPECT_EQ(rig.graph->running(), 2u);
}

TEST(TaskGraphFailure, SkipsDependantsAndFinishesTheRest) {
  GraphRig rig;
  rig.add("a").add("other").add("b", {"a"}).add("c", {"b", "other"}).add("d", {"other"}).start();
  rig.fail("a");
  EXPECT_EQ(rig.take_log(),
            (Log{"start a", "start other", "fail a", "skip b for a", "skip c for a"}));
  rig.complete("other");
  EXPECT_EQ(rig.take_log(), (Log{"done other", "start d"}));
  rig.complete("d");
  EXPECT_EQ(rig.take_log(), (Log{"done d", "end"}));
}

TEST(TaskGraphFailure, EachIsSkippedOnceForTheFirstThatFailed) {
  GraphRig rig;
  rig.add("a").add("b").add("c", {"a", "b"}).add("d", {"c", "b"}).start();
  rig.fail("b");
  rig.fail("a");
  EXPECT_EQ(rig.log,
            (Log{"start a", "start b", "fail b", "skip c for b", "skip d for b", "fail a", "end"}));
}

TEST(TaskGraphFailure, DependantsOfOneThatIsContinuedRun) {
  GraphRig rig;
  rig.add("a", {}, kContinue).add("b").add("c", {"a", "b"}).start();
  rig.fail("a");
  EXPECT_EQ(rig.take_log(), (Log{"start a", "start b", "fail a"}));
  rig.complete("b");
  rig.complete("c");
  EXPECT_EQ(rig.take_log(), (Log{"done b", "start c", "done c", "end"}));
}

TEST(TaskGraphFailure, OneThatIsSkippedIsNotContinued) {
  GraphRig rig;
  rig.add("a").add("b", {"a"}, kContinue).add("c", {"b"}).start();
  rig.fail("a");
  EXPECT_EQ(rig.log, (Log{"start a", "fail a", "skip b for a", "skip c for a", "end"}));
}

TEST(TaskGraphRetry, FullJitterDoubledEachTime) {
  GraphRig rig;
  rig.add("a", {}, kThreeAttempts).start();
  rig.fail("a", kHalf);  // half of 100 ms
  EXPECT_EQ(rig.take_log(), (Log{"start a", "retry a 2 in 50"}));
  rig.run_to(ms(50) - 1);
  EXPECT_EQ(rig.take_log(), Log{});
  rig.run_to(ms(50));
  EXPECT_EQ(rig.take_log(), Log{"start a 2"});
  rig.fail("a", kHalf);  // half of 200 ms
  EXPECT_EQ(rig.take_log(), Log{"retry a 3 in 100"});
  rig.run_to(ms(150));
  EXPECT_EQ(rig.take_log(), Log{"start a 3"});
  rig.fail("a", kHalf);
  EXPECT_EQ(rig.take_log(), (Log{"fail a", "end"}));
}

TEST(TaskGraphRetry, TheElevenHundredthAttemptWaitsForNoLongerThanTheCap) {
  GraphRig rig;
  rig.add("a", {}, {.attempts_max = 1101, .backoff_base = ms(500), .backoff_cap = ms(30'000)});
  rig.start();
  for (int attempt = 1; attempt <= 1100; ++attempt) {
    const Nanos before = rig.now;
    rig.fail("a", {.random = 1.0});
    const Nanos due = rig.graph->next_deadline();
    ASSERT_GE(due - before, ms(500)) << attempt;
    ASSERT_LE(due - before, ms(30'000)) << attempt;
    rig.run_to(due);
    ASSERT_EQ(rig.state("a"), TaskState::kRunning);
  }
  rig.fail("a");
  EXPECT_EQ(rig.state("a"), TaskState::kFailed);
}

TEST(TaskGraphRetry, WaitsAtLeastTheRetryAfterOfTheServer) {
  GraphRig rig;
  rig.add("a", {}, kThreeAttempts).start();
  rig.fail("a", {.retry_after = ms(7000), .random = 0.5});
  EXPECT_EQ(rig.log.back(), "retry a 2 in 7000");
  rig.run_to(ms(7000));
  rig.fail("a", {.retry_after = ms(10), .random = 0.5});  // the jitter is longer
  EXPECT_EQ(rig.log.back(), "retry a 3 in 100");
}

TEST(TaskGraphRetry, NotForAFailureThatForbidsItOrOneWithAnInfiniteDelay) {
  GraphRig rig;
  rig.add("a", {}, kThreeAttempts).add("b", {}, kThreeAttempts).start();
  rig.fail("a", {.retryable = false});
  EXPECT_EQ(rig.log.back(), "fail a");
  rig.fail("b", {.retry_after = kNever});
  EXPECT_EQ(rig.log.back(), "end");
}

TEST(TaskGraphRetry, AWaitingRetryHoldsNoPlaceAndPrecedesFirstAttempts) {
  GraphRig rig;
  rig.add("a", {}, kThreeAttempts).add("b").add("c").start(1);
  rig.fail("a", kHalf);
  EXPECT_EQ(rig.take_log(), (Log{"start a", "retry a 2 in 50", "start b"}));
  rig.run_to(ms(60));  // due, but there is no place
  EXPECT_EQ(rig.take_log(), Log{});
  EXPECT_EQ(rig.graph->running(), 1u);
  rig.complete("b");
  EXPECT_EQ(rig.take_log(), (Log{"done b", "start a 2"}));
}

TEST(TaskGraphCancel, EndsAtOnceWhateverTasksAreDoing) {
  GraphRig rig;
  rig.add("done").add("delayed", {}, kThreeAttempts).add("running").add("ready");
  rig.add("waiting", {"running"}).start(3);
  rig.complete("done");
  rig.fail("delayed", kHalf);
  rig.take_log();
  rig.graph->cancel();
  EXPECT_EQ(rig.take_log(), Log{"end"});
  EXPECT_EQ(rig.state("done"), TaskState::kComplete);
  for (const char* name : {"delayed", "running", "ready", "waiting"}) {
    EXPECT_EQ(rig.state(name), TaskState::kCancelled) << name;
  }
  EXPECT_EQ(rig.graph->next_deadline(), kNever);
}

TEST(TaskGraphCancel, NothingIsReportedAfterwards) {
  GraphRig rig;
  rig.add("a", {}, kThreeAttempts).add("b", {"a"}).start();
  rig.graph->cancel();
  rig.take_log();
  rig.complete("a");
  rig.fail("a");
  rig.graph->cancel();
  rig.run_to(kSecond);
  EXPECT_EQ(rig.log, Log{});
}

TEST(TaskGraph, WordOfATaskThatIsNotRunningIsIgnored) {
  GraphRig rig;
  rig.add("a").add("b", {"a"}).start();
  rig.complete("b");
  rig.fail("b");
  rig.graph->complete(99);
  rig.graph->fail(99, {}, 0);
  EXPECT_EQ(rig.take_log(), Log{"start a"});
  rig.complete("a");
  rig.complete("a");
  EXPECT_EQ(rig.log, (Log{"done a", "start b"}));
}

// --- large graphs: their cost is counted in steps, which do not depend on the machine

TEST(TaskGraphSize, AChainOfTwentyThousand) {
  constexpr std::uint64_t kLength = 20'000;
  GraphRig rig;
  for (std::uint64_t i = 0; i < kLength; ++i) {
    rig.add(std::to_string(i), i == 0 ? Log{} : Log{std::to_string(i - 1)});
  }
  rig.start(1);
  for (TaskId i = 0; i < kLength; ++i) rig.graph->complete(i);
  EXPECT_TRUE(rig.graph->has_ended());
  EXPECT_LE(rig.graph->steps(), 4 * kLength);
}

TEST(TaskGraphSize, AChainOfTwentyThousandIsSkippedWithoutRecursion) {
  constexpr std::uint64_t kLength = 20'000;
  GraphRig rig;
  for (std::uint64_t i = 0; i < kLength; ++i) {
    rig.add(std::to_string(i), i == 0 ? Log{} : Log{std::to_string(i - 1)});
  }
  rig.start(1);
  rig.fail("0");
  EXPECT_TRUE(rig.graph->has_ended());
  EXPECT_EQ(rig.graph->state(kLength - 1), TaskState::kSkipped);
  EXPECT_LE(rig.graph->steps(), 4 * kLength);
}

TEST(TaskGraphSize, OneToTenThousandToOne) {
  constexpr TaskId kWidth = 10'000;
  GraphRig rig;
  rig.add("first");
  Log middle;
  for (TaskId i = 0; i < kWidth; ++i) {
    middle.push_back(std::to_string(i));
    rig.add(middle.back(), {"first"});
  }
  rig.add("last", middle);
  rig.start(8);
  rig.graph->complete(0);
  EXPECT_EQ(rig.graph->running(), 8u);
  for (TaskId i = 1; i <= kWidth; ++i) rig.graph->complete(i);
  EXPECT_EQ(rig.graph->state(kWidth + 1), TaskState::kRunning);
  rig.graph->complete(kWidth + 1);
  EXPECT_TRUE(rig.graph->has_ended());
  // Two looks at each task, one at each of the 20,000 dependencies.
  EXPECT_LE(rig.graph->steps(), 2u * (kWidth + 2) + 2u * kWidth);
}

TEST(TaskGraphSize, ManyFailuresOverTheSameDependants) {
  // 200 failing tasks, each with the same 200 dependants: a dependency is visited once, not once
  // per failure and dependant of a dependant.
  constexpr TaskId kSide = 200;
  GraphRig rig;
  Log front;
  for (TaskId i = 0; i < kSide; ++i) {
    front.push_back("f" + std::to_string(i));
    rig.add(front.back());
  }
  for (TaskId i = 0; i < kSide; ++i) rig.add("b" + std::to_string(i), front);
  rig.start();
  for (TaskId i = 0; i < kSide; ++i) rig.graph->fail(i, {.retryable = false}, 0);
  EXPECT_TRUE(rig.graph->has_ended());
  EXPECT_LE(rig.graph->steps(), kSide * kSide + 4u * kSide);
}

}  // namespace
}  // namespace sluice
