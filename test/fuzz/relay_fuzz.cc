// Fuzzes the relay of an upstream's response into the logs of jobs: for any cuts of the body the
// logs are the same; every job that is not failed has ended; the call ends.
//
// The first bytes of the input choose the options, the head and the cuts, the rest is the body.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/upstream/relay.h"
#include "fuzz.h"

namespace {

using namespace sluice;

class NoObserver final : public HubObserver {
 public:
  Relay* relay = nullptr;

  void on_window(JobHandle, std::uint64_t) override {}
  void on_ended(JobHandle job, std::string) override {
    if (relay != nullptr) relay->forget(job);
  }
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch&) override { return false; }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}
};

struct Setup {
  std::size_t jobs = 1;
  bool one_answer = false;
  bool stops = false;
  int status = 200;
  std::string_view type;
  bool broken = false;
};

// The states of the jobs and the outcome.
std::string relayed(const Setup& setup, std::string_view body, std::size_t piece) {
  const Nanos now = kSecond;
  NoObserver observer;
  JobHub hub({}, observer);
  Relay::Options options{.idle = kSecond, .jobs = {}, .one_answer = setup.one_answer};
  options.random = [] { return std::uint64_t{7}; };
  if (setup.stops) options.stops = {"END", "aab", "\n\n"};
  for (JobHandle job = 1; job <= setup.jobs; ++job) {
    hub.create(job, {.job_id = "j", .wall_time_max = kNever, .prompt_tokens = 5}, now);
    hub.start(job, {}, now);
    options.jobs.push_back(job);
  }
  Relay relay(std::move(options), hub, now);
  observer.relay = &relay;
  const auto turn = [&] {
    if (hub.next_deadline() <= now) hub.advance(now);
  };
  relay.on_head({.status = setup.status,
                 .content_type = setup.type,
                 .retry_after = "1",
                 .retry_after_ms = {}},
                now);
  in_pieces(body, piece, [&](std::string_view part) {
    require(relay.on_bytes(part, now), "without readers nothing blocks");
    turn();
  });
  if (setup.broken) {
    relay.on_broken(false, "ECONNRESET", now);
  } else {
    relay.on_end(now);
  }
  turn();
  require(relay.over() && relay.settled(), "the end of the body is the end of the call");
  std::string all = relay.outcome().to_json();
  for (JobHandle job = 1; job <= setup.jobs; ++job) {
    const std::string state = hub.state(job, true, now);
    require(valid_utf8_prefix(state) == state.size(), "states are valid UTF-8");
    const bool failed = relay.outcome().failed[job - 1] >= 0;
    require(hub.is_open(job) == failed, "a job has ended, or its answer has failed");
    all.append(1, '\n').append(state);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::uint8_t flags = input.byte();
  constexpr std::string_view kTypes[] = {"text/event-stream", "application/json", "text/plain", ""};
  Setup setup;
  setup.jobs = 1U + (flags & 1U);
  setup.one_answer = (flags & 2) != 0;
  setup.stops = (flags & 4) != 0;
  setup.status = (flags & 24) == 24 ? 400 : 200;
  setup.type = kTypes[flags >> 5 & 3];
  setup.broken = (flags & 128) != 0;
  const std::size_t piece = input.below(17) + 1;
  const std::string_view body = input.rest();
  require(relayed(setup, body, body.size() + 1) == relayed(setup, body, piece),
          "cuts make no difference");
  return 0;
}
