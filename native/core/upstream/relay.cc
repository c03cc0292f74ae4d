#include "core/upstream/relay.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace sluice {

namespace {

using Failure = RelayOutcome::Failure;

constexpr std::size_t kRefusalBytesMax = 64 * 1024;
constexpr std::size_t kEventBytesMax = 1024 * 1024;

// Once every answer has its finish reason, only the token counts are still worth a short wait.
constexpr Nanos kUsageWait = 2 * kSecond;

// The rest of a body whose content is complete: read so that the connection can be kept.
constexpr std::size_t kRestBytesMax = 64 * 1024;
constexpr Nanos kRestWait = kSecond;

// `text/event-stream; charset=utf-8` without its parameters, in lower case.
std::string media_type(std::string_view header) {
  std::string type(header.substr(0, header.find(';')));
  for (char& c : type) c = to_lower(c);
  constexpr std::string_view kBlank = " \t";
  const std::size_t from = type.find_first_not_of(kBlank);
  if (from == std::string::npos) return {};
  return type.substr(from, type.find_last_not_of(kBlank) - from + 1);
}

}  // namespace

Relay::Relay(Options options, JobHub& hub, Nanos now)
    : hub_(hub),
      idle_(options.idle),
      times_silence_(options.times_silence),
      decoder_({.choices = static_cast<std::uint32_t>(options.jobs.size()),
                .event_bytes = kEventBytesMax}),
      unsettled_(options.jobs.size()),
      now_(now),
      last_byte_at_(now) {
  shares_.reserve(options.jobs.size());
  for (const JobHandle job : options.jobs) shares_.push_back({.job = job});
  outcome_.failed.assign(shares_.size(), -1);
  for (Share& share : shares_) {
    if (!hub_.is_open(share.job)) settle(share);
  }
  if (settled()) state_ = State::kOver;
  look_for_window();
}

// --- what comes

void Relay::on_head(const Head& head, Nanos now) {
  if (state_ != State::kHead) return;
  now_ = last_byte_at_ = now;
  outcome_.status = head.status;
  outcome_.retry_after = head.retry_after;
  outcome_.retry_after_ms = head.retry_after_ms;
  std::string type = media_type(head.content_type);
  if (head.status != 200) {
    state_ = State::kRefusal;
    refusal_deadline_ = deadline_after(now, idle_);
  } else if (type == "application/json") {
    state_ = State::kWhole;  // it does not stream: its answer has the members of a chunk
  } else if (type.empty() || type == "text/event-stream") {
    state_ = State::kEvents;  // a missing type is forgiven: the decoder will tell
  } else {
    fail(Failure::kContentType, std::move(type));
  }
}

bool Relay::on_bytes(std::string_view bytes, Nanos now) {
  if (state_ == State::kOver || state_ == State::kHead) return true;
  now_ = now;
  if (state_ == State::kRest) {
    rest_bytes_ += bytes.size();
    if (rest_bytes_ > kRestBytesMax) state_ = State::kOver;
    return true;
  }
  if (state_ == State::kEvents && blocked_) return false;
  last_byte_at_ = now;
  if (state_ == State::kEvents) {
    feed(bytes);
  } else if (state_ == State::kRefusal) {
    held_.append(bytes);
    if (held_.size() > kRefusalBytesMax) fail(Failure::kStatus, std::move(held_));
  } else {
    held_.append(bytes);
    if (held_.size() > kEventBytesMax) {
      fail(Failure::kInvalid, "an answer that exceeds the size limit");
    }
  }
  return true;
}

// Line by line, so that a window that closes in the middle of what came is heeded there.
void Relay::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::kEvents) {
    if (blocked_) {
      held_.assign(bytes);
      return;
    }
    const std::size_t line_end = bytes.find('\n');
    const std::size_t length = line_end == std::string_view::npos ? bytes.size() : line_end + 1;
    decoder_.push(bytes.substr(0, length), *this);
    bytes.remove_prefix(length);
  }
  if (state_ != State::kEvents || usage_deadline_ != kNever || !finished_or_settled()) return;
  usage_deadline_ = deadline_after(now_, kUsageWait);
}

