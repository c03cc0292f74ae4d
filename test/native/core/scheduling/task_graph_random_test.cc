// Random graphs against an independent model: each run terminates, and each task has the one
// ending determined by the graph and the outcomes of the tasks, in any order of events.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "core/scheduling/task_graph.h"

namespace sluice {
namespace {

struct Scripted {
  std::vector<TaskId> after;
  std::uint64_t attempts_max;
  std::uint64_t failures;  // attempts that fail before one succeeds
  bool retryable;
  bool continued;
};

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t bound) {
  return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random);
}

// Tasks wait for ones of a lower rank only; ranks are dealt at random, so that the order of adding
// does not determine the order of running.
std::vector<Scripted> random_graph(Random& random) {
  const auto size = static_cast<TaskId>(1 + below(random, 40));
  std::vector<TaskId> rank(size);
  std::iota(rank.begin(), rank.end(), TaskId{0});
  std::shuffle(rank.begin(), rank.end(), random);
  const std::uint64_t density = 1 + below(random, 12);
  std::vector<Scripted> tasks(size);
  for (TaskId i = 0; i < size; ++i) {
    for (TaskId j = 0; j < size; ++j) {
      if (rank[j] < rank[i] && below(random, density) == 0) tasks[i].after.push_back(j);
    }
    tasks[i].attempts_max = 1 + below(random, 4);
    tasks[i].failures = below(random, 3) == 0 ? below(random, 6) : 0;
    tasks[i].retryable = below(random, 5) != 0;
    tasks[i].continued = below(random, 3) == 0;
  }
  return tasks;
}

// The endings by the documented rules, computed backwards from each task: it shares
// no code with the machine, which works forwards.
class Model {
 public:
  explicit Model(const std::vector<Scripted>& tasks)
      : tasks_(tasks), endings_(tasks.size(), TaskState::kWaiting) {}

  TaskState ending(TaskId task) {
    TaskState& known = endings_[task];
    if (known == TaskState::kWaiting) known = find(tasks_[task]);
    return known;
  }

  [[nodiscard]] std::uint64_t attempts(TaskId task) {
    const Scripted& script = tasks_[task];
    if (ending(task) == TaskState::kSkipped) return 0;
    if (script.failures == 0 || !script.retryable) return 1;
    return std::min(script.failures + 1, script.attempts_max);
  }

 private:
  TaskState find(const Scripted& script) {
    for (const TaskId dependency : script.after) {
      const TaskState before = ending(dependency);
      if (before == TaskState::kSkipped) return TaskState::kSkipped;
      if (before == TaskState::kFailed && !tasks_[dependency].continued) return TaskState::kSkipped;
    }
    const std::uint64_t attempts = script.retryable ? script.attempts_max : 1;
    return script.failures < attempts ? TaskState::kComplete : TaskState::kFailed;
  }

  const std::vector<Scripted>& tasks_;
  std::vector<TaskState> endings_;
};

// Runs a graph with its tasks ending in random order, and checks each report of the machine.
class Player : public TaskObserver {
 public:
  Player(const std::vector<Scripted>& tasks, std::size_t concurrency, Random& random)
      : tasks_(tasks),
        concurrency_(concurrency),
        random_(random),
        endings_(tasks.size()),
        attempts_(tasks.size()) {
    for (TaskId i = 0; i < tasks.size(); ++i) {
      std::vector<std::string> after;
      for (const TaskId dependency : tasks[i].after) after.push_back(std::to_string(dependency));
      plan_.add(std::to_string(i), after,
                {.attempts_max = tasks[i].attempts_max,
                 .backoff_base = kMillisecond,
                 .backoff_cap = 50 * kMillisecond,
                 .continue_on_failure = tasks[i].continued});
    }
  }

