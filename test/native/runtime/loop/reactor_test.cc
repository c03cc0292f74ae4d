// Reactor and ManualExecutor: order, timers, stop against post.
#include "runtime/loop/reactor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "runtime/loop/manual_executor.h"

namespace sluice {
namespace {

// Fires once at each of its due times and records when it was called.
class Alarm final : public Machine {
 public:
  explicit Alarm(std::vector<Nanos> due, std::function<void(Nanos)> fire)
      : due_(std::move(due)), fire_(std::move(fire)) {}
  [[nodiscard]] Nanos next_deadline() const override {
    return next_ < due_.size() ? due_[next_] : kNever;
  }
  void advance(Nanos now) override {
    while (next_ < due_.size() && due_[next_] <= now) {
      ++next_;
      fire_(now);
    }
  }

 private:
  std::vector<Nanos> due_;
  std::size_t next_ = 0;
  std::function<void(Nanos)> fire_;
};

TEST(Reactor, RunsCommandsInTheOrderPostedOnItsOwnThread) {
  Reactor reactor;
  std::vector<int> order;
  std::promise<std::thread::id> done;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(reactor.post([&order, i](Nanos) { order.push_back(i); }));
  }
  reactor.post([&done](Nanos) { done.set_value(std::this_thread::get_id()); });
  EXPECT_NE(done.get_future().get(), std::this_thread::get_id());
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Reactor, RunsGatheredCommandsInOrderAfterAWakeUp) {
  Reactor reactor;
  std::vector<int> order;
  std::promise<void> done;
  reactor.gather([&order](Nanos) { order.push_back(1); });
  reactor.gather([&](Nanos) {
    order.push_back(2);
    done.set_value();
  });
  reactor.wake();
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Reactor, ManyGatheredCommandsAndPostedOnesNeedNoWakeUp) {
  Reactor reactor;
  std::promise<void> many;
  for (int i = 0; i < 200; ++i) {
    reactor.gather([&many, i](Nanos) {
      if (i == 0) many.set_value();
    });
  }
  many.get_future().wait();
  std::promise<void> gathered;
  reactor.gather([&gathered](Nanos) { gathered.set_value(); });
  reactor.post([](Nanos) {});
  gathered.get_future().wait();
}

TEST(Reactor, StopRunsPendingCommands) {
  int ran = 0;
  Reactor reactor;
  reactor.gather([&ran](Nanos) { ++ran; });
  reactor.stop();
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(reactor.gather([](Nanos) {}));
  reactor.wake();
}

TEST(Reactor, FiresATimerNotBeforeItsDeadline) {
  Reactor reactor;
  const Nanos due = Reactor::now() + 20 * kMillisecond;
  std::promise<Nanos> fired;
  reactor.post([&](Nanos) {
    reactor.add(std::make_shared<Alarm>(std::vector<Nanos>{due},
                                        [&fired](Nanos now) { fired.set_value(now); }));
  });
  EXPECT_GE(fired.get_future().get(), due);
}

TEST(Reactor, StopAgainstPostLosesNoCommandSilently) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ran = 0;
    int accepted = 0;
    {
      Reactor reactor;
      std::thread poster([&] {
        while (reactor.post([&ran](Nanos) { ran.fetch_add(1, std::memory_order_relaxed); })) {
          ++accepted;
        }
      });
      std::this_thread::yield();
      reactor.stop();
      poster.join();
      EXPECT_FALSE(reactor.post([](Nanos) {}));
    }
    EXPECT_LE(ran.load(), accepted);
  }
}

TEST(Reactor, DestroysItsMachinesOnItsOwnThread) {
  std::thread::id destroyed_on;
  struct OnDestroy {
    explicit OnDestroy(std::thread::id* where) : id(where) {}
    OnDestroy(const OnDestroy&) = delete;
    OnDestroy& operator=(const OnDestroy&) = delete;
    std::thread::id* id;
    ~OnDestroy() { *id = std::this_thread::get_id(); }
  };
  std::thread::id reactor_thread;
  {
    Reactor reactor;
    std::promise<void> added;
    reactor.post([&](Nanos) {
      reactor_thread = std::this_thread::get_id();
      auto token = std::make_shared<OnDestroy>(&destroyed_on);
      reactor.add(std::make_shared<Alarm>(std::vector<Nanos>{}, [token](Nanos) {}));
      added.set_value();
    });
    added.get_future().wait();
  }
  EXPECT_EQ(destroyed_on, reactor_thread);
}

TEST(ManualExecutor, FiresDueTimersInOrderAcrossMachines) {
  ManualExecutor executor;
  std::vector<std::pair<char, Nanos>> fired;
  executor.post([&](Nanos) {
    executor.add(std::make_shared<Alarm>(std::vector<Nanos>{10, 30},
                                         [&](Nanos now) { fired.emplace_back('a', now); }));
    executor.add(std::make_shared<Alarm>(std::vector<Nanos>{20, 40},
                                         [&](Nanos now) { fired.emplace_back('b', now); }));
  });
  executor.advance_to(35);
  const std::vector<std::pair<char, Nanos>> expected{{'a', 10}, {'b', 20}, {'a', 30}};
  EXPECT_EQ(fired, expected);
  EXPECT_EQ(executor.now(), 35);
  executor.advance_to(20);
  EXPECT_EQ(executor.now(), 35) << "time never goes back";
}

TEST(ManualExecutor, RunsANestedPostAfterTheCommandThatPostedIt) {
  ManualExecutor executor;
  std::vector<int> order;
  executor.post([&](Nanos) {
    executor.post([&](Nanos) { order.push_back(2); });
    order.push_back(1);
  });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace sluice