void Relay::on_end(Nanos now) {
  now_ = now;
  body_ended_ = true;
  if (state_ == State::kEvents && !held_.empty()) return;  // `resume` goes on
  take_rest_of_body();
}

void Relay::take_rest_of_body() {
  switch (state_) {
    case State::kHead:
      fail(Failure::kProtocol, {});
      break;
    case State::kRefusal:
      outcome_.body_whole = true;
      fail(Failure::kStatus, std::move(held_));
      break;
    case State::kWhole:
      decode_whole();
      break;
    case State::kEvents:
      decoder_.finish(*this);
      complete_ = true;
      conclude();
      break;
    case State::kRest:
    case State::kOver:
      break;
  }
  state_ = State::kOver;
}

void Relay::decode_whole() {
  // Line ends separate JSON's tokens only: within its strings they are escaped.
  std::replace(held_.begin(), held_.end(), '\n', ' ');
  std::replace(held_.begin(), held_.end(), '\r', ' ');
  decoder_.push("data: ", *this);
  decoder_.push(std::exchange(held_, {}), *this);
  decoder_.finish(*this);
  complete_ = true;
  if (heard_) {
    conclude();
  } else {
    fail(Failure::kInvalid, "JSON that is no completion");
  }
}

void Relay::on_broken(bool protocol, std::string_view name, Nanos now) {
  now_ = now;
  body_ended_ = true;  // there is nothing to be kept of the connection
  const Failure failure = protocol                 ? Failure::kProtocol
                          : state_ == State::kHead ? Failure::kUnreachable
                                                   : Failure::kDisconnected;
  if (state_ == State::kEvents && !held_.empty()) {
    broken_.emplace(failure, name);
    return;
  }
  if (state_ == State::kRefusal) {
    fail(Failure::kStatus, std::move(held_));  // says enough; the message is a courtesy
  } else if (state_ != State::kRest && state_ != State::kOver) {
    fail(failure, {}, std::string(name));
  }
  state_ = State::kOver;
}

// --- what the jobs do

void Relay::forget(JobHandle job) {
  const std::size_t before = unsettled_;
  for (Share& share : shares_) {
    if (share.job == job) settle(share);
  }
  if (settled() && unsettled_ != before) state_ = State::kOver;
}

void Relay::resume(Nanos now) {
  now_ = now;
  const bool was_blocked = blocked_;
  look_for_window();
  if (blocked_ || !was_blocked) return;
  last_byte_at_ = now;  // time in which nobody asked does not count as silence
  const std::string bytes = std::exchange(held_, {});
  if (state_ == State::kEvents) {
    feed(bytes);
    if (!held_.empty() || !body_ended_ || state_ != State::kEvents) return;
    if (broken_) {
      fail(broken_->first, {}, broken_->second);
    } else {
      take_rest_of_body();
    }
  } else {
    held_ = bytes;
  }
}

void Relay::look_for_window() {
  blocked_ = false;
  for (Share& share : shares_) {
    share.blocked = !share.settled && !hub_.writable(share.job);
    blocked_ = blocked_ || share.blocked;
  }
}

// --- what the decoder finds

void Relay::on_delta(std::uint32_t index, std::string_view text) {
  heard_ = true;
  Share& share = shares_[index];
  if (share.settled) return;
  share.deltas += 1;
  hub_.append(share.job, text, now_);
  share.blocked = !hub_.writable(share.job);
  blocked_ = blocked_ || share.blocked;
}

void Relay::on_finish(std::uint32_t index, FinishReason reason, std::string_view /*raw*/) {
  heard_ = true;
  Share& share = shares_[index];
  share.reason = reason;
  share.finished = true;
  // The counts that may follow are for the whole call, so they say nothing of one of many.
  if (shares_.size() == 1) return;
  end(share);
  if (settled()) leave(true);
}