  void play() {
    ASSERT_EQ(plan_.check().kind, PlanFault::Kind::kNone);
    TaskGraph graph(plan_, concurrency_, *this);
    graph.start();
    for (int turn = 0; !graph.has_ended(); ++turn) {
      ASSERT_LT(turn, 100'000) << "does not terminate";
      ASSERT_LE(running_.size(), concurrency_);
      ASSERT_EQ(graph.running(), running_.size());
      const bool wait = running_.empty() || below(random_, 4) == 0;
      if (wait && graph.next_deadline() != kNever) {
        now_ = std::max(now_, graph.next_deadline());
        graph.advance(now_);
        continue;
      }
      ASSERT_FALSE(running_.empty()) << "stuck: nothing runs and nothing is due";
      end_one(graph);
    }
    ASSERT_TRUE(running_.empty());
    ASSERT_EQ(ended_, 1);
  }

  void compare(Model& model) const {
    for (TaskId i = 0; i < tasks_.size(); ++i) {
      ASSERT_EQ(endings_[i].size(), 1u) << "task " << i << " has one ending";
      ASSERT_EQ(endings_[i][0], model.ending(i)) << "task " << i;
      ASSERT_EQ(attempts_[i], model.attempts(i)) << "task " << i;
    }
  }

  void started(TaskId task, std::uint64_t attempt) override {
    EXPECT_EQ(attempt, ++attempts_[task]);
    EXPECT_TRUE(endings_[task].empty());
    for (const TaskId dependency : tasks_[task].after) EXPECT_FALSE(endings_[dependency].empty());
    running_.push_back(task);
  }
  void retrying(TaskId task, std::uint64_t attempt, Nanos delay) override {
    EXPECT_EQ(attempt, attempts_[task] + 1);
    EXPECT_LE(delay, 50 * kMillisecond);
  }
  void completed(TaskId task) override { endings_[task].push_back(TaskState::kComplete); }
  void failed(TaskId task) override { endings_[task].push_back(TaskState::kFailed); }
  void skipped(TaskId task, TaskId culprit) override {
    endings_[task].push_back(TaskState::kSkipped);
    EXPECT_EQ(endings_[culprit], std::vector{TaskState::kFailed});
  }
  void ended() override { ++ended_; }

 private:
  void end_one(TaskGraph& graph) {
    const auto at = static_cast<std::ptrdiff_t>(below(random_, running_.size()));
    const TaskId task = running_[static_cast<std::size_t>(at)];
    running_.erase(running_.begin() + at);
    if (attempts_[task] > tasks_[task].failures) {
      graph.complete(task);
      return;
    }
    const double luck = std::uniform_real_distribution<double>(0, 1)(random_);
    graph.fail(task, {.retryable = tasks_[task].retryable, .random = luck}, now_);
  }

  const std::vector<Scripted>& tasks_;
  const std::size_t concurrency_;
  Random& random_;
  TaskPlan plan_;
  Nanos now_ = 0;
  std::vector<TaskId> running_;
  std::vector<std::vector<TaskState>> endings_;
  std::vector<std::uint64_t> attempts_;
  int ended_ = 0;
};

TEST(TaskGraphRandom, EveryTaskHasTheOneEndingOfTheRules) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const std::vector<Scripted> tasks = random_graph(random);
    Model model(tasks);
    Player player(tasks, 1 + below(random, 6), random);
    player.play();
    if (testing::Test::HasFatalFailure()) return;
    player.compare(model);
    if (testing::Test::HasFailure()) return;
  }
}

// Any graph, cycles included: it is refused exactly if removing tasks without dependencies
// (Kahn's algorithm, which the machine does not use) leaves some tasks.
TEST(TaskGraphRandom, CyclesAreFoundWhereThereAreAny) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto size = static_cast<TaskId>(1 + below(random, 12));
    std::vector<std::vector<TaskId>> after(size);
    TaskPlan plan;
    for (TaskId i = 0; i < size; ++i) {
      std::vector<std::string> names;
      for (TaskId j = 0; j < size; ++j) {
        if (below(random, size) != 0) continue;
        after[i].push_back(j);
        names.push_back(std::to_string(j));
      }
      plan.add(std::to_string(i), names, {});
    }
    std::vector<bool> gone(size, false);
    for (TaskId round = 0; round < size; ++round) {
      for (TaskId i = 0; i < size; ++i) {
        gone[i] = std::all_of(after[i].begin(), after[i].end(), [&](TaskId j) { return gone[j]; });
      }
    }
    const bool cyclic = std::find(gone.begin(), gone.end(), false) != gone.end();
    const PlanFault fault = plan.check();
    ASSERT_EQ(fault.kind == PlanFault::Kind::kCycle, cyclic);
    for (std::size_t i = 0; i < fault.cycle.size(); ++i) {
      const TaskId next = fault.cycle[(i + 1) % fault.cycle.size()];
      const auto& waits_for = after[next];
      ASSERT_NE(std::find(waits_for.begin(), waits_for.end(), fault.cycle[i]), waits_for.end())
          << next << " waits for " << fault.cycle[i];
    }
  }
}

}  // namespace
}  // namespace sluice
