// The journal of a hub in Redis: the writing side of replicated logs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/executor.h"
#include "core/redis/port.h"
#include "core/replication/entry_format.h"
#include "core/streams/journal.h"

namespace sluice {

/// Receives the events of a RedisJournal. Called on the port's executor, also from within the
/// journal's functions; must not call the journal.
class RedisJournalOwner {
 public:
  virtual ~RedisJournalOwner() = default;
  /// The outcome of a batch: one entry for each job whose changes were not all written.
  virtual void on_recorded(std::uint64_t batch, std::vector<JobOutcome> outcomes) = 0;
  /// Outside a batch: the log in Redis ends before `next`.
  virtual void on_rewound(std::uint64_t job, EventLog::Position next) = 0;
  /// Outside a batch: another process owns the job.
  virtual void on_fenced(std::uint64_t job) = 0;
  /// Redis has lost the job: its hash or its log. Once per loss.
  virtual void on_data_loss(std::uint64_t job) = 0;
};

/// Writes the changes of jobs to their logs in Redis (entry_format.h), and publishes the entries
/// that were taken. An ending is written by the script `finish`, which compares owner and last id,
/// and applies the job's settlement with it.
///
/// - A log gets one entry at a time, so that an entry never follows one that was refused.
/// - After a reconnection, a lost answer or an error, a job's owner and last id are looked up
///   before the next write. Writing continues after the last id; a job of another owner is fenced.
///   Jobs whose ending was written within `ended_kept` are looked up as well.
/// - Until the ending is written, an earlier owner may still append to an attempt that this process
///   ends. The ending follows these entries, and skips the ids that they use.
/// - A missing log of an existing job is written again, ended or not. A missing job is
///   reported, and looked up until it exists again; one whose ending was written is neither,
///   since it may have been erased.
/// - A change that begins with kNothingWritten makes it look up the log, and write the missing
///   part.
///
/// Where the port waits for replicas, an ending counts as written when they have it.
///
/// It never drops a change: a batch that fails is given again by the hub, which keeps the log.
///
/// Not thread-safe; lives on the port's executor, which advances it.
class RedisJournal final : public Machine, private redis::Listener, private redis::ReplyHandler {
 public:
  struct Options {
    Nanos ended_kept = 60 * kSecond;
    Nanos retry_delay = 250 * kMillisecond;
    std::function<Nanos()> now;             // the executor's clock
    std::function<std::int64_t()> unix_ms;  // Unix time
  };

  /// @param port, owner outlive this.
  RedisJournal(redis::Port& port, RedisJournalOwner& owner, Options options);
  ~RedisJournal() override;

  /// Writes a batch. One at a time: the next one after `on_recorded`.
  void write(std::uint64_t batch, std::vector<JobChange> changes);

  [[nodiscard]] Nanos next_deadline() const override { return retry_at_; }
  void advance(Nanos now) override;

 private:
  /// The known state of a job's log in Redis.
  struct Writer {
    std::uint64_t job = 0;  // its handle
    std::string id;
    std::string owner;           // the name of this process that has it
    EventId last = {0, 0};       // the last id of the log, once verified
    std::uint64_t attempt = 0;   // the latest one written, or about to be written, here
    std::uint64_t next_seq = 1;  // after the last entry that this process has
    bool verified = true;
    bool skips_ids = false;    // its ending leaves ids to an earlier owner
    bool is_lost = false;      // reported as lost
    bool has_log = true;       // false: the log must be created
    std::int64_t ttl_ms = -1;  // of the job, for a log that must be created
    std::string ending;        // x, once it was sent
    Nanos ended_at = kNever;   // its ending was written
    std::uint32_t doubts = 0;  // look-ups since the last entry that was taken
  };

  /// A change of the batch under way.
  struct Work {
    JobChange change;
    std::optional<EntryWriter> entries;
    bool is_decided = false;
    bool is_done = false;  // all but the ending is written
  };

  /// The subject of a command in the pipeline under way.
  struct Sent {
    std::size_t work = 0;
    EventId id;
    std::string message = {};  // to be published
  };

  enum class Phase : std::uint8_t { kIdle, kLookUp, kWrite, kFinish };

  void on_message(std::string_view, std::string_view) override {}
  void on_subscribed(std::string_view) override {}
  void on_connected() override;
  void on_disconnected() override {}
  void on_replies(std::uint64_t request, std::vector<redis::Reply> replies) override;
  void on_lost(std::uint64_t request) override;

  void proceed();
  bool look_up();
  bool write_entries();
  bool write_endings();
  void send(Phase phase, std::vector<redis::Command> commands);
  void on_looked_up(const std::vector<redis::Reply>& replies);
  void judge(std::uint64_t record, const redis::Reply& hash, const redis::Reply& ttl,
             const redis::Reply& tail);
  void on_written(const std::vector<redis::Reply>& replies);
  void on_finished(const std::vector<redis::Reply>& replies);
  void add_entry(std::vector<redis::Command>& commands, std::size_t index);
  [[nodiscard]] redis::Command finish_command(const Work& work, Writer& writer);

  void begin_work(JobChange change);
  void doubt(std::size_t index);
  void decide(Work& work, JobOutcome::Kind kind, EventLog::Position next = {});
  void decide(std::uint64_t record, JobOutcome::Kind kind, EventLog::Position next = {});
  void fail_batch();
  void report();
  [[nodiscard]] Work* work_of(std::uint64_t record);
  [[nodiscard]] std::string key(std::string_view kind, std::string_view id) const;
  void forget_ended();

  redis::Port& port_;
  RedisJournalOwner& owner_;
  Options options_;
  std::unordered_map<std::uint64_t, Writer> writers_;  // by record

  Phase phase_ = Phase::kIdle;
  std::uint64_t request_ = 0;  // the pipeline under way
  std::vector<Sent> sent_;
  std::vector<std::uint64_t> looked_up_;  // records

  std::uint64_t batch_ = 0;  // 0: none
  std::vector<Work> works_;
  std::unordered_map<std::uint64_t, std::size_t> work_index_;  // by record
  std::vector<JobOutcome> outcomes_;
  std::vector<redis::Command> messages_;  // to be published with the next pipeline
  bool is_sweeping_ = false;              // jobs outside the batch are looked up as well
  Nanos retry_at_ = kNever;
};

}  // namespace sluice
