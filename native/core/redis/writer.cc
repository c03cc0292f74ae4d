#include "core/redis/writer.h"

#include <algorithm>
#include <string>
#include <utility>

namespace sluice::redis {

namespace {

constexpr std::string_view kBySha1 = "EVALSHA";
constexpr std::string_view kWhole = "EVAL";

bool calls_by_sha1(const Command& command) {
  return command.size() > 1 && command.front() == kBySha1;
}

}  // namespace

Writer::Writer(Transport& transport, Owner& owner, const LinkOptions& options, Nanos silence_max,
               std::function<double()> random)
    : owner_(owner),
      options_(options),
      connection_(transport, *this, silence_max, std::move(random)) {}

void Writer::send(std::uint64_t request, std::vector<Command> commands, ReplyHandler& to) {
  if (!ready()) {
    lost_.push_back({.request = request, .to = &to, .commands = {}, .replies = {}, .resent = {}});
    return;
  }
  name_scripts(commands);
  connection_.send(commands, commands.size());
  Pipeline& pipeline = awaiting_.emplace_back();
  pipeline.request = request;
  pipeline.to = &to;
  pipeline.replies.reserve(commands.size());
  pipeline.commands = std::move(commands);
}

void Writer::forget(const ReplyHandler& to) {
  for (std::deque<Pipeline>* pipelines : {&awaiting_, &lost_}) {
    for (Pipeline& pipeline : *pipelines) {
      if (pipeline.to == &to) pipeline.to = nullptr;
    }
  }
}

void Writer::close() {
  connection_.close();
  lose_all();
}

Nanos Writer::next_deadline() const {
  return lost_.empty() ? connection_.next_deadline() : 0;
}

void Writer::advance(Nanos now) {
  report_lost();
  if (connection_.next_deadline() <= now) connection_.advance(now);
}

std::vector<Command> Writer::greeting() {
  std::vector<Command> commands = login_commands(options_, "writer");
  if (options_.db != 0) commands.push_back({"SELECT", std::to_string(options_.db)});
  commands.push_back({"INFO"});
  return commands;
}

Failure Writer::check_greeting(const std::vector<Reply>& replies) {
  Failure failure = check_login(replies);
  if (failure.state != State::kOk) return failure;
  const ServerInfo info = parse_server_info(replies.back().text);
  failure = check_server(info);
  if (failure.state == State::kOk) owner_.on_server(info);
  return failure;
}

void Writer::on_ready(Nanos now) {
  owner_.on_writer_ready(now);
}

bool Writer::on_reply(Reply reply, Nanos now) {
  if (awaiting_.empty()) {
    connection_.give_up({State::kUnreachable, "Redis sent a reply that nothing had asked for"},
                        now);
    return false;
  }
  Pipeline& pipeline = awaiting_.front();
  if (pipeline.resent.empty()) {
    pipeline.replies.push_back(std::move(reply));
    if (pipeline.replies.size() < pipeline.commands.size()) return true;
  } else {
    pipeline.replies[pipeline.resent[pipeline.resent_answered++]] = std::move(reply);
    if (pipeline.resent_answered < pipeline.resent.size()) return true;
  }
  Pipeline answered = std::move(pipeline);
  awaiting_.pop_front();
  if (answered.resent.empty() && resend_scripts(answered)) {
    awaiting_.push_back(std::move(answered));
    return true;
  }
  Failure failure = owner_.on_answered(answered, now);
  if (answered.to != nullptr) {
    answered.to->on_replies(answered.request, std::move(answered.replies));
  }
  if (failure.state != State::kOk) connection_.give_up(std::move(failure), now);
  return true;
}

void Writer::on_down(const Failure& failure, bool was_ready, Nanos now) {
  lose_all();
  owner_.on_writer_down(failure, was_ready, now);
}

void Writer::name_scripts(std::vector<Command>& commands) const {
  for (Command& command : commands) {
    if (!calls_by_sha1(command)) continue;
    const auto script = std::ranges::find(options_.scripts, command[1], &Script::name);
    if (script != options_.scripts.end()) command[1] = script->sha1;
  }
}

const Script* Writer::script_behind(const Command& command) const {
  if (!calls_by_sha1(command)) return nullptr;
  const auto script = std::ranges::find(options_.scripts, command[1], &Script::sha1);
  return script == options_.scripts.end() ? nullptr : &*script;
}

// Whether the answer of the pipeline has to wait for scripts that the server did not have.
bool Writer::resend_scripts(Pipeline& pipeline) {
  std::vector<Command> whole;
  for (std::size_t i = 0; i < pipeline.replies.size(); ++i) {
    if (!pipeline.replies[i].is_error("NOSCRIPT")) continue;
    const Script* const script = script_behind(pipeline.commands[i]);
    if (script == nullptr) continue;
    pipeline.resent.push_back(i);
    Command& command = whole.emplace_back(pipeline.commands[i]);
    command[0] = kWhole;
    command[1] = script->source;
  }
  if (whole.empty()) return false;
  connection_.send(whole, whole.size());
  return true;
}

void Writer::lose_all() {
  for (Pipeline& pipeline : awaiting_) lost_.push_back(std::move(pipeline));
  awaiting_.clear();
  report_lost();
}

void Writer::report_lost() {
  // A pipeline that a handler sends from within its call is reported the next time, so that the
  // loop ends.
  for (std::size_t count = lost_.size(); count > 0 && !lost_.empty(); --count) {
    const Pipeline lost = std::move(lost_.front());
    lost_.pop_front();
    if (lost.to != nullptr) lost.to->on_lost(lost.request);
  }
}

}  // namespace sluice::redis
