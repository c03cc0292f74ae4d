#include "core/redis/link.h"

#include <algorithm>
#include <utility>

namespace sluice::redis {

namespace {

constexpr std::string_view kBeatScript = "beat";
// Of the lease.
constexpr Nanos kBeatsPerLease = 5;
constexpr Nanos kSilentBeatsMax = 3;

bool has_script(const LinkOptions& options, std::string_view name) {
  return std::ranges::find(options.scripts, name, &Script::name) != options.scripts.end();
}

Nanos beat_interval(const LinkOptions& options) {
  return std::max<Nanos>(options.lease / kBeatsPerLease, 1);
}

Nanos silence_max(const LinkOptions& options) {
  return std::min(Link::kSilenceMax, kSilentBeatsMax * beat_interval(options));
}

// The name of a command for messages: `XADD`.
std::string name_of(const Command& command) {
  return command.empty() ? std::string() : command.front();
}

}  // namespace

Link::Link(LinkOptions options, Transport& writer, Transport& subscriber, LinkObserver& observer,
           std::function<double()> random)
    : options_(std::move(options)),
      observer_(observer),
      writer_(writer, *this, options_, silence_max(options_), random),
      subscriber_(subscriber, *this, options_, silence_max(options_), random),
      beats_(has_script(options_, kBeatScript)) {}

void Link::set_addresses(std::vector<Address> addresses, Nanos now) {
  subscriber_.connection().set_addresses(addresses, now);
  writer_.connection().set_addresses(std::move(addresses), now);
}

void Link::rename(std::string process, Nanos now) {
  if (process == options_.process) return;
  former_.push_back(std::exchange(options_.process, std::move(process)));
  // A beat in flight carries the old name; its answer must not count for the new one.
  ++beat_count_;
  beat_sent_ = kNever;
  if (connected()) beat_at_ = now;
}

void Link::close() {
  subscriber_.connection().close();
  beat_at_ = kNever;
  const bool was_connected = connected();
  writer_.close();
  if (was_connected) call_listeners(&Listener::on_disconnected);
}

void Link::attach(Listener& listener) {
  listeners_.push_back(&listener);
}

void Link::detach(Listener& listener) {
  std::erase(listeners_, &listener);
  subscriber_.forget(listener);
  figures_.channels = subscriber_.size();
}

void Link::send(std::uint64_t request, std::vector<Command> commands, ReplyHandler& to) {
  ++figures_.pipelines;
  figures_.commands += commands.size();
  writer_.send(request, std::move(commands), to);
}

void Link::forget(ReplyHandler& to) {
  writer_.forget(to);
}

void Link::subscribe(std::string channel, Listener& to) {
  subscriber_.subscribe(std::move(channel), to);
  figures_.channels = subscriber_.size();
}

void Link::unsubscribe(std::string_view channel) {
  subscriber_.unsubscribe(channel);
  figures_.channels = subscriber_.size();
}

Nanos Link::next_deadline() const {
  const Nanos beat = connected() && beat_sent_ == kNever ? beat_at_ : kNever;
  return std::min({writer_.next_deadline(), subscriber_.next_deadline(), beat});
}

void Link::advance(Nanos now) {
  if (connected() && beat_sent_ == kNever && now >= beat_at_) beat(now);
  if (subscriber_.next_deadline() <= now) subscriber_.advance(now);
  if (writer_.next_deadline() <= now) writer_.advance(now);
}

void Link::beat(Nanos now) {
  beat_sent_ = now;
  beat_at_ = now + beat_interval(options_);
  const bool named = beats_ && !options_.process.empty();
  Command command{"PING"};
  if (named) {
    command = script_call(kBeatScript, {options_.prefix + "procs"},
                          {options_.prefix, options_.process, "1"});
  }
  writer_.send(++beat_count_, {std::move(command)}, *this);
}

void Link::take_beat(const Reply& answer, Nanos now) {
  const Nanos sent = std::exchange(beat_sent_, kNever);
  figures_.roundtrip = now - sent;
  if (answer.kind == Reply::Kind::kError) {
    // Without beats the process would be counted dead.
    if (!problem_) problem_ = {failure_of(answer, State::kRefused), std::string(kBeatScript)};
    return;
  }
  // A beat is a write and ran after the command that failed, so its success ends the problem.
  const bool writes = answer.kind == Reply::Kind::kArray;
  if (problem_ && writes && problem_->failure.state != State::kRefused) problem_.reset();
  if (problem_ && problem_->command == kBeatScript) problem_.reset();
  if (!writes) return;
  ++figures_.beats;
  observer_.on_beat(sent, now, answer);
}

// Records the first error of a pipeline that concerns the server. A known problem ends once the
// command that reported it succeeds.
void Link::look_for_problem(const Writer::Pipeline& pipeline) {
  bool has_succeeded = false;
  for (std::size_t i = 0; i < pipeline.replies.size(); ++i) {
    const Reply& reply = pipeline.replies[i];
    const std::string name = problem_ || reply.kind == Reply::Kind::kError
                                 ? name_of(pipeline.commands[i])
                                 : std::string();
    if (reply.kind == Reply::Kind::kError) {
      const State state = meaning_of(reply.text).state;
      if (state == State::kOk) continue;
      problem_ = {{state, name + ": " + reply.text}, name};
      return;
    }
    if (problem_ && name == problem_->command) has_succeeded = true;
  }
  if (has_succeeded) problem_.reset();
}

Failure Link::on_answered(const Writer::Pipeline& pipeline, Nanos now) {
  Failure gives_up;
  for (const Reply& reply : pipeline.replies) {
    if (reply.kind != Reply::Kind::kError || !meaning_of(reply.text).gives_up) continue;
    gives_up = failure_of(reply, State::kUnreachable);
    break;
  }
  if (pipeline.to != this) {
    look_for_problem(pipeline);
  } else if (pipeline.request == beat_count_) {
    take_beat(pipeline.replies.front(), now);
  }
  update_state();
  return gives_up;
}

void Link::on_replies(std::uint64_t /*request*/, std::vector<Reply> /*replies*/) {}

void Link::on_lost(std::uint64_t /*request*/) {}

void Link::on_server(const ServerInfo& info) {
  observer_.on_server(info);
}

void Link::on_writer_ready(Nanos now) {
  ++figures_.connections;
  writer_failure_ = {};
  problem_.reset();
  update_state();
  beat(now);
  call_listeners(&Listener::on_connected);
}

void Link::on_writer_down(const Failure& failure, bool was_ready, Nanos /*now*/) {
  beat_sent_ = kNever;
  writer_failure_ = failure;
  update_state();
  if (was_ready) call_listeners(&Listener::on_disconnected);
}

void Link::on_subscriber_ready(Nanos /*now*/) {
  subscriber_failure_ = {};
  update_state();
}

void Link::on_subscriber_down(const Failure& failure, Nanos /*now*/) {
  subscriber_failure_ = failure;
  update_state();
}

// A listener may detach itself or another one meanwhile.
void Link::call_listeners(void (Listener::*event)()) {
  const std::vector<Listener*> listeners = listeners_;
  for (Listener* const listener : listeners) {
    if (std::ranges::find(listeners_, listener) != listeners_.end()) (listener->*event)();
  }
}

void Link::update_state() {
  // A lost connection of the subscriber does not matter: messages are hints, or copies.
  const bool subscriber_refused = subscriber_failure_.state == State::kRefused;
  const Failure& failure = writer_failure_.state != State::kOk ? writer_failure_
                           : problem_                          ? problem_->failure
                           : subscriber_refused                ? subscriber_failure_
                                                               : writer_failure_;
  if (failure.state == state_) return;
  state_ = failure.state;
  observer_.on_state(state_, failure.detail);
}

}  // namespace sluice::redis
