// The followers of the logs that other processes write to Redis: the reading side of replication.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/executor.h"
#include "core/containers/timer_queue.h"
#include "core/redis/port.h"
#include "core/replication/entry_format.h"
#include "core/streams/hub.h"

namespace sluice {

/// Why a log was read.
enum class CatchUp : std::uint8_t { kOpen, kHole, kSilence, kReconnected, kAsked };

/// Receives the events of Replicas. Called on the port's executor; must not call it back.
class ReplicasObserver {
 public:
  virtual ~ReplicasObserver() = default;
  /// Redis has no such job, or no longer its log. The replica was dropped.
  virtual void on_replica_missing(JobHandle job) = 0;
  /// An entry of its log is malformed; `problem` names its id. The replica was dropped.
  virtual void on_replica_broken(JobHandle job, std::string problem) = 0;
  /// The adoption with this number is over. `adopted`: the job is one of this hub now.
  virtual void on_adopted(std::uint64_t request, JobHandle job, bool adopted) = 0;
  /// The refresh with this number is over.
  virtual void on_refreshed(std::uint64_t request) = 0;
};

/// Follows the logs of a hub's replicas: one subscription and one cursor each, however many readers
/// there are.
///
/// A log is read (XRANGE from the cursor) when its subscription is confirmed; after that its
/// entries come as messages. A message that does not follow the cursor, an unknown attempt, a
/// reconnection, or `silence` without an entry: the log is read again. So a lost message costs
/// `silence` at most. What the log itself lacks (it has been trimmed) is missing in the replica as
/// well.
///
/// A replica that cannot be read the first time is dropped when the connection is lost; one that
/// was read before waits for the next connection.
///
/// Not thread-safe; lives on the executor of the port and of the hub, which advances it.
class Replicas final : public Machine, private redis::Listener, private redis::ReplyHandler {
 public:
  struct Options {
    Nanos silence = kSecond;
    /// Between two answers: with more than that between them Redis did not answer.
    Nanos outage = 2500 * kMillisecond;
    std::size_t page = 512;      // entries read at once
    std::function<Nanos()> now;  // the executor's clock
  };

  /// @param port, hub, observer outlive this.
  Replicas(redis::Port& port, JobHub& hub, ReplicasObserver& observer, Options options);
  ~Replicas() override;

  /// A new replica, see `JobHub::replicate`. `lease`: how long a cursor ahead of the log waits, and
  /// a job that has vanished is waited for.
  void open(JobHandle handle, JobOptions options, Nanos lease, Nanos age);
  /// The hub has forgotten the job. Ignored for another.
  void close(JobHandle handle);
  /// Reads the log of an open replica up to its end; for another job there is nothing to do.
  void refresh(JobHandle handle, std::uint64_t request);
  /// Reads the log up to its end, then makes the replica a job of this hub, see `JobHub::adopt`.
  /// Without a connection it waits for the next.
  void adopt(JobHandle handle, JobOptions options, std::uint64_t attempt, std::uint64_t skip_ids,
             std::uint64_t request);

  [[nodiscard]] std::size_t size() const { return replicas_.size(); }
  /// How often logs were read, by CatchUp.
  [[nodiscard]] const std::array<std::uint64_t, 5>& catch_ups() const { return catch_ups_; }

  [[nodiscard]] Nanos next_deadline() const override { return timers_.next_deadline(); }
  void advance(Nanos now) override;

 private:
  struct Adoption {
    JobOptions options;
    std::uint64_t attempt;
    std::uint64_t skip_ids;
    std::uint64_t request;
    std::uint64_t after;  // the first reading of the log that counts
  };

  struct Refresh {
    std::uint64_t request;
    std::uint64_t after;
  };

  struct Replica {
    JobHandle handle = 0;
    std::string channel;
    std::string log;
    std::string job;
    Nanos lease = 0;
    EventId cursor = {1, 0};            // the last id that was applied
    std::uint64_t request = 0;          // the page under way
    std::uint64_t reading = 0;          // the first page of this reading of the log
    std::optional<CatchUp> again = {};  // another reading follows
    bool is_loaded = false;
    bool has_read = false;       // an entry, since it was opened
    Nanos last_progress_at = 0;  // the last entry, or reading
    Nanos answered_at = kNever;  // the last answer, of this connection
    Nanos vanished_at = kNever;  // when the job was first not found
    bool is_main = true;         // the log of the job itself, not of a further choice
    bool has_started = false;    // the hub knows when the job was started
    bool was_over = false;       // the job had ended, and the log had no ending
    std::vector<Refresh> refreshes = {};
    std::optional<Adoption> adoption = {};
  };

  enum class Applied : std::uint8_t { kYes, kHole, kMalformed };

  void on_message(std::string_view channel, std::string_view payload) override;
  void on_subscribed(std::string_view channel) override;
  void on_connected() override;
  void on_disconnected() override;
  void on_replies(std::uint64_t request, std::vector<redis::Reply> replies) override;
  void on_lost(std::uint64_t request) override;

  Replica* find(JobHandle handle);
  void read_log(Replica& replica, CatchUp why);
  void read_page(Replica& replica);
  void on_page(Replica& replica, const redis::Reply& entries, const redis::Reply& fields);
  void on_read(Replica& replica, const redis::Reply& fields);
  bool check_job(Replica& replica, const redis::Reply& fields);
  void settle_waiting(Replica& replica);
  void miss(Replica& replica);

  Applied apply(Replica& replica, bool is_whole);
  Applied apply_events(Replica& replica, bool is_whole);
  Applied apply_ending(Replica& replica, bool is_whole);
  bool reach_attempt(Replica& replica, bool is_whole);
  void append_unknown(Replica& replica, std::uint64_t count, Nanos now);

  redis::Port& port_;
  JobHub& hub_;
  ReplicasObserver& observer_;
  Options options_;
  std::unordered_map<JobHandle, Replica> replicas_;
  std::map<std::string, JobHandle, std::less<>> channels_;
  std::unordered_map<std::uint64_t, JobHandle> requests_;  // pages under way
  std::uint64_t request_ = 0;
  TimerQueue<JobHandle> timers_;
  LogEntry entry_;  // scratch, as the two below
  EntryViews views_;
  std::array<std::uint64_t, 5> catch_ups_{};
};

}  // namespace sluice
