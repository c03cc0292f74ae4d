#include "core/upstream/relay.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/ascii.h"

namespace sluice {

namespace {

using Failure = RelayOutcome::Failure;

constexpr std::size_t kRefusalBytesMax = 64 * 1024;
constexpr std::size_t kEventBytesMax = 16 * 1024 * 1024;  // an image is one event

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

constexpr std::array<std::string_view, 4> kSseFields{"data", "event", "id", "retry"};

/// The kind of a body, by its first bytes.
enum class Body : std::uint8_t { kUnknown, kJson, kEvents, kOther };

Body body_of(std::string_view bytes) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const std::string_view mark = bytes.substr(0, kByteOrderMark.size());
  if (mark.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(mark)) {
    return Body::kUnknown;
  }
  if (mark == kByteOrderMark) bytes.remove_prefix(mark.size());
  const std::size_t start = bytes.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return Body::kUnknown;
  bytes.remove_prefix(start);
  if (bytes.front() == '{' || bytes.front() == '[') return Body::kJson;
  if (bytes.front() == ':') return Body::kEvents;
  for (const std::string_view field : kSseFields) {
    const std::string_view name = bytes.substr(0, field.size());
    if (!field.starts_with(name)) continue;
    if (name.size() < field.size() || bytes.size() == field.size()) return Body::kUnknown;
    if (bytes[field.size()] == ':') return Body::kEvents;
  }
  return Body::kOther;
}

bool is_identity(std::string_view encoding) {
  return encoding.empty() || equals_ignoring_case(encoding, "identity");
}

/// Describes the kinds of output in `kinds`, except text.
std::string names_of(std::uint8_t kinds) {
  constexpr std::array<std::pair<PieceKind, std::string_view>, 4> kNames{{
      {PieceKind::kToolCall, "tool calls"},
      {PieceKind::kRefusal, "a refusal"},
      {PieceKind::kReasoning, "reasoning"},
      {PieceKind::kExtra, "images"},
  }};
  std::string names;
  for (const auto& [kind, name] : kNames) {
    if ((kinds & (1U << static_cast<unsigned>(kind))) == 0) continue;
    if (!names.empty()) names.append(" and ");
    names.append(name);
  }
  return names;
}

bool has_kind(std::uint8_t kinds, PieceKind kind) {
  return (kinds & (1U << static_cast<unsigned>(kind))) != 0;
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
  outcome_.location = head.location;
  encoded_ = !is_identity(head.content_encoding);
  if (head.status != 200) {
    state_ = State::kRefusal;
    refusal_deadline_ = deadline_after(now, idle_);
  } else if (encoded_) {
    fail(Failure::kEncoding, std::string(head.content_encoding));
  } else {
    state_ = State::kSniff;
    content_type_ = media_type(head.content_type);
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
  if (state_ == State::kSniff) {
    sniff(bytes);
  } else if (state_ == State::kEvents) {
    feed(bytes);
  } else if (state_ == State::kRefusal) {
    if (!encoded_) held_.append(bytes);
    if (held_.size() > kRefusalBytesMax) fail(Failure::kStatus, std::move(held_));
  } else {
    held_.append(bytes);
    if (held_.size() > kEventBytesMax) {
      fail(Failure::kInvalid, "an answer that exceeds the size limit");
    }
  }
  return true;
}

// The content type of a server is often wrong; a JSON body in place of a stream is usually an
// error.
void Relay::sniff(std::string_view bytes) {
  held_.append(bytes);
  const bool is_stream = content_type_.empty() || content_type_ == "text/event-stream";
  switch (body_of(held_)) {
    case Body::kUnknown:
      if (held_.size() > kRefusalBytesMax) fail(Failure::kContentType, std::move(content_type_));
      break;
    case Body::kJson:
      state_ = State::kWhole;
      break;
    case Body::kOther:
      if (!is_stream) {
        fail(Failure::kContentType, std::move(content_type_));
        break;
      }
      strange_ = true;
      [[fallthrough]];  // the decoder decides
    case Body::kEvents:
      state_ = State::kEvents;
      if (blocked_) break;
      feed(std::exchange(held_, {}));
      break;
  }
}

// Line by line, so that decoding stops as soon as a window closes.
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
    case State::kSniff:
      fail(Failure::kIncomplete, {});
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
  last_byte_at_ = now;  // time while blocked does not count as silence
  if (state_ == State::kEvents) {
    feed(std::exchange(held_, {}));
    if (!held_.empty() || !body_ended_ || state_ != State::kEvents) return;
    if (broken_) {
      fail(broken_->first, {}, broken_->second);
    } else {
      take_rest_of_body();
    }
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

void Relay::on_text(std::uint32_t index, std::string_view text) {
  heard_ = true;
  Share& share = shares_[index];
  if (share.settled) return;
  share.texts += 1;
  share.entries += 1;
  if (share.finished) usage_deadline_ = kNever;  // it was early: the wait begins anew
  hub_.append(share.job, text, now_);            // may end the job, if its log is full
  share.blocked = !share.settled && !hub_.writable(share.job);
  blocked_ = blocked_ || share.blocked;
}

void Relay::on_other(std::uint32_t index, PieceKind kind, std::string_view /*text*/) {
  heard_ = true;
  Share& share = shares_[index];
  if (share.settled) return;
  share.entries += 1;
  share.other_kinds |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind));
}

void Relay::on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) {
  heard_ = true;
  Share& share = shares_[index];
  share.reason = reason;
  share.raw_reason = raw;
  share.finished = true;
  // The counts that may follow are for the whole call, so they say nothing of one of many.
  if (shares_.size() == 1) return;
  end(index);
  if (settled()) leave(true);
}

