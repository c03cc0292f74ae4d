// A hub with its sockets, its upstream calls and its events to JavaScript.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "addon/napi/event_queue.h"
#include "addon/napi/method.h"
#include "core/faces/face_options.h"
#include "core/replication/replicas.h"
#include "core/streams/hub.h"
#include "runtime/loop/reactor.h"
#include "runtime/net/sse_socket.h"
#include "runtime/upstream/relays.h"

namespace sluice {

/// A hub with its outputs (the event queue to JavaScript, and sockets that the reactor writes to)
/// and its calls to model servers.
///
/// A Machine of its executor; only that thread calls it, except where noted. Ends with its
/// executor, or when it is removed from it: sockets and calls are closed on that thread.
class HubBridge final : public Machine,
                        public HubObserver,
                        public SocketEgress::Owner,
                        public RelayHub::Observer,
                        public ReplicasObserver {
 public:
  /// @param reactor nullptr under a manual clock: there are no sockets then.
  HubBridge(HubOptions options, std::shared_ptr<EventQueue> events, double machine_id,
            Reactor* reactor);

  JobHub hub;

  /// Calls `command(hub)`.
  template <typename Command>
  void run(const Command& command) {
    command(hub);
  }

  /// Like `JobHub::attach`, with the face that `face` describes.
  void attach(SubscriberHandle subscriber, Subscriber::Mode mode, bool fan_in,
              const std::vector<JobHub::Cursor>& cursors, FaceOptions face, bool at_once,
              Nanos now);

  /// Writes the subscriber's frames to `fd`, a duplicate of the response's descriptor, from now on,
  /// and lets the first batch go.
  /// @param sole Node has closed its own descriptor: the reactor ends the response, and the
  ///   subscriber ends as "gone" when the client leaves. After its end as "finished" the descriptor
  ///   is to be detached.
  void attach_socket(SubscriberHandle subscriber, UniqueFd fd, bool sole, std::string head,
                     Nanos now);

  /// The descriptor of a subscriber that ended as "finished"; invalid if there is none. Any thread.
  UniqueFd detach_socket(SubscriberHandle subscriber);

  /// Removes the subscriber, and closes its descriptor.
  void detach(SubscriberHandle subscriber, Nanos now);

  /// Makes an upstream call that appends to its jobs' logs, and reports its outcome to JavaScript.
  /// The jobs' windows are not reported while it runs.
  void relay(CallId call, UpstreamRequest request, Relay::Options options, Nanos now);

  /// A call that an HTTP client in JavaScript makes; see RelayHub::start_fed.
  void relay_fed(CallId call, Relay::Options options, Nanos now);
  void feed_head(CallId call, const UpstreamHead& head, Nanos now);
  void feed_bytes(CallId call, Bytes bytes, Nanos now);
  void feed_end(CallId call, const UpstreamEnd& end, Nanos now);

  /// Ends such a call, and closes its connection: its jobs' answers fail. Ignored once the call is
  /// over.
  void abort_relay(CallId call, Nanos now);

  /// Records jobs in `journal` from now on.
  void record_to(std::unique_ptr<JobJournal> journal);
  void record_to(std::unique_ptr<JobJournal> journal, HubJournal::Options pace);

  /// Follows the logs of replicas over `port`, of this reactor, from now on.
  void follow_over(std::shared_ptr<redis::Port> port);
  /// A new replica, see Replicas::open. Without a port it is purged at once.
  void replicate(JobHandle job, JobOptions options, Nanos lease, Nanos age, Nanos now);
  /// Makes a replica a job of this hub, see Replicas::adopt. Replies with `{attempt, last_event_id,
  /// tokens}`, or with null and the event that the job is fenced.
  void adopt(JobHandle job, JobOptions options, std::uint64_t attempt, std::uint64_t skip_ids,
             std::uint64_t request, Nanos now);
  /// Redis has lost the job.
  void report_data_loss(JobHandle job);
  /// Replies with figures of the replication: `{followed, unsent_tokens, catch_ups: {...}}`.
  void replication(std::uint64_t request);

  /// Like `JobHub::follow`; replies with its result.
  void follow(JobHandle job, JobHandle source, std::uint64_t request, Nanos now);

  /// Replies with a job's state; if its ending waits for the journal, after that. The log of a
  /// replica is read up to its end before.
  void state(JobHandle job, bool with_text, bool with_items, std::uint64_t request, Nanos now);

  /// Replies with the readers of a job, as `JobHub::readers`.
  void readers(JobHandle job, std::uint64_t request);

  /// Like `state`, with the whole answer in the protocol of a face.
  void whole_answer(JobHandle job, FaceOptions face, std::uint64_t request, Nanos now);

  /// Replies once the journal has committed every change, or has failed.
  void flush(std::uint64_t request);

  [[nodiscard]] Nanos next_deadline() const override;
  void advance(Nanos now) override;
  void retire() override;

 private:
  void on_window(JobHandle job, std::uint64_t tokens) override;
  void on_begun(JobHandle job) override;
  void on_ended(JobHandle job, std::string state) override;
  void on_sealed(JobHandle job) override;
  void on_ending(JobHandle job, std::string state) override;
  void on_purged(JobHandle job) override;
  void on_fenced(JobHandle job, bool end_published) override;
  void on_subscriber_open(SubscriberHandle subscriber, bool finished) override;
  void on_subscriber_whole(SubscriberHandle subscriber, std::string& frames) override;
  bool on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) override;
  void on_subscriber_end(SubscriberHandle subscriber, std::string_view reason) override;

