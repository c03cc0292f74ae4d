#include "core/upstream/relay.h"

#include <algorithm>
#include <utility>

#include "core/upstream/answer_body.h"
#include "core/upstream/call_usage.h"

namespace sluice {

namespace {

using Failure = RelayOutcome::Failure;

constexpr std::size_t kRefusalBytesMax = 64 * 1024;
constexpr std::size_t kEventBytesMax = 16 * 1024 * 1024;  // an image is one event
constexpr std::size_t kFieldNameBytes = 64;               // beside the data of an event

// Once every answer has its finish reason, only the token counts are still worth a short wait.
constexpr Nanos kUsageWait = 2 * kSecond;

// The rest of a body whose content is complete: read so that the connection can be kept.
constexpr std::size_t kRestBytesMax = 64 * 1024;
constexpr Nanos kRestWait = kSecond;

}  // namespace

Relay::Relay(Options options, JobHub& hub, Nanos now)
    : idle_(options.idle),
      times_silence_(options.times_silence),
      decoder_({.choices = static_cast<std::uint32_t>(options.jobs.size()),
                .event_bytes = kEventBytesMax + kFieldNameBytes,
                .random = std::move(options.random)}),
      answers_({.jobs = std::move(options.jobs),
                .one_answer = options.one_answer,
                .stops = std::move(options.stops)},
               hub),
      now_(now),
      last_byte_at_(now) {
  if (settled()) state_ = State::kOver;
}

RelayOutcome Relay::outcome() const {
  RelayOutcome outcome = answers_.outcome();
  outcome.status = status_;
  return outcome;
}

// --- what comes

void Relay::on_head(const Head& head, Nanos now) {
  if (state_ != State::kHead) return;
  now_ = last_byte_at_ = now;
  status_ = head.status;
  const bool has_advice =
      !head.retry_after.empty() || !head.retry_after_ms.empty() || !head.location.empty();
  if (has_advice) {
    RelayOutcome& outcome = answers_.failing();
    outcome.retry_after = head.retry_after;
    outcome.retry_after_ms = head.retry_after_ms;
    outcome.location = head.location;
  }
  encoded_ = !is_identity_encoding(head.content_encoding);
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
  if (state_ == State::kEvents && blocked()) return false;
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
  switch (body_kind(held_)) {
    case BodyKind::kUnknown:
      if (held_.size() > kRefusalBytesMax) fail(Failure::kContentType, std::move(content_type_));
      break;
    case BodyKind::kJson:
      state_ = State::kWhole;
      break;
    case BodyKind::kOther:
      if (!is_stream) {
        fail(Failure::kContentType, std::move(content_type_));
        break;
      }
      strange_ = true;
      [[fallthrough]];  // the decoder decides
    case BodyKind::kEvents:
      state_ = State::kEvents;
      std::string().swap(content_type_);
      if (blocked()) break;
      feed(std::exchange(held_, {}));
      break;
  }
}

// Line by line, so that decoding stops as soon as a window closes.
void Relay::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::kEvents) {
    if (blocked()) {
      held_.assign(bytes);
      return;
    }
    const std::size_t line_end = bytes.find('\n');
    const std::size_t length = line_end == std::string_view::npos ? bytes.size() : line_end + 1;
    decoder_.push(bytes.substr(0, length), *this);
    bytes.remove_prefix(length);
  }
  if (state_ != State::kEvents || usage_deadline_ != kNever || !answers_.all_finished_or_settled())
    return;
  usage_deadline_ = deadline_after(now_, kUsageWait);
}

void Relay::on_end(Nanos now) {
  now_ = now;
  body_ended_ = true;
  if (state_ == State::kEvents && !held_.empty()) return;  // `resume` continues
  take_rest_of_body();
}

