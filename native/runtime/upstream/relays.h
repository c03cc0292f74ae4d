// The upstream calls of one job hub: connects HTTP transfers to relays, and relays to jobs.
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

/// The upstream calls of one job hub.
///
/// The bytes of a call come from a client on the reactor's loop (`start`), or from another HTTP
/// client that feeds them (`start_fed`): without libcurl, or under a manual clock.
///
/// Reactor's thread only. The hub's owner advances it right before the hub. It must be destroyed
/// while the reactor's loop still runs; that drops every call and closes every connection. The
/// caller chooses the call ids.
class RelayHub final : private UpstreamActivity::Owner {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    /// The outcome of the call's jobs is final. Once per call. Must not call the relay hub.
    virtual void on_relay_end(CallId call, const RelayOutcome& outcome) = 0;
    /// A fed call has consumed the first `bytes` of its body: more may be fed.
    virtual void on_relay_taken(CallId call, std::uint64_t bytes) = 0;
    /// A fed call is over: its feeder drops the connection unless the body has ended. The last
    /// event.
    virtual void on_relay_over(CallId call) = 0;
  };

  /// @param reactor nullptr: only fed calls are possible.
  RelayHub(Reactor* reactor, JobHub& hub, Observer& observer,
           UpstreamClient::Plain plain = UpstreamClient::Plain::kOwn);
  ~RelayHub() override;
  RelayHub(const RelayHub&) = delete;
  RelayHub& operator=(const RelayHub&) = delete;

  /// Starts a call. A job may be in one call at a time. `id` must be new.
  void start(CallId id, UpstreamRequest request, Relay::Options options, Nanos now);

  /// Registers a call made by another HTTP client, which also enforces the idle time-out. Bytes fed
  /// after the call is over are ignored.
  void start_fed(CallId id, Relay::Options options, Nanos now);
  void feed_head(CallId id, const UpstreamHead& head, Nanos now);
  void feed_bytes(CallId id, std::string bytes, Nanos now);
  void feed_end(CallId id, const UpstreamEnd& end, Nanos now);

  /// Closes the call's connection; its unsettled jobs fail.
  void abort(CallId id, Nanos now);

  /// A job has ended, for any reason. May be called from within the hub.
  void job_ended(JobHandle job);
  /// A job's window has moved. Returns false for a job without a call. May be called from within
  /// the hub.
  bool window_moved(JobHandle job);

  /// Whether `advance` has work to do now.
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
  std::vector<CallId> touched_;  // to be processed by `advance`
};

}  // namespace sluice
