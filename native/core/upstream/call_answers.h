// The answers of one upstream call: their logs, and how they end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/streams/hub.h"
#include "core/upstream/openai/finish_reason.h"
#include "core/upstream/openai/payload.h"
#include "core/upstream/relay_outcome.h"
#include "core/upstream/stop_matcher.h"

namespace sluice {

/// The answers of one upstream call, one per choice: writes their entries and endings to the logs
/// of their jobs, and failures to the outcome. A part of Relay, with its rules of use.
class CallAnswers {
 public:
  struct Options {
    std::vector<JobHandle> jobs;          ///< By the index of the choice.
    bool one_answer = false;              ///< See Relay::Options.
    std::vector<std::string> stops = {};  ///< See Relay::Options.
  };

  /// Jobs that have ended are settled at once.
  CallAnswers(Options options, JobHub& hub);

  [[nodiscard]] RelayOutcome outcome() const;
  /// The outcome, for facts about a failure. Made by the first call: most calls succeed.
  RelayOutcome& failing();

  /// Facts of the upstream about the call, as OpenAiSink reports them.
  void set_head(const AnswerHead& head);
  void set_usage(const TokenUsage& usage, std::string_view members);

  /// Appends to an answer's log, unless the answer is settled. Text that may be the beginning of a
  /// stop string is held back; at a whole one the answer ends.
  void append(std::size_t index, const Entry& entry, Nanos now);
  /// The finish reason of an answer; a later one replaces it. An independent answer ends if the
  /// call has others: the usage that may follow is that of the whole call.
  void finish(std::size_t index, FinishReason reason, std::string_view raw, Nanos now);
  /// Settles every answer that is not settled. Those with a finish reason end with it, whatever
  /// failed; the others fail, with `failure`, or because they are incomplete.
  void conclude(RelayOutcome::Failure failure, const std::string& text, Nanos now);
  /// The job has ended: its result no longer matters. Returns whether that settles an answer.
  bool forget(JobHandle job);

  /// Checks the windows of all jobs again.
  void look_for_window();
  /// Whether an answer has no room for another entry.
  [[nodiscard]] bool blocked() const { return blocked_ && !settled(); }
  /// Whether every answer is settled.
  [[nodiscard]] bool settled() const { return unsettled_ == 0; }
  [[nodiscard]] bool is_settled(std::size_t index) const { return shares_[index].settled; }
  [[nodiscard]] bool is_finished(std::size_t index) const { return shares_[index].finished(); }
  /// Whether its text has met a stop string.
  [[nodiscard]] bool is_stopped(std::size_t index) const { return shares_[index].stopped; }
  [[nodiscard]] bool all_finished() const;
  [[nodiscard]] bool all_finished_or_settled() const;
  [[nodiscard]] std::vector<JobHandle> jobs() const;

 private:
  struct HeldText {
    std::string text;
    std::string aux;
  };

  /// The search for stop strings in the text of one answer.
  struct Stops {
    StopMatcher matcher;
    std::vector<HeldText> held = {};  // text that may begin a stop string, from its entry on
    std::string sequence = {};        // the one that was found
  };

  struct Share {
    JobHandle job;
    std::unique_ptr<Stops> stops = {};  // nullptr: no text ends the answer
    bool stopped = false;               // at a stop string: what follows does not count
    std::uint64_t entries = 0;
    bool has_calls = false;
    std::optional<FinishReason> reason = {};
    std::string raw_reason = {};
    bool settled = false;

    [[nodiscard]] bool finished() const { return reason.has_value(); }
  };

  [[nodiscard]] bool needs_head() const;
  void begin(const Share& share, Nanos now);
  void write(Share& share, const Entry& entry, Nanos now);
  void append_text(Share& share, const Entry& entry, Nanos now);
  void release(Share& share, std::size_t bytes, bool cut, Nanos now);
  void flush(Share& share, Nanos now);
  void settle(Share& share);
  static RelayOutcome::Failure failure_of(const Share& share, RelayOutcome::Failure failure);
  void conclude_one(Share& share, RelayOutcome::Failure failure, const std::string& text,
                    Nanos now);
  void conclude_together(RelayOutcome::Failure failure, const std::string& text, Nanos now);
  [[nodiscard]] std::size_t choices_given() const;
  void fail(Share& share, RelayOutcome::Failure failure, const std::string& text, Nanos now);
  void end(Share& share, Nanos now);
  [[nodiscard]] Usage usage_of(const Share& share) const;
  [[nodiscard]] std::uint64_t entries_of(const Share& share) const;

  /// The upstream's counts, and the other members of its usage object.
  struct Counts {
    TokenUsage usage;
    std::string members;
  };

  JobHub& hub_;
  std::unique_ptr<RelayOutcome> outcome_;
  bool one_answer_;
  std::vector<Share> shares_;
  std::size_t unsettled_;
  bool blocked_ = false;
  std::unique_ptr<const AnswerHead> head_;  // until every log has it
  std::unique_ptr<const Counts> counts_;
};

}  // namespace sluice