void Relay::on_usage(const TokenUsage& usage) {
  heard_ = true;
  usage_ = Usage{usage.prompt_tokens, usage.completion_tokens};
}

void Relay::on_error(const OpenAiError& error) {
  heard_ = true;
  fail(Failure::kReported, std::string(error.message), std::string(error.code));
}

void Relay::on_done() {
  heard_ = true;
  complete_ = true;
  conclude();
}

void Relay::on_malformed(std::string_view problem) {
  heard_ = true;
  fail(Failure::kInvalid, "malformed data: " + std::string(problem));
}

// --- ends

void Relay::settle(Share& share) {
  if (share.settled) return;
  share.settled = true;
  share.blocked = false;
  unsettled_ -= 1;
}

void Relay::end(Share& share) {
  if (share.settled) return;
  settle(share);
  Terminal terminal;
  terminal.reason = share.reason == FinishReason::kLength ? "length" : "stop";
  if (shares_.size() == 1) terminal.usage = usage_;
  hub_.finish(share.job, std::move(terminal), now_);
}

void Relay::fail(Failure failure, std::string text, std::string code) {
  if (settled()) return;
  outcome_.failure = failure;
  outcome_.text = std::move(text);
  outcome_.code = std::move(code);
  conclude();
}

// Whatever is not settled is now. Nothing that goes wrong after a finish reason takes it back.
void Relay::conclude() {
  if (settled()) return;
  bool failed = false;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    Share& share = shares_[i];
    if (share.settled) continue;
    if (share.reason) {
      end(share);
      continue;
    }
    settle(share);
    outcome_.failed[i] = static_cast<std::int64_t>(share.deltas);
    failed = true;
  }
  if (failed && outcome_.failure == Failure::kNone) outcome_.failure = Failure::kIncomplete;
  if (!failed) outcome_.failure = Failure::kNone;
  leave(outcome_.failure != Failure::kStalled);
}

void Relay::leave(bool connection_lives) {
  blocked_ = false;
  held_ = {};
  const bool keep = connection_lives && !body_ended_ && (complete_ || all_finished());
  state_ = keep ? State::kRest : State::kOver;
  rest_deadline_ = deadline_after(now_, kRestWait);
}

bool Relay::all_finished() const {
  return std::ranges::all_of(shares_, [](const Share& share) { return share.finished; });
}

bool Relay::finished_or_settled() const {
  return std::ranges::all_of(shares_,
                             [](const Share& share) { return share.settled || share.finished; });
}

std::vector<JobHandle> Relay::jobs() const {
  std::vector<JobHandle> jobs;
  for (const Share& share : shares_) jobs.push_back(share.job);
  return jobs;
}

// --- time

bool Relay::stalls_at(Nanos now) const {
  if (state_ == State::kRest || state_ == State::kOver || blocked_) return false;
  return silence_deadline() <= now;
}

Nanos Relay::silence_deadline() const {
  return times_silence_ ? deadline_after(last_byte_at_, idle_) : kNever;
}

Nanos Relay::next_deadline() const {
  if (state_ == State::kOver) return kNever;
  if (state_ == State::kRest) return rest_deadline_;
  if (blocked_) return kNever;
  return std::min({usage_deadline_, refusal_deadline_, silence_deadline()});
}

void Relay::advance(Nanos now) {
  if (next_deadline() > now) return;
  now_ = now;
  if (state_ == State::kRest) {
    state_ = State::kOver;
  } else {
    on_stalled(now);
  }
  state_ = State::kOver;
}

void Relay::on_stalled(Nanos now) {
  now_ = now;
  body_ended_ = true;  // there is nothing to be kept of the connection
  if (state_ == State::kRefusal) {
    fail(Failure::kStatus, std::move(held_));  // says enough; the message is a courtesy
  } else if (state_ != State::kRest && state_ != State::kOver) {
    fail(Failure::kStalled, {});
  }
  state_ = State::kOver;
}

}  // namespace sluice
