// A channel: one reader's connection to the log of one job (or of several: fan-in).
//
// It turns log events into batches for its reader, one batch under way at a time: what is appended
// while the reader is busy leaves together in the next. Not thread-safe; owned by a JobHub.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/streams/job.h"

namespace sluice {

using ChannelHandle = std::uint64_t;

class Channel {
 public:
  /// What the reader takes: SSE frames as bytes, or events as (id, type, JSON) strings.
  enum class Mode : std::uint8_t { kFrames, kEvents };

  struct Batch {
    std::string frames;               // kFrames
    std::vector<std::string> events;  // kEvents: id, type, data, id, type, ...
    bool last = false;                // the channel has nothing more to say after it
    [[nodiscard]] bool empty() const { return frames.empty() && events.empty(); }
    void clear() {
      frames.clear();
      events.clear();
      last = false;
    }
  };

  struct Limits {
    std::size_t batch_bytes_max;   // a batch is closed once it is this long
    std::size_t batch_events_max;  // kEvents only
    Nanos heartbeat;
    Nanos stall;
  };

  /// A frames channel is held until its first `acknowledge`: the reader says when the head of its
  /// response has left.
  /// @param retry_ms announced in the first batch of a frames channel.
  Channel(ChannelHandle handle, Mode mode, bool fan_in, std::uint64_t retry_ms, Limits limits,
          Nanos now);

  /// Adds a job, at the client's cursor. Before the first batch only.
  void add(Job& job, std::string_view cursor);
  void remove(const Job& job);

  /// Puts the next batch into `batch`, which is empty: left so while one is under way, or while
  /// there is nothing to say.
  void take(Batch& batch, Nanos now);

  /// The reader has dealt with the batch under way (its bytes are in the socket).
  void acknowledge(Nanos now);

  /// The reader has dealt with a part of it.
  void progress(Nanos now) { quiet_since_ = now; }

  /// Every job's terminal event has been taken and dealt with. True of a channel that was just made
  /// when its cursors were at the end already.
  [[nodiscard]] bool finished() const;

  /// Whether there is something to take.
  [[nodiscard]] bool has_news() const;

  /// When to look again: the heartbeat, or the end of the reader's patience allowance.
  [[nodiscard]] Nanos next_deadline() const;
  /// The reader has had a batch for longer than `stall`.
  [[nodiscard]] bool stalled(Nanos now) const;

  /// Tokens of `job`'s current attempt that this reader has dealt with.
  [[nodiscard]] std::uint64_t acknowledged(const Job& job) const;

  [[nodiscard]] ChannelHandle handle() const { return handle_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] bool has_jobs() const { return !members_.empty(); }

  template <typename Visit>
  void for_each_job(Visit visit) const {
    for (const Member& member : members_) visit(*member.job);
  }

  bool dirty = false;  // the hub's: queued for a look

 private:
  struct Member {
    Job* job;
    JobLog::Position next;          // to be taken next
    JobLog::Position acknowledged;  // dealt with up to here
    std::string requested;          // the cursor as it came, until its gap is announced
    bool gap_due = false;
  };

  void take_from(Member& member, Batch& batch);
  void emit(Batch& batch, std::string_view id, std::string_view type);
  [[nodiscard]] std::string composite_id() const;
  [[nodiscard]] bool full(const Batch& batch) const;

  ChannelHandle handle_;
  Mode mode_;
  bool fan_in_;
  std::uint64_t retry_ms_;
  Limits limits_;
  std::vector<Member> members_;
  std::size_t first_ = 0;  // whose turn it is to be served first
  std::string data_;       // scratch: one event's JSON
  bool opened_ = false;
  bool under_way_;
  Nanos quiet_since_;  // of the last batch taken or acknowledged
};

}  // namespace sluice