void Relay::take_rest_of_body() {
  switch (state_) {
    case State::kHead:
      fail(Failure::kProtocol, {});
      break;
    case State::kRefusal:
      answers_.failing().body_whole = true;
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
  std::string_view json = held_;
  if (json.starts_with(kByteOrderMark)) json.remove_prefix(kByteOrderMark.size());
  decoder_.push("data: ", *this);
  decoder_.push(json, *this);
  held_ = {};
  decoder_.finish(*this);
  complete_ = true;
  if (has_event_) {
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
    broken_ = std::make_unique<std::pair<Failure, std::string>>(failure, name);
    return;
  }
  if (state_ == State::kRefusal) {
    fail(Failure::kStatus, std::move(held_));  // the status says enough without the message
  } else if (state_ != State::kRest && state_ != State::kOver) {
    fail(failure, {}, std::string(name));
  }
  state_ = State::kOver;
}

// --- what the jobs do

void Relay::forget(JobHandle job) {
  if (answers_.forget(job) && settled()) state_ = State::kOver;
}

void Relay::resume(Nanos now) {
  now_ = now;
  const bool was_blocked = blocked();
  answers_.look_for_window();
  if (blocked() || !was_blocked) return;
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

// --- what the decoder finds

void Relay::on_head(const AnswerHead& head) {
  answers_.set_head(head);
}

void Relay::on_entry(std::uint32_t index, const Entry& entry) {
  has_event_ = true;
  if (answers_.is_settled(index) || answers_.is_stopped(index)) return;
  // A finish reason was early: the wait for the counts begins again.
  if (answers_.is_finished(index)) usage_deadline_ = kNever;
  answers_.append(index, entry, now_);
  if (settled() && state_ != State::kOver) leave(false);  // at a stop string
}

void Relay::on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) {
  has_event_ = true;
  if (settled()) return;
  answers_.finish(index, reason, raw, now_);
  if (settled()) leave(true);
}

void Relay::on_usage(const TokenUsage& usage, std::string_view members) {
  has_event_ = true;
  answers_.set_usage(usage, members);
}

void Relay::on_error(const OpenAiError& error) {
  has_event_ = true;
  answers_.failing().type = error.type;
  fail(Failure::kReported, std::string(error.message), std::string(error.code));
}

void Relay::on_done() {
  has_event_ = true;
  complete_ = true;
  conclude();
}

void Relay::on_malformed(std::string_view problem) {
  has_event_ = true;
  fail(Failure::kInvalid, "malformed data: " + std::string(problem));
}

// --- ends

void Relay::fail(Failure failure, std::string text, std::string code) {
  if (settled()) return;
  answers_.failing().code = std::move(code);
  conclude(failure, text);
}

void Relay::conclude(Failure failure, const std::string& text) {
  if (settled()) return;
  decoder_.flush_finished(*this);
  const bool has_no_events = failure == Failure::kNone && strange_;
  answers_.conclude(failure, has_no_events ? "no events" : text, now_);
  leave(failure != Failure::kStalled);
}

void Relay::leave(bool connection_lives) {
  held_ = {};
  const bool keep = connection_lives && !body_ended_ && (complete_ || answers_.all_finished());
  state_ = keep ? State::kRest : State::kOver;
  rest_deadline_ = deadline_after(now_, kRestWait);
}

// --- time

bool Relay::stalls_at(Nanos now) const {
  if (state_ == State::kRest || state_ == State::kOver || blocked()) return false;
  return silence_deadline() <= now;
}

Nanos Relay::silence_deadline() const {
  return times_silence_ ? deadline_after(last_byte_at_, idle_) : kNever;
}

Nanos Relay::next_deadline() const {
  if (state_ == State::kOver) return kNever;
  if (state_ == State::kRest) return rest_deadline_;
  if (blocked()) return kNever;
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
    fail(Failure::kStatus, std::move(held_));  // the status says enough without the message
  } else if (state_ != State::kRest && state_ != State::kOver) {
    fail(Failure::kStalled, {});
  }
  state_ = State::kOver;
}

}  // namespace sluice
