// A hub with its two ways out, the event lane to JavaScript and sockets that the reactor writes,
// and with its calls to models' servers.
//
// A Machine of its executor; that thread alone calls it, except where said. Ends with its executor,
// or when it is removed from it: sockets and calls are let go of on the thread that they lived on.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "addon/napi/event_queue.h"
#include "core/streams/hub.h"
#include "runtime/loop/reactor.h"
#include "runtime/net/sse_socket.h"
#include "runtime/upstream/relays.h"

namespace sluice {

class LaneHub final : public Machine,
                      public HubObserver,
                      public SocketEgress::Owner,
                      public RelayHub::Observer {
 public:
  /// @param reactor nullptr under a manual clock: then there are no sockets.
  LaneHub(HubOptions options, std::shared_ptr<EventLane> lane, double machine_id, Reactor* reactor);

  JobHub hub;

  /// From now on the channel's frames go to `fd`, a duplicate of the response's descriptor. Lets
  /// the channel begin.
  /// @param sole Node has closed its own: the response is ended here, the client's leaving ends the
  ///   channel as "gone", and after its end as "finished" the descriptor is to be reclaimed.
  void adopt(ChannelHandle channel, UniqueFd fd, bool sole, Nanos now);

  /// The reader is gone; its descriptor is closed.
  void detach(ChannelHandle channel, Nanos now);

  /// The descriptor of a channel that has finished; invalid when there is none. Any thread.
  UniqueFd reclaim(ChannelHandle channel);

  /// Makes an upstream call that writes to its jobs' logs by itself; JavaScript is told how it
  /// ended. From then on their windows are no longer its concern.
  void relay(CallId call, UpstreamRequest request, Relay::Options options, Nanos now);

  /// Breaks such a call off: its jobs' answers fail. Calls that are over are ignored.
  void abort_relay(CallId call, Nanos now);

  /// Jobs that have a record are written there from now on.
  void record_to(std::unique_ptr<JobJournal> journal);

  /// Answers with a job's state; of one whose ending is being written, when it has been.
  void state(JobHandle job, bool with_text, double request, Nanos now);

  /// Answers when the journal has all that there is, or has failed.
  void flush(double request);

  /// Sends an answer, as JSON, to whoever asked for it.
  void reply(double request, std::string answer);

  [[nodiscard]] Nanos next_deadline() const override;
  void advance(Nanos now) override;
  void retire() override;

 private:
  void on_window(JobHandle job, std::uint64_t tokens) override;
  void on_ended(JobHandle job, std::string state) override;
  void on_sealed(JobHandle job) override;
  void on_purged(JobHandle job) override;
  void on_channel_open(ChannelHandle channel, bool finished) override;
  void on_batch(ChannelHandle channel, Channel::Batch& batch) override;
  void on_channel_end(ChannelHandle channel, std::string_view reason) override;

  void on_drained(SocketEgress& egress) override;
  void on_progress(SocketEgress& egress) override;
  void on_gone(SocketEgress& egress) override;

  void on_relay_end(CallId call, const RelayOutcome& outcome) override;

  /// Who has asked for the state of a job.
  struct Asked {
    JobHandle job;
    bool with_text;
    double request;
  };

  [[nodiscard]] bool has_work() const;
  void answer(JobHandle job);
  void push(EventKind kind, std::uint64_t handle, LaneValue value);

  std::shared_ptr<EventLane> lane_;
  double machine_id_;
  Reactor* reactor_;
  Nanos silence_max_;
  std::unordered_map<ChannelHandle, std::unique_ptr<SocketEgress>> sockets_;
  std::unique_ptr<RelayHub> relays_;  // made for the first call
  std::unique_ptr<JobJournal> journal_;
  std::unordered_map<JobHandle, std::vector<Asked>> waiting_;  // until an ending is written
  // The hub is not called from within its own callbacks; these wait for `advance`.
  std::vector<ChannelHandle> taken_;          // batches that are in their sockets
  std::vector<ChannelHandle> gone_;           // sockets that are dead
  std::vector<ChannelHandle> acknowledging_;  // scratch
  std::vector<double> flushing_;              // who waits for the journal
  std::vector<Asked> answerable_;             // of waiting_, those that may be answered

  std::mutex mutex_;                                      // guards the next
  std::unordered_map<ChannelHandle, UniqueFd> finished_;  // to be given back to Node
};

}  // namespace sluice
