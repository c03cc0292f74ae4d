// The hub on a real reactor, with threads that append, resume, cancel and end at the same time.
// What must hold whatever the order: every reader sees ids without a hole, each once, and one
// terminal event. Run under ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/job_hub.h"
#include "runtime/reactor.h"

namespace sluice {
namespace {

// One reader's side of a channel: batches arrive from the reactor, a thread takes them.
class Inbox {
 public:
  void put(Channel::Batch batch) {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
    changed_.notify_one();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  // False once the channel has ended and everything has been taken.
  bool take(Channel::Batch& batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !batches_.empty(); });
    if (batches_.empty()) return false;
    batch = std::move(batches_.front());
    batches_.erase(batches_.begin());
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Channel::Batch> batches_;
  bool ended_ = false;
};

// A hub as the addon has it: a machine on the reactor, whose observer hands over to other threads.
class SharedHub final : public Machine, public HubObserver {
 public:
  SharedHub() : hub(HubOptions{.stream_capacity = 16}, *this) {}

  JobHub hub;
  std::atomic<int> endings = 0;

  std::shared_ptr<Inbox> inbox(ChannelHandle channel) {
    const std::lock_guard lock(mutex_);
    auto& inbox = inboxes_[channel];
    if (!inbox) inbox = std::make_shared<Inbox>();
    return inbox;
  }

  [[nodiscard]] Nanos next_deadline() const override { return hub.next_deadline(); }
  void advance(Nanos now) override { hub.advance(now); }
  void on_window(JobHandle /*job*/, std::uint64_t tokens) override { window = tokens; }
  void on_ended(JobHandle /*job*/, std::string /*state*/) override { ++endings; }
  void on_purged(JobHandle /*job*/) override {}
  void on_channel_open(ChannelHandle channel, bool finished) override {
    if (finished) inbox(channel)->end();
  }
  void on_batch(ChannelHandle channel, Channel::Batch& batch) override {
    inbox(channel)->put(std::move(batch));
  }
  void on_channel_end(ChannelHandle channel, std::string_view /*reason*/) override {
    inbox(channel)->end();
  }

  std::atomic<std::uint64_t> window = 16;

 private:
  std::mutex mutex_;
  std::map<ChannelHandle, std::shared_ptr<Inbox>> inboxes_;
};

// Reads a job to its end, leaving and resuming from its cursor every few events.
void read_with_cuts(Reactor& reactor, const std::shared_ptr<SharedHub>& shared, unsigned seed,
                    std::atomic<std::uint64_t>& next_channel, std::uint64_t& tokens,
                    int& terminals) {
  std::mt19937 random(seed);
  std::string cursor;
  std::uint64_t expected = 1;
  while (terminals == 0) {
    const ChannelHandle channel = next_channel++;
    const auto inbox = shared->inbox(channel);
    reactor.post([=](Nanos now) {
      shared->hub.attach(channel, Channel::Mode::kEvents, false, {{1, cursor}}, now);
    });
    auto until_cut = 1 + random() % 40;
    Channel::Batch batch;
    while (until_cut > 0 && inbox->take(batch)) {
      for (std::size_t i = 0; i < batch.events.size() && until_cut > 0; i += 3, --until_cut) {
        cursor = batch.events[i];
        ASSERT_EQ(cursor, "1-" + std::to_string(expected++)) << "a hole or a double";
        if (batch.events[i + 1] == "token") {
          ++tokens;
        } else {
          ++terminals;
        }
      }
      reactor.post([=](Nanos now) { shared->hub.acknowledge(channel, now); });
    }
    reactor.post([=](Nanos now) { shared->hub.detach(channel, now); });
  }
}

TEST(JobHubStress, ResumeAgainstAppendAndCancelAgainstEnd) {
  constexpr int kRounds = 20;
  constexpr int kReaders = 4;
  constexpr std::uint64_t kTokens = 2000;
  for (unsigned round = 0; round < kRounds; ++round) {
    Reactor reactor;
    const auto shared = std::make_shared<SharedHub>();
    reactor.post([&reactor, shared](Nanos now) {
      reactor.add(shared);
      shared->hub.create(1, {.job_id = "job_1"}, now);
    });
    std::atomic<std::uint64_t> next_channel = 1;
    std::vector<std::uint64_t> tokens(kReaders);
    std::vector<int> terminals(kReaders);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kReaders; ++i) {
      threads.emplace_back([&, i] {
        read_with_cuts(reactor, shared, round * 100 + i, next_channel, tokens[i], terminals[i]);
      });
    }
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < kTokens && shared->endings == 0; ++n) {
        while (n >= shared->window && shared->endings == 0) std::this_thread::yield();
        reactor.post([shared](Nanos now) { shared->hub.append(1, "t", now); });
      }
      reactor.post([shared](Nanos now) { shared->hub.finish(1, {}, now); });
    });
    threads.emplace_back([&] {
      // Half of the rounds cancel somewhere on the way, against the end.
      if (round % 2 == 0) return;
      for (unsigned spin = 0; spin < round * 400; ++spin) std::this_thread::yield();
      Terminal cancelled;
      cancelled.kind = Terminal::Kind::kCancelled;
      reactor.post([shared, cancelled](Nanos now) { shared->hub.finish(1, cancelled, now); });
    });
    for (std::thread& thread : threads) thread.join();
    reactor.stop();
    EXPECT_EQ(shared->endings, 1);
    for (std::size_t i = 0; i < kReaders; ++i) {
      EXPECT_EQ(terminals[i], 1);
      EXPECT_EQ(tokens[i], tokens[0]);
      if (round % 2 == 0) {
        EXPECT_EQ(tokens[i], kTokens);
      }
    }
  }
}

}  // namespace
}  // namespace sluice