  void on_drained(SocketEgress& egress) override;
  void on_progress(SocketEgress& egress) override;
  void on_gone(SocketEgress& egress) override;

  void on_relay_end(CallId call, const RelayOutcome& outcome) override;
  void on_relay_taken(CallId call, std::uint64_t bytes) override;
  void on_relay_over(CallId call) override;

  void on_replica_missing(JobHandle job) override;
  void on_replica_broken(JobHandle job, std::string problem) override;
  void on_adopted(std::uint64_t request, JobHandle job, bool adopted) override;
  void on_refreshed(std::uint64_t request) override;

  /// A request for the state of a job, or for its answer in the protocol of a face.
  struct StateRequest {
    JobHandle job;
    bool with_text;
    bool with_items;
    std::uint64_t request;
    std::shared_ptr<const Face> face = {};
  };

  [[nodiscard]] bool has_work() const;
  RelayHub& relays();
  void answer(JobHandle job);
  void ask(StateRequest request, Nanos now);
  void answer_or_wait(StateRequest request, Nanos now);
  [[nodiscard]] std::string describe(const StateRequest& request, Nanos now) const;
  void reply(std::uint64_t request, std::string json);
  void push(EventKind kind, std::uint64_t handle, EventValue value);

  std::shared_ptr<EventQueue> events_;
  double machine_id_;
  Reactor* reactor_;
  bool retired_ = false;
  Nanos silence_max_;
  std::unordered_map<SubscriberHandle, std::unique_ptr<SocketEgress>> sockets_;
  std::unique_ptr<RelayHub> relays_;  // created for the first call
  std::unique_ptr<JobJournal> journal_;
  std::shared_ptr<redis::Port> port_;
  std::unique_ptr<Replicas> replicas_;
  std::unordered_map<std::uint64_t, StateRequest> refreshing_;  // by the number of their refresh
  std::unordered_map<JobHandle, std::vector<StateRequest>>
      waiting_;  // for an ending to be recorded
  // The hub must not be called from its own callbacks; `advance` processes these.
  std::vector<SubscriberHandle> taken_;          // their batches are in the sockets
  std::vector<SubscriberHandle> gone_;           // their sockets are dead
  std::vector<SubscriberHandle> acknowledging_;  // scratch
  std::vector<std::uint64_t> flushing_;          // requests that wait for the journal
  std::vector<StateRequest> answerable_;         // waiting_ entries that can be answered

  std::mutex mutex_;                                         // guards finished_
  std::unordered_map<SubscriberHandle, UniqueFd> finished_;  // until `detach_socket`
};

}  // namespace sluice
