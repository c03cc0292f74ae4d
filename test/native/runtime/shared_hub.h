// A hub on a reactor whose readers are other threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/streams/hub.h"

namespace sluice {

// One reader's side of a subscriber: batches arrive from the reactor, a thread takes them.
class Inbox {
 public:
  void put(Subscriber::Batch batch) {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
    changed_.notify_one();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  // False once the subscriber has ended and everything has been taken.
  bool take(Subscriber::Batch& batch) {
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
  std::vector<Subscriber::Batch> batches_;
  bool ended_ = false;
};

// A hub as the addon has it: a machine on the reactor, whose observer hands over to other threads.
class SharedHub final : public Machine, public HubObserver {
 public:
  SharedHub() : hub(HubOptions{.stream_capacity = 16}, *this) {}

  JobHub hub;
  std::atomic<int> endings = 0;

  std::shared_ptr<Inbox> inbox(SubscriberHandle subscriber) {
    const std::lock_guard lock(mutex_);
    auto& inbox = inboxes_[subscriber];
    if (!inbox) inbox = std::make_shared<Inbox>();
    return inbox;
  }

  [[nodiscard]] Nanos next_deadline() const override { return hub.next_deadline(); }
  void advance(Nanos now) override { hub.advance(now); }
  void on_window(JobHandle job, std::uint64_t tokens) override {
    if (job == 1) window = tokens;
  }
  void on_ended(JobHandle /*job*/, std::string /*state*/) override { ++endings; }
  void on_purged(JobHandle /*job*/) override {}
  void on_subscriber_open(SubscriberHandle subscriber, bool finished) override {
    if (finished) inbox(subscriber)->end();
  }
  bool on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) override {
    inbox(subscriber)->put(std::move(batch));
    return false;
  }
  void on_subscriber_end(SubscriberHandle subscriber, std::string_view /*reason*/) override {
    inbox(subscriber)->end();
  }

  std::atomic<std::uint64_t> window = 16;  // of job 1

 private:
  std::mutex mutex_;
  std::map<SubscriberHandle, std::shared_ptr<Inbox>> inboxes_;
};

}  // namespace sluice
