// A hub under injected time, and an observer that records its calls.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/streams/event_log_text.h"
#include "core/streams/hub.h"

namespace sluice {

struct Recorder final : HubObserver {
  std::map<JobHandle, std::uint64_t> window;
  std::vector<std::string> ended;
  std::vector<std::pair<JobHandle, std::string>> ending;  // and their states
  std::vector<JobHandle> purged;
  std::map<SubscriberHandle, std::string> frames;
  std::map<SubscriberHandle, std::vector<std::string>> events;
  std::map<SubscriberHandle, bool> last;  // whether its latest batch was the last
  std::map<SubscriberHandle, std::string> closed;
  std::map<SubscriberHandle, bool> opened;
  std::map<SubscriberHandle, std::string> whole;
  std::vector<std::string> order;
  bool takes_batches = false;  // at once, without an `acknowledge`
  std::vector<JobHandle> begun;
  std::vector<JobHandle> loaded;
  std::map<JobHandle, bool> fenced;  // and whether their ending was told
  std::function<void(JobHandle)> when_purged = [](JobHandle) {};

  void on_window(JobHandle job, std::uint64_t tokens) override { window[job] = tokens; }
  void on_begun(JobHandle job) override {
    order.push_back("begun " + std::to_string(job));
    begun.push_back(job);
  }
  void on_ended(JobHandle job, std::string state) override {
    order.push_back("ended " + std::to_string(job));
    ended.push_back(std::move(state));
  }
  void on_purged(JobHandle job) override {
    purged.push_back(job);
    when_purged(job);
  }
  void on_ending(JobHandle job, std::string state) override {
    order.push_back("ending " + std::to_string(job));
    ending.emplace_back(job, std::move(state));
  }
  void on_loaded(JobHandle job) override { loaded.push_back(job); }
  void on_fenced(JobHandle job, bool told) override { fenced[job] = told; }
  void on_subscriber_open(SubscriberHandle subscriber, bool finished) override {
    opened[subscriber] = finished;
  }
  void on_subscriber_whole(SubscriberHandle subscriber, std::string& all) override {
    order.push_back("whole " + std::to_string(subscriber));
    whole[subscriber] = all;
  }
  bool on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) override {
    order.push_back("batch " + std::to_string(subscriber));
    frames[subscriber] += batch.frames;
    last[subscriber] = batch.last;
    auto& all = events[subscriber];
    all.insert(all.end(), batch.events.begin(), batch.events.end());
    return takes_batches;
  }
  void on_subscriber_end(SubscriberHandle subscriber, std::string_view reason) override {
    closed[subscriber] = reason;
  }
};

class JobHubTest : public testing::Test {
 protected:
  void create(JobHandle job, JobOptions options = {}) {
    options.job_id = "job_" + std::to_string(job);
    hub_.create(job, options, now_);
    hub_.start(job, {}, now_);
  }

  void attach(SubscriberHandle subscriber, JobHandle job, const std::string& cursor = "",
              Subscriber::Mode mode = Subscriber::Mode::kFrames) {
    hub_.attach(subscriber, mode, false, {{job, cursor}}, now_);
    // The head of the response has been sent.
    if (mode == Subscriber::Mode::kFrames) hub_.acknowledge(subscriber, now_);
    settle();
  }

  void settle() {
    while (hub_.next_deadline() <= now_) hub_.advance(now_);
  }

  // Moves the clock, stopping at every deadline on the way.
  void pass(Nanos span) {
    const Nanos until = now_ + span;
    while (hub_.next_deadline() <= until) {
      now_ = std::max(now_, hub_.next_deadline());
      hub_.advance(now_);
    }
    now_ = until;
  }

  void append(JobHandle job, int count) {
    for (int i = 0; i < count; ++i) hub_.append(job, "t", now_);
    settle();
  }

  // Acknowledges until the subscriber has no further batch.
  void read_all(SubscriberHandle subscriber) {
    std::size_t before = 0;
    do {
      before = rec_.frames[subscriber].size() + rec_.events[subscriber].size();
      hub_.acknowledge(subscriber, now_);
      settle();
    } while (rec_.frames[subscriber].size() + rec_.events[subscriber].size() != before);
  }

  static Terminal complete() {
    Terminal terminal;
    terminal.reason = "stop";
    return terminal;
  }

  Recorder rec_;
  JobHub hub_{HubOptions{}, rec_};
  Nanos now_ = kSecond;
};

}  // namespace sluice
