// A hub under a hand-moved clock, and an observer that writes down what it says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/streams/hub.h"

namespace sluice {

struct Recorder final : HubObserver {
  std::map<JobHandle, std::uint64_t> window;
  std::vector<std::string> ended;
  std::vector<JobHandle> purged;
  std::map<ChannelHandle, std::string> frames;
  std::map<ChannelHandle, std::vector<std::string>> events;
  std::map<ChannelHandle, bool> last;  // what its latest batch said
  std::map<ChannelHandle, std::string> closed;
  std::map<ChannelHandle, bool> opened;
  std::vector<std::string> order;

  void on_window(JobHandle job, std::uint64_t tokens) override { window[job] = tokens; }
  void on_ended(JobHandle job, std::string state) override {
    order.push_back("ended " + std::to_string(job));
    ended.push_back(std::move(state));
  }
  void on_purged(JobHandle job) override { purged.push_back(job); }
  void on_channel_open(ChannelHandle channel, bool finished) override {
    opened[channel] = finished;
  }
  void on_batch(ChannelHandle channel, Channel::Batch& batch) override {
    order.push_back("batch " + std::to_string(channel));
    frames[channel] += batch.frames;
    last[channel] = batch.last;
    auto& all = events[channel];
    all.insert(all.end(), batch.events.begin(), batch.events.end());
  }
  void on_channel_end(ChannelHandle channel, std::string_view reason) override {
    closed[channel] = reason;
  }
};

class JobHubTest : public testing::Test {
 protected:
  void create(JobHandle job, JobOptions options = {}) {
    options.job_id = "job_" + std::to_string(job);
    hub_.create(job, options, now_);
    hub_.start(job, now_);
  }

  void attach(ChannelHandle channel, JobHandle job, const std::string& cursor = "",
              Channel::Mode mode = Channel::Mode::kFrames) {
    hub_.attach(channel, mode, false, {{job, cursor}}, now_);
    // The head of the response has left.
    if (mode == Channel::Mode::kFrames) hub_.acknowledge(channel, now_);
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

  // Acknowledges until the channel has nothing more to say.
  void read_all(ChannelHandle channel) {
    std::size_t before = 0;
    do {
      before = rec_.frames[channel].size() + rec_.events[channel].size();
      hub_.acknowledge(channel, now_);
      settle();
    } while (rec_.frames[channel].size() + rec_.events[channel].size() != before);
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
