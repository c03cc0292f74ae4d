#include "core/redis/connection.h"

#include <algorithm>
#include <utility>

#include "core/base/backoff.h"
#include "core/redis/command_format.h"

namespace sluice::redis {

Connection::Connection(Transport& transport, Owner& owner, Nanos silence_max,
                       std::function<double()> random)
    : transport_(transport), owner_(owner), silence_max_(silence_max), random_(std::move(random)) {}

void Connection::set_addresses(std::vector<Address> addresses, Nanos now) {
  if (phase_ == Phase::kClosed || addresses == addresses_) return;
  const Address in_use = addresses_.empty() ? Address{} : addresses_[address_];
  addresses_ = std::move(addresses);
  const auto found = std::ranges::find(addresses_, in_use);
  const bool kept = found != addresses_.end();
  address_ = kept ? static_cast<std::size_t>(found - addresses_.begin()) : 0;
  if (kept && has_stream()) return;
  if (has_stream()) fail({State::kUnreachable, "the address has changed"}, now);
  failures_ = 0;
  if (!kept) address_ = 0;
  phase_ = addresses_.empty() ? Phase::kIdle : Phase::kWaiting;
  attempt_at_ = now;
}

void Connection::send(const std::vector<Command>& commands, std::size_t answers) {
  if (owed_ == 0) begins_to_owe_ = true;
  owed_ += answers;
  for (const Command& command : commands) append_command(out_, command);
}

void Connection::give_up(Failure failure, Nanos now) {
  if (has_stream()) fail(std::move(failure), now);
}

void Connection::close() {
  transport_.close();
  phase_ = Phase::kClosed;
  out_.clear();
}

bool Connection::has_stream() const {
  return phase_ == Phase::kOpening || phase_ == Phase::kGreeting || phase_ == Phase::kReady;
}

Nanos Connection::next_deadline() const {
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kClosed:
      return kNever;
    case Phase::kWaiting:
      return attempt_at_;
    case Phase::kOpening:
      return deadline_after(silent_since_, silence_max_);
    case Phase::kGreeting:
    case Phase::kReady:
      if (!out_.empty()) return 0;
      return owed_ == 0 ? kNever : deadline_after(silent_since_, silence_max_);
  }
  return kNever;
}

void Connection::advance(Nanos now) {
  if (phase_ == Phase::kWaiting) {
    if (now >= attempt_at_) open(now);
    return;
  }
  if (!has_stream()) return;
  if (std::exchange(begins_to_owe_, false)) silent_since_ = now;
  if (!out_.empty()) transport_.write(std::exchange(out_, {}));
  const bool owes = phase_ == Phase::kOpening || owed_ > 0;
  if (owes && now >= deadline_after(silent_since_, silence_max_)) {
    const char* const what = phase_ == Phase::kOpening ? "no connection" : "no answer";
    fail({State::kUnreachable,
          std::string(what) + " within " + std::to_string(silence_max_ / kMillisecond) + " ms"},
         now);
  }
}

void Connection::open(Nanos now) {
  phase_ = Phase::kOpening;
  ++stream_;
  attempt_at_ = now;
  silent_since_ = now;
  owed_ = 0;
  begins_to_owe_ = false;
  out_.clear();
  reader_.reset();
  greeting_.clear();
  transport_.open(addresses_[address_], *this);
}

void Connection::on_open(Nanos now) {
  phase_ = Phase::kGreeting;
  const std::vector<Command> commands = owner_.greeting();
  greeting_size_ = commands.size();
  silent_since_ = now;
  send(commands, commands.size());
}

void Connection::on_bytes(std::string_view bytes, Nanos now) {
  last_received_at_ = now;
  silent_since_ = now;
  reader_.feed(bytes);
  // The owner may give this stream up, or close, from within its calls.
  const std::uint64_t stream = stream_;
  while (stream == stream_ && (phase_ == Phase::kGreeting || phase_ == Phase::kReady)) {
    Reply reply;
    const ReplyReader::Status status = reader_.next(reply);
    if (status == ReplyReader::Status::kMore) return;
    if (status == ReplyReader::Status::kBad) {
      // Waiting does not turn another kind of server into Redis.
      const State state = phase_ == Phase::kGreeting ? State::kRefused : State::kUnreachable;
      fail({state, "the server does not answer as Redis does: " + reader_.problem()}, now);
      return;
    }
    if (phase_ == Phase::kGreeting) {
      take_greeting(std::move(reply), now);
      continue;
    }
    if (owner_.on_reply(std::move(reply), now) && stream == stream_ && owed_ > 0) {
      --owed_;
      failures_ = 0;
    }
  }
}

void Connection::take_greeting(Reply reply, Nanos now) {
  greeting_.push_back(std::move(reply));
  if (owed_ > 0) --owed_;
  // A server that refuses the connection as such says so at once, and closes.
  const bool refused = greeting_.size() == 1 && greeting_.front().kind == Reply::Kind::kError;
  if (greeting_.size() < greeting_size_ && !refused) return;
  Failure failure = owner_.check_greeting(greeting_);
  greeting_.clear();
  if (failure.state != State::kOk) {
    fail(std::move(failure), now);
    return;
  }
  phase_ = Phase::kReady;
  owner_.on_ready(now);
}

void Connection::on_progress(Nanos now) {
  silent_since_ = now;
}

void Connection::on_closed(std::string_view reason, Nanos now) {
  if (has_stream()) fail({State::kUnreachable, std::string(reason)}, now);
}

void Connection::fail(Failure failure, Nanos now) {
  const bool was_ready = phase_ == Phase::kReady;
  transport_.close();
  phase_ = Phase::kWaiting;
  out_.clear();
  owed_ = 0;
  // A connection that has been lost begins with a short pause; an attempt's own time counts.
  const Nanos since = was_ready ? now : attempt_at_;
  attempt_at_ = std::max(deadline_after(since, pause()), now + kPauseBase / 2);
  if (!was_ready && !addresses_.empty()) address_ = (address_ + 1) % addresses_.size();
  owner_.on_down(failure, was_ready, now);
}

Nanos Connection::pause() {
  constexpr Nanos kDoublingsMax = 8;
  const Nanos whole =
      std::min(kPauseMax, kPauseBase << std::min<std::uint64_t>(failures_, kDoublingsMax));
  ++failures_;
  return whole / 2 + full_jitter(whole / 2, whole / 2, 0, random_());
}

}  // namespace sluice::redis
