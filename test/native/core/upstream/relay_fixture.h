// A hub, a relay over its jobs, and events of an answer.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/upstream/relay.h"
#include "log_reader.h"

namespace sluice {

inline constexpr Nanos kIdle = 10 * kSecond;

inline std::string delta(std::string_view text, int index = 0) {
  return "data: {\"choices\":[{\"index\":" + std::to_string(index) + ",\"text\":\"" +
         std::string(text) + "\"}]}\n\n";
}

inline std::string finish(std::string_view reason, int index = 0) {
  return "data: {\"choices\":[{\"index\":" + std::to_string(index) +
         ",\"text\":\"\",\"finish_reason\":\"" + std::string(reason) + "\"}]}\n\n";
}

inline std::string call_event(std::string_view members) {
  return "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0," + std::string(members) +
         "}]}}]}\n\n";
}

inline const std::string kUsageEvent =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
inline const std::string kDoneEvent = "data: [DONE]\n\n";

// A hub with jobs 1..n, readers with manual acknowledgement, and a relay over all jobs.
// Time is moved by hand.
class RelayTest : public testing::Test, public HubObserver {
 protected:
  using Failure = RelayOutcome::Failure;

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
  // One answer of several choices.
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

}  // namespace sluice
