// The part of a hub that writes its jobs to a journal.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/streams/job.h"
#include "core/streams/journal.h"

namespace sluice {

using JobTable = std::unordered_map<JobHandle, std::unique_ptr<Job>>;

/// Collects the changes of a hub's jobs and writes them to a JobJournal, one batch at a time.
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
    Nanos interval;     // how long a token waits for others, to be written with them
    Nanos retry_delay;  // after the journal has failed
  };

  /// @param jobs the hub's; outlives this.
  HubJournal(const JobTable& jobs, Options options) : jobs_(jobs), options_(options) {}

  /// Writes to `journal` from now on; nullptr: no longer.
  void record_to(JobJournal* journal) { journal_ = journal; }

  /// Whether changes of the job are written.
  [[nodiscard]] bool records(const Job& job) const {
    return journal_ != nullptr && job.options.record != 0;
  }

  /// The job has changed; the change is written now, or within the interval.
  void note(Job& job, Nanos now) { note_due(job, now); }
  void note_token(Job& job, Nanos now) { note_due(job, now + options_.interval); }
  /// The job is purged: its record is removed within the interval.
  void note_purged(const Job& job, Nanos now);

  /// Makes pending changes due at once.
  void hasten() { due_ = 0; }
  /// Whether everything is written, or the last batch has just failed.
  [[nodiscard]] bool rests() const {
    return in_flight_batch_ == 0 && (failed_ || (pending_.empty() && purged_.empty()));
  }

  /// The journal has committed the batch with this number, or has failed.
  /// @returns the jobs whose ending is now committed
  [[nodiscard]] std::vector<JobHandle> recorded(std::uint64_t batch, bool written, Nanos now);

  [[nodiscard]] Nanos next_deadline() const { return in_flight_batch_ == 0 ? due_ : kNever; }
  void advance(Nanos now);

 private:
  /// The state of a job that the batch in flight will have recorded.
  struct InFlight {
    JobHandle job;
    EventLog::Position next;
    std::uint64_t trimmed;
    bool head;
    bool ended;
  };

  void note_due(Job& job, Nanos due);
  [[nodiscard]] Job* find(JobHandle handle) const;

  const JobTable& jobs_;
  Options options_;
  JobJournal* journal_ = nullptr;
  std::vector<JobHandle> pending_;     // jobs with unwritten changes
  std::vector<std::uint64_t> purged_;  // records to remove
  std::vector<InFlight> in_flight_;    // of one batch at a time
  std::size_t purged_in_flight_ = 0;   // the first of purged_
  std::uint64_t in_flight_batch_ = 0;  // its number; 0: none
  std::uint64_t batches_ = 0;
  bool failed_ = false;  // the last batch
  Nanos due_ = kNever;
};

}  // namespace sluice