void Relay::on_usage(const TokenUsage& usage) {
  heard_ = true;
  usage_ = usage;
}

void Relay::on_error(const OpenAiError& error) {
  heard_ = true;
  outcome_.type = error.type;
  fail(Failure::kReported, std::string(error.message), std::string(error.code));
}

void Relay::on_done() {
  heard_ = true;
  complete_ = true;
  done_ = true;
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

void Relay::end(std::size_t index) {
  Share& share = shares_[index];
  if (share.settled) return;
  const FinishReason reason = share.reason.value_or(FinishReason::kStop);
  if (reason == FinishReason::kFailed) {
    settle_failed(index, Failure::kFinish, share.raw_reason);
    return;
  }
  const bool is_filtered = reason == FinishReason::kContentFilter;
  if (share.texts == 0 && share.other_kinds != 0 && !is_filtered) {
    settle_failed(index, Failure::kUnsupported, names_of(share.other_kinds));
    return;
  }
  settle(share);
  const bool has_calls = has_kind(share.other_kinds, PieceKind::kToolCall);
  Terminal terminal;
  terminal.reason =
      name_of(reason == FinishReason::kStop && has_calls ? FinishReason::kToolCalls : reason);
  terminal.usage = usage_of(share);
  hub_.finish(share.job, std::move(terminal), now_);
}

// A missing count is derived from the others, or else is the hub's estimate.
std::optional<Usage> Relay::usage_of(const Share& share) const {
  Usage usage = hub_.usage(share.job);
  usage.estimated = true;
  if (shares_.size() > 1) return usage;
  std::optional<std::uint64_t> prompt = usage_.prompt_tokens;
  std::optional<std::uint64_t> completion = usage_.completion_tokens;
  const auto rest_of = [this](const std::optional<std::uint64_t>& known) {
    std::optional<std::uint64_t> rest;
    if (usage_.total_tokens && known && *known <= *usage_.total_tokens) {
      rest = *usage_.total_tokens - *known;
    }
    return rest;
  };
  if (!completion) completion = rest_of(prompt);
  if (!prompt) prompt = rest_of(completion);
  usage.estimated = !prompt || !completion;
  usage.prompt_tokens = prompt.value_or(usage.prompt_tokens);
  usage.completion_tokens = completion.value_or(usage.completion_tokens);
  return usage;
}

void Relay::settle_failed(std::size_t index, Failure failure, std::string text) {
  settle(shares_[index]);
  outcome_.failed[index] = static_cast<std::int64_t>(shares_[index].entries);
  outcome_.failure = failure;
  outcome_.text = std::move(text);
}

void Relay::fail(Failure failure, std::string text, std::string code) {
  if (settled()) return;
  outcome_.code = std::move(code);
  conclude(failure, text);
}

// Whatever is not settled is now. Nothing that goes wrong after a finish reason takes it back, and
// the end that an upstream announces is an end also where it gives no reason.
void Relay::conclude(Failure failure, const std::string& text) {
  if (settled()) return;
  const bool in_order = done_ && failure == Failure::kNone;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    const Share& share = shares_[i];
    if (share.settled) continue;
    // An error object is more specific than a finish reason that signals an error.
    const bool announced = share.reason == FinishReason::kFailed && failure != Failure::kNone;
    if ((share.reason && !announced) || (in_order && share.entries > 0)) {
      end(i);
    } else {
      const Failure own = failure == Failure::kNone ? Failure::kIncomplete : failure;
      settle_failed(i, own, own == Failure::kIncomplete && strange_ ? "no events" : text);
    }
  }
  leave(failure != Failure::kStalled);
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
