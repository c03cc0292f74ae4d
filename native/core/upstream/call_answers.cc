#include "core/upstream/call_answers.h"

#include <algorithm>
#include <utility>

#include "core/base/json_writer.h"
#include "core/upstream/call_usage.h"

namespace sluice {

using Failure = RelayOutcome::Failure;

CallAnswers::CallAnswers(Options options, JobHub& hub)
    : hub_(hub), one_answer_(options.one_answer), unsettled_(options.jobs.size()) {
  shares_.reserve(options.jobs.size());
  for (const JobHandle job : options.jobs) {
    Share& share = shares_.emplace_back(Share{.job = job});
    StopMatcher matcher(options.stops);
    if (matcher.active()) share.stops = std::make_unique<Stops>(Stops{std::move(matcher)});
  }
  for (Share& share : shares_) {
    if (!hub_.is_open(share.job)) settle(share);
  }
  look_for_window();
}

RelayOutcome CallAnswers::outcome() const {
  if (outcome_ != nullptr) return *outcome_;
  RelayOutcome outcome;
  outcome.failed.assign(shares_.size(), -1);
  return outcome;
}

RelayOutcome& CallAnswers::failing() {
  if (outcome_ == nullptr) outcome_ = std::make_unique<RelayOutcome>(outcome());
  return *outcome_;
}

// A log that has an entry keeps its head.
bool CallAnswers::needs_head() const {
  return std::ranges::any_of(shares_, [](const Share& share) { return share.entries == 0; });
}

void CallAnswers::set_head(const AnswerHead& head) {
  if (needs_head()) head_ = std::make_unique<const AnswerHead>(head);
}

void CallAnswers::set_usage(const TokenUsage& usage, std::string_view members) {
  counts_ = std::make_unique<const Counts>(Counts{usage, std::string(members)});
}

void CallAnswers::append(std::size_t index, const Entry& entry, Nanos now) {
  Share& share = shares_[index];
  if (share.settled || share.stopped) return;
  begin(share, now);
  share.entries += 1;
  if (head_ != nullptr && !needs_head()) head_.reset();
  share.has_calls = share.has_calls || entry.kind == EntryKind::kToolCall;
  if (share.stops == nullptr) {
    write(share, entry, now);
  } else if (entry.kind == EntryKind::kText) {
    append_text(share, entry, now);
  } else {
    flush(share, now);
    write(share, entry, now);
  }
}

void CallAnswers::write(Share& share, const Entry& entry, Nanos now) {
  if (share.settled) return;
  const bool is_open = hub_.append(share.job, entry, now);  // ends the job if its log is full
  blocked_ = blocked_ || (!share.settled && !is_open);
}

void CallAnswers::append_text(Share& share, const Entry& entry, Nanos now) {
  Stops& stops = *share.stops;
  const std::size_t end = stops.matcher.push(entry.text);
  const std::size_t pending = stops.matcher.pending();
  if (end == std::string_view::npos && pending == 0 && stops.held.empty()) {
    write(share, entry, now);
    return;
  }
  std::size_t bytes = end == std::string_view::npos ? entry.text.size() : end;
  for (const HeldText& held : stops.held) bytes += held.text.size();
  stops.held.push_back({std::string(entry.text), std::string(entry.aux)});
  release(share, bytes - pending, end != std::string_view::npos, now);
  if (end == std::string_view::npos || share.settled) return;
  for (const HeldText& held : std::exchange(stops.held, {})) stops.sequence.append(held.text);
  stops.sequence.resize(pending);
  share.stopped = true;
  share.reason = FinishReason::kStop;
  share.raw_reason = name_of(FinishReason::kStop);
  if (!one_answer_) {
    conclude_one(share, Failure::kNone, {}, now);
  } else if (std::ranges::all_of(shares_,
                                 [](const Share& each) { return each.settled || each.stopped; })) {
    conclude_together(Failure::kNone, {}, now);
  }
}

/// Writes the first `bytes` of the held text. An entry with aux data is not divided unless `cut`,
/// and then loses them: they are those of its whole text.
void CallAnswers::release(Share& share, std::size_t bytes, bool cut, Nanos now) {
  std::vector<HeldText>& held_texts = share.stops->held;
  std::size_t written = 0;
  for (HeldText& held : held_texts) {
    if (bytes < held.text.size()) {
      if (bytes == 0 || (!held.aux.empty() && !cut)) break;
      write(share, {.text = std::string_view(held.text).substr(0, bytes)}, now);
      held.text.erase(0, bytes);
      break;
    }
    bytes -= held.text.size();
    write(share, {.text = held.text, .aux = held.aux}, now);
    ++written;
  }
  held_texts.erase(held_texts.begin(), held_texts.begin() + static_cast<std::ptrdiff_t>(written));
}

/// The text continues differently, or ends: none of it is a stop string.
void CallAnswers::flush(Share& share, Nanos now) {
  if (share.stops == nullptr) return;
  for (const HeldText& held : std::exchange(share.stops->held, {})) {
    write(share, {.text = held.text, .aux = held.aux}, now);
  }
  share.stops->matcher.reset();
}

// A log's head holds the facts known at its first entry, or at its end if it has none.
void CallAnswers::begin(const Share& share, Nanos now) {
  if (share.entries == 0 && head_ != nullptr) hub_.set_head(share.job, *head_, now);
}

void CallAnswers::look_for_window() {
  blocked_ = std::ranges::any_of(
      shares_, [this](const Share& share) { return !share.settled && !hub_.writable(share.job); });
}

bool CallAnswers::forget(JobHandle job) {
  const std::size_t before = unsettled_;
  for (Share& share : shares_) {
    if (share.job == job) settle(share);
  }
  return unsettled_ != before;
}

void CallAnswers::settle(Share& share) {
  if (std::exchange(share.settled, true)) return;
  unsettled_ -= 1;
}

bool CallAnswers::all_finished() const {
  return std::ranges::all_of(shares_, &Share::finished);
}

bool CallAnswers::all_finished_or_settled() const {
  return std::ranges::all_of(shares_,
                             [](const Share& share) { return share.settled || share.finished(); });
}

std::vector<JobHandle> CallAnswers::jobs() const {
  std::vector<JobHandle> jobs;
  for (const Share& share : shares_) jobs.push_back(share.job);
  return jobs;
}

// --- ends

void CallAnswers::finish(std::size_t index, FinishReason reason, std::string_view raw, Nanos now) {
  Share& share = shares_[index];
  if (share.stopped) return;
  share.reason = reason;
  share.raw_reason = raw;
  if (shares_.size() > 1 && !one_answer_ && !share.settled) {
    conclude_one(share, Failure::kNone, {}, now);
  }
}

void CallAnswers::conclude(Failure failure, const std::string& text, Nanos now) {
  if (one_answer_) return conclude_together(failure, text, now);
  for (Share& share : shares_) {
    if (!share.settled) conclude_one(share, failure, text, now);
  }
}

/// Why the answer fails if the call ends now, because of `failure` or in good order.
Failure CallAnswers::failure_of(const Share& share, Failure failure) {
  if (!share.reason) return failure == Failure::kNone ? Failure::kIncomplete : failure;
  if (share.reason != FinishReason::kFailed) return Failure::kNone;
  // An error object is more specific than a finish reason that signals an error.
  return failure == Failure::kNone ? Failure::kFinish : failure;
}

void CallAnswers::conclude_one(Share& share, Failure failure, const std::string& text, Nanos now) {
  const Failure own = failure_of(share, failure);
  if (own == Failure::kNone) {
    end(share, now);
  } else {
    fail(share, own, own == Failure::kFinish ? share.raw_reason : text, now);
  }
}

/// Choices with a finish reason, if those without one have not even begun; else 0.
std::size_t CallAnswers::choices_given() const {
  std::size_t given = 0;
  for (const Share& share : shares_) {
    if (share.finished()) {
      ++given;
    } else if (share.entries > 0) {
      return 0;
    }
  }
  return given;
}

// The answer is whole, or it has failed.
void CallAnswers::conclude_together(Failure failure, const std::string& text, Nanos now) {
  const auto failed = std::ranges::find_if(shares_, [failure](const Share& share) {
    return !share.settled && failure_of(share, failure) != Failure::kNone;
  });
  const bool is_whole = failed == shares_.end();
  Failure own = is_whole ? Failure::kNone : failure_of(*failed, failure);
  std::string why = own == Failure::kFinish ? failed->raw_reason : text;
  const std::size_t given = choices_given();
  if (failure == Failure::kNone && own == Failure::kIncomplete && given > 0) {
    own = Failure::kChoices;
    why = std::to_string(given) + " of " + std::to_string(shares_.size());
  }
  for (std::size_t i = shares_.size(); i-- > 0;) {
    Share& share = shares_[i];
    if (share.settled) continue;
    if (is_whole) {
      end(share, now);
    } else {
      fail(share, own, why, now);
    }
  }
}

void CallAnswers::fail(Share& share, Failure failure, const std::string& text, Nanos now) {
  flush(share, now);
  settle(share);
  RelayOutcome& outcome = failing();
  outcome.failed[static_cast<std::size_t>(&share - shares_.data())] =
      static_cast<std::int64_t>(entries_of(share));
  outcome.failure = failure;
  outcome.text = text;
}

/// The entries that another attempt would repeat.
std::uint64_t CallAnswers::entries_of(const Share& share) const {
  if (!one_answer_) return share.entries;
  std::uint64_t entries = 0;
  for (const Share& each : shares_) entries += each.entries;
  return entries;
}

void CallAnswers::end(Share& share, Nanos now) {
  flush(share, now);
  settle(share);
  begin(share, now);
  const bool ends_in_calls = share.reason == FinishReason::kStop && share.has_calls;
  Terminal terminal;
  terminal.reason = name_of(ends_in_calls ? FinishReason::kToolCalls : *share.reason);
  terminal.raw_reason = share.raw_reason;
  if (share.stopped) {
    terminal.details = "{\"stop_sequence\":";
    append_json_string(terminal.details, share.stops->sequence);
    terminal.details.push_back('}');
  }
  terminal.usage = usage_of(share);
  hub_.finish(share.job, std::move(terminal), now);
}

Usage CallAnswers::usage_of(const Share& share) const {
  Usage estimate = hub_.usage(share.job);
  const bool has_whole_call = shares_.size() == 1 || (one_answer_ && &share == shares_.data());
  if (!has_whole_call) return complete_usage({}, {}, estimate);
  for (std::size_t i = 1; i < shares_.size(); ++i) {
    estimate.completion_tokens += hub_.usage(shares_[i].job).completion_tokens;
  }
  if (counts_ == nullptr) return complete_usage({}, {}, estimate);
  return complete_usage(counts_->usage, counts_->members, estimate);
}

}  // namespace sluice
