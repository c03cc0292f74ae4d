// The upstream calls of one job hub: connections on one side, relays in the middle, jobs on the
// other.
//
// A call's bytes come from libcurl on the reactor's own loop (`start`), or from another HTTP client
// that feeds them (`start_fed`): where there is no libcurl, or time is moved by hand.
//
// Calls are numbered by their maker. Reactor's thread only; advanced by the hub's owner, right
// before the hub. Ends with its destruction, while the reactor's loop still turns: every call is
// dropped, every connection closed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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
    /// A fed call has dealt with all of the first `bytes` of its body: more may be fed.
    virtual void on_relay_taken(CallId call, std::uint64_t bytes) = 0;
    /// A fed call takes no more: its feeder drops the connection unless the body has ended. Last.
    virtual void on_relay_over(CallId call) = 0;
  };

  /// @param reactor nullptr: calls are fed only.
  RelayHub(Reactor* reactor, JobHub& hub, Observer& observer);
  ~RelayHub() override;
  RelayHub(const RelayHub&) = delete;
  RelayHub& operator=(const RelayHub&) = delete;

  /// Makes a call. A job may be in one call at a time. `id` must be new.
  void start(CallId id, UpstreamRequest request, Relay::Options options, Nanos now);

  /// Takes a call that another client makes, who times the silence of its upstream. What it feeds
  /// is ignored once the call is over.
  void start_fed(CallId id, Relay::Options options, Nanos now);
  void feed_head(CallId id, const UpstreamHead& head, Nanos now);
  void feed_bytes(CallId id, std::string bytes, Nanos now);
  void feed_end(CallId id, const UpstreamEnd& end, Nanos now);

  /// Closes the call's connection; its jobs' answers fail.
  void abort(CallId id, Nanos now);

  /// A job has ended, whoever ended it. May be called from within the hub.
  void job_ended(JobHandle job);
  /// A job's window has moved. False if it is not in a call. May be called from within the hub.
  bool window_moved(JobHandle job);

  /// Whether `advance` has something to do without time going by.
  [[nodiscard]] bool has_work() const { return !touched_.empty(); }
  [[nodiscard]] Nanos next_deadline() const { return has_work() ? 0 : timers_.next_deadline(); }
  void advance(Nanos now);

  [[nodiscard]] std::size_t call_count() const { return calls_.size(); }

 private:
  struct Call;

  Call& add(CallId id, Relay::Options options, bool fed, Nanos now);
  Call* find_fed(CallId id, Nanos now);
  void resume(Call& call);
  void on_activity() override;
  void touch(Call& call);
  void look_at(Call& call, Nanos now);
  void run_timer(Call& call, Nanos now);
  void arm(Call& call, Nanos due);

  Reactor* reactor_;
  JobHub& hub_;
  Observer& observer_;
  std::unique_ptr<UpstreamClient> client_;
  std::unordered_map<CallId, std::unique_ptr<Call>> calls_;
  std::unordered_map<JobHandle, Call*> jobs_;
  TimerQueue<CallId> timers_;
  std::vector<CallId> touched_;  // to be looked at in `advance`
};

}  // namespace sluice
