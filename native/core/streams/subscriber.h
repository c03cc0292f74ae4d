// One client's connection to the logs of a hub.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/face.h"
#include "core/streams/job.h"

namespace sluice {

using SubscriberHandle = std::uint64_t;

/// One client's connection to the log of one job, or of several (fan-in).
///
/// Turns log events into batches, one in flight at a time: events that arrive while the client is
/// busy go into the next batch together.
///
/// A cursor ahead of a replica's log waits until the log gets there, ends or begins a later
/// attempt, or until `ReplicaState::wait_max` has passed.
///
/// A subscriber with a face has the frames of another protocol. It reads from the beginning of its
/// logs, and is `broken` where it cannot: a face has no gaps.
///
/// Not thread-safe; owned by a JobHub.
class Subscriber {
 public:
  /// The form of a batch: SSE frames as bytes, or events as (id, type, JSON) strings. With kObserve
  /// these are events for an onlooker: it holds no producer back, and does not count as a reader
  /// whose presence keeps a job from being cancelled.
  enum class Mode : std::uint8_t { kFrames, kEvents, kObserve };

  struct Batch {
    std::string frames;               // kFrames
    std::vector<std::string> events;  // kEvents, kObserve: id, type, data, id, type, ...
    bool last = false;                // no batch follows
    [[nodiscard]] bool empty() const { return frames.empty() && events.empty(); }
    void clear() {
      frames.clear();
      events.clear();
      last = false;
    }
  };

  struct Limits {
    std::size_t batch_bytes_max;   // a batch is closed once it is this long
    std::size_t batch_events_max;  // kEvents and kObserve only
    Nanos heartbeat;
    Nanos stall;
  };

  /// In frames mode the first batch waits for a first `acknowledge`, which reports that the head of
  /// the response has left.
  /// @param retry_ms part of the first batch of native frames.
  /// @param face in frames mode only; nullptr: native frames.
  Subscriber(SubscriberHandle handle, Mode mode, bool fan_in, std::uint64_t retry_ms, Limits limits,
             Nanos now, std::unique_ptr<Face> face = nullptr);

  /// Adds a job, at the client's cursor; a face has none. Before the first batch only.
  void add(Job& job, std::string_view cursor);
  /// Removes a job that is purged.
  void remove(const Job& job);

  /// Fills `batch`, which must be empty. It stays empty while another is in flight, while there
  /// is no event, and where the face has no frame for the events: those then count as consumed.
  void take(Batch& batch, Nanos now);

  /// The batch in flight was consumed (its bytes are in the socket).
  void acknowledge(Nanos now);

  /// A part of it was consumed.
  void progress(Nanos now) { quiet_since_ = now; }

  /// Every job's terminal event was consumed. True for a new subscriber whose cursors are at the
  /// end.
  [[nodiscard]] bool finished() const;

  /// It has a face, and one of its logs has lost events that it needs, or was purged.
  [[nodiscard]] bool broken() const { return broken_; }

  /// Whether there are events to take.
  [[nodiscard]] bool has_news() const;

  /// The time of the next heartbeat, or at which the subscriber counts as stalled.
  [[nodiscard]] Nanos next_deadline() const;
  /// A batch has been in flight without progress for `stall`.
  [[nodiscard]] bool stalled(Nanos now) const;

  /// Tokens of `job`'s current attempt that were consumed.
  [[nodiscard]] std::uint64_t acknowledged(const Job& job) const;

  [[nodiscard]] SubscriberHandle handle() const { return handle_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] bool is_reader() const { return mode_ != Mode::kObserve; }
  [[nodiscard]] bool has_jobs() const { return !members_.empty(); }
  [[nodiscard]] bool in_flight() const { return in_flight_; }

  template <typename Visit>
  void for_each_job(Visit visit) const {
    for (const Member& member : members_) visit(*member.job);
  }

  bool dirty = false;  // set by the hub: queued for its next turn

 private:
  struct Member {
    Job* job;
    EventLog::Position next;          // to be taken next
    EventLog::Position acknowledged;  // consumed up to here
    std::uint32_t choice;             // the place of its job when it was added
    std::string requested = {};       // the client's cursor, until its gap is announced
    bool gap_due = false;
    bool waiting = false;   // `requested` is ahead of the log
    Nanos answered_at = 0;  // ReplicaState::answered when it began to wait
  };

  static bool waits(const Member& member);
  static void settle(Member& member);
  void open(Batch& batch);
  void take_from(Member& member, Batch& batch);
  void take_for_face(Member& member, Batch& batch, std::size_t& events_left);
  void emit(Batch& batch, std::string_view id, std::string_view type);
  [[nodiscard]] std::string composite_id() const;
  [[nodiscard]] bool full(const Batch& batch) const;

  SubscriberHandle handle_;
  Mode mode_;
  bool fan_in_;
  std::uint64_t retry_ms_;
  Limits limits_;
  std::vector<Member> members_;
  std::size_t first_ = 0;  // index of the member that is served first
  std::string data_;       // scratch: one event's JSON
  std::unique_ptr<Face> face_;
  bool broken_ = false;
  bool opened_ = false;
  bool in_flight_;
  Nanos quiet_since_;  // of the last batch taken or acknowledged
};

}  // namespace sluice
