// Valid plans, and the errors of invalid ones.
#include "core/scheduling/task_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

using Ids = std::vector<TaskId>;
using Kind = PlanFault::Kind;
using Names = std::vector<std::string>;

TaskPlan plan_of(const std::vector<std::pair<std::string, Names>>& tasks) {
  TaskPlan plan;
  for (const auto& [name, after] : tasks) plan.add(name, after, {});
  return plan;
}

TEST(TaskPlan, ResolvesNamesInAnyOrderOfAdding) {
  TaskPlan plan = plan_of(
      {{"last", {"left", "right"}}, {"right", {"first"}}, {"first", {}}, {"left", {"first"}}});
  EXPECT_EQ(plan.check().kind, Kind::kNone);
  EXPECT_EQ(plan.dependencies(0), (Ids{3, 1}));
  EXPECT_EQ(plan.dependencies(1), Ids{2});
  EXPECT_EQ(plan.dependencies(2), Ids{});
}

TEST(TaskPlan, AnEmptyOneIsFine) {
  TaskPlan plan;
  EXPECT_EQ(plan.check().kind, Kind::kNone);
}

TEST(TaskPlan, NamesTheSecondOfTwo) {
  TaskPlan plan = plan_of({{"a", {}}, {"b", {}}, {"a", {}}});
  const PlanFault fault = plan.check();
  EXPECT_EQ(fault.kind, Kind::kDuplicate);
  EXPECT_EQ(fault.task, 2u);
}

TEST(TaskPlan, NamesTheTaskAndTheDependencyThatIsUnknown) {
  TaskPlan plan = plan_of({{"a", {}}, {"b", {"a", "nobody"}}});
  const PlanFault fault = plan.check();
  EXPECT_EQ(fault.kind, Kind::kUnknown);
  EXPECT_EQ(fault.task, 1u);
  EXPECT_EQ(fault.dependency, 1u);
}

TEST(TaskPlan, WaitingForOneselfIsACycleOfOne) {
  TaskPlan plan = plan_of({{"a", {}}, {"b", {"a", "b"}}});
  const PlanFault fault = plan.check();
  EXPECT_EQ(fault.kind, Kind::kCycle);
  EXPECT_EQ(fault.cycle, Ids{1});
}

TEST(TaskPlan, ReportsACycleInTheOrderOfExecution) {
  // b waits for a, c for b, d for c, a for d: a -> b -> c -> d -> a. Others hang on both sides.
  TaskPlan plan = plan_of({{"before", {}},
                           {"a", {"before", "d"}},
                           {"c", {"b"}},
                           {"b", {"a"}},
                           {"d", {"c"}},
                           {"behind", {"d"}}});
  const PlanFault fault = plan.check();
  EXPECT_EQ(fault.kind, Kind::kCycle);
  EXPECT_EQ(fault.cycle, (Ids{1, 3, 2, 4}));
}

TEST(TaskPlan, ADiamondIsNoCycle) {
  TaskPlan plan = plan_of({{"a", {}}, {"b", {"a"}}, {"c", {"a"}}, {"d", {"b", "c", "a", "a"}}});
  EXPECT_EQ(plan.check().kind, Kind::kNone);
}

TEST(TaskPlan, AChainOfTwentyThousandIsWalkedWithoutRecursion) {
  constexpr std::size_t kLength = 20'000;
  TaskPlan plan;
  // Each waits for the one that is added after it, so that the walk goes all the way down.
  for (std::size_t i = 0; i < kLength; ++i) {
    plan.add(std::to_string(i), i + 1 < kLength ? Names{std::to_string(i + 1)} : Names{}, {});
  }
  EXPECT_EQ(plan.check().kind, Kind::kNone);
  plan.add("closing", {"0"}, {});
  EXPECT_EQ(plan.check().kind, Kind::kNone);
}

TEST(TaskPlan, ReportsARingOfTwentyThousandInFull) {
  constexpr TaskId kLength = 20'000;
  TaskPlan plan;
  for (TaskId i = 0; i < kLength; ++i) {
    plan.add(std::to_string(i), {std::to_string((i + kLength - 1) % kLength)}, {});
  }
  const PlanFault fault = plan.check();
  ASSERT_EQ(fault.kind, Kind::kCycle);
  ASSERT_EQ(fault.cycle.size(), kLength);
  for (TaskId i = 0; i < kLength; ++i) ASSERT_EQ(fault.cycle[i], i);
}

}  // namespace
}  // namespace sluice
