// The upstream calls of one job hub: connections on one side, relays in the middle, jobs on the
// other.
//
// Calls are numbered by their maker. Reactor's thread only; advanced by the hub's owner, right
// before the hub. Ends with its destruction, while the reactor's loop still turns: every call is
// dropped, every connection closed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/containers/timer_queue.h"
#include "core/streams/hub.h"
#include "core/upstream/relay.h"
#include "runtime/loop/reactor.h"
#include "runtime/upstream/client.h"

namespace sluice {

using CallId = std::uint64_t;

class RelayHub final : private UpstreamClient::Owner {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    /// Nothing more will be said of the call's jobs. Once per call. Must not call the relay hub.
    virtual void on_relay_end(CallId call, const RelayOutcome& outcome) = 0;
  };

  RelayHub(Reactor& reactor, JobHub& hub, Observer& observer);
  ~RelayHub() override;
  RelayHub(const RelayHub&) = delete;
  RelayHub& operator=(const RelayHub&) = delete;

  /// Makes a call. A job may be in one call at a time. `id` must be new.
  void start(CallId id, UpstreamRequest request, Relay::Options options, Nanos now);
  /// Closes the call's connection; its jobs' answers fail.
  void abort(CallId id, Nanos now);

  /// A job has ended, whoever ended it. May be called from within the hub.
  void job_ended(JobHandle job, Nanos now);
  /// A job's window has moved. False if it is not in a call. May be called from within the hub.
  bool window_moved(JobHandle job);

  /// Whether `advance` has something to do without time going by.
  [[nodiscard]] bool has_work() const { return !touched_.empty(); }
  [[nodiscard]] Nanos next_deadline() const { return has_work() ? 0 : timers_.next_deadline(); }
  void advance(Nanos now);

  [[nodiscard]] std::size_t call_count() const { return calls_.size(); }

 private:
  struct Call;

  void on_activity() override;
  void touch(Call& call);
  void look_at(Call& call, Nanos now);
  void run_timer(Call& call, Nanos now);
  void arm(Call& call, Nanos due);

  Reactor& reactor_;
  JobHub& hub_;
  Observer& observer_;
  std::unique_ptr<UpstreamClient> client_;
  std::unordered_map<CallId, std::unique_ptr<Call>> calls_;
  std::unordered_map<JobHandle, Call*> jobs_;
  TimerQueue<CallId> timers_;
  std::vector<CallId> touched_;  // to be looked at in `advance`
};

}  // namespace sluice
