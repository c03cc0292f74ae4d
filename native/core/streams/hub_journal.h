// The part of a hub that writes its jobs to a journal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/streams/job.h"
#include "core/streams/journal.h"

namespace sluice {

using JobTable = std::unordered_map<JobHandle, std::unique_ptr<Job>>;

/// Collects the changes of a hub's jobs and writes them to a JobJournal, one batch at a time.
///
/// A journal that other processes read (JobJournal::is_replicated) has a pace instead of an
/// interval: a change is written at once, but not earlier than an interval after the last batch.
///
/// No change is copied before it is written: a job remembers how far the journal has it, and the
/// next batch reads the rest from the log. A journal that fails therefore costs no memory: it
/// receives the same changes again, together with newer ones.
///
/// Not thread-safe; owned by a JobHub, which advances it. Without a journal every call does
/// nothing.
class HubJournal {
 public:
  static constexpr Nanos kInterval = 50 * kMillisecond;
  static constexpr Nanos kRetryDelay = 250 * kMillisecond;

  struct Options {
    Nanos interval;                  // how long a token waits for others, to be written with them
    Nanos retry_delay;               // after the journal has failed
    std::uint64_t trim_step = 1024;  // tokens that the log has trimmed and the journal still has
    Nanos retention = kNever;        // of a job that states none
  };

  /// The jobs whose fate a batch has decided.
  struct Settled {
    std::vector<JobHandle> endings;  // now committed
    std::vector<JobHandle> fenced;   // of another process
  };

  /// @param jobs the hub's; outlives this.
  HubJournal(const JobTable& jobs, Options options) : jobs_(jobs), options_(options) {}

  /// Writes to `journal` from now on; nullptr: no longer.
  void record_to(JobJournal* journal) {
    journal_ = journal;
    replicated_ = journal != nullptr && journal->is_replicated();
  }
  /// As above, at another pace.
  void record_to(JobJournal* journal, Options options) {
    options_ = options;
    record_to(journal);
  }

  /// Whether other processes read the journal.
  [[nodiscard]] bool is_replicated() const { return replicated_; }
  /// Whether changes of the job are written.
  [[nodiscard]] bool records(const Job& job) const {
    return journal_ != nullptr && job.options.record != 0;
  }

  /// The job has changed; the change is written now, or within the interval.
  void note(Job& job, Nanos now) { note_due(job, now); }
  void note_token(Job& job, Nanos now) {
    note_due(job, replicated_ ? std::max(now, left_ + options_.interval) : now + options_.interval);
  }
  /// The log has a head. Other processes read it with its first entry.
  void note_head(Job& job, Nanos now) {
    if (!replicated_) note_token(job, now);
  }
  /// The job is purged: its record is removed within the interval.
  void note_purged(const Job& job, Nanos now);
  /// The job is written no longer. Its record stays; a journal that other processes read forgets
  /// what it knows of it.
  void note_unrecorded(const Job& job, Nanos now) {
    if (replicated_) note_purged(job, now);
  }

  /// Makes pending changes due at once.
  void hasten() { due_ = 0; }
  /// Whether everything is written, or the last batch has just failed.
  [[nodiscard]] bool rests() const {
    return in_flight_batch_ == 0 &&
           (failed_ || (pending_.empty() && delayed_.empty() && purged_.empty()));
  }

  /// Entries of jobs with a record that are not committed.
  [[nodiscard]] std::uint64_t unwritten() const;

  /// The journal has committed the batch with this number, or has failed.
  [[nodiscard]] Settled recorded(std::uint64_t batch, bool written, Nanos now);
  /// The outcome of this batch for each of its jobs. Those left out are written.
  [[nodiscard]] Settled recorded(std::uint64_t batch, const std::vector<JobOutcome>& outcomes,
                                 Nanos now);
  /// The journal has found that it has what comes before `next`, and no more. Not while a batch
  /// with this job is in flight.
  void rewind(Job& job, EventLog::Position next, Nanos now);
  /// Writes the log of a job again from its beginning, with its ending: the journal may have lost
  /// it. Entries that the journal still has are not written twice.
  void write_anew(Job& job, Nanos now);

  [[nodiscard]] Nanos next_deadline() const {
    if (in_flight_batch_ != 0) return kNever;
    return delayed_.empty() ? due_ : std::min(due_, delayed_.front().due);
  }
  void advance(Nanos now);

 private:
  /// The state of a job that the batch in flight will have recorded.
  struct InFlight {
    JobHandle job;
    EventLog::Position next;
    std::uint64_t trimmed;
    bool head;
    bool started;
    bool ended;
  };

  /// A job whose changes have failed.
  struct Delayed {
    JobHandle job;
    Nanos due;
  };

  void note_due(Job& job, Nanos due);
  [[nodiscard]] JobChange change_of(const Job& job) const;
  [[nodiscard]] bool is_in_flight(const Job& job) const;
  void end_flight(Job& job, Nanos now);
  [[nodiscard]] Job* find(JobHandle handle) const;

  const JobTable& jobs_;
  Options options_;
  JobJournal* journal_ = nullptr;
  bool replicated_ = false;
  std::vector<JobHandle> pending_;     // jobs with unwritten changes
  std::vector<std::uint64_t> purged_;  // records to remove
  std::vector<InFlight> in_flight_;    // of one batch at a time
  std::size_t purged_in_flight_ = 0;   // the first of purged_
  std::uint64_t in_flight_batch_ = 0;  // its number; 0: none
  std::uint64_t batches_ = 0;
  bool failed_ = false;          // the last batch
  std::deque<Delayed> delayed_;  // by time; their jobs are marked as pending
  Nanos left_ = 0;               // the last batch
  Nanos due_ = kNever;
};

}  // namespace sluice
