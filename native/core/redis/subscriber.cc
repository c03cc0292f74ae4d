#include "core/redis/subscriber.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace sluice::redis {

namespace {

// The type of a message or confirmation; empty for any other reply.
std::string_view type_of(const Reply& reply) {
  if (reply.kind != Reply::Kind::kArray || reply.items.empty()) return {};
  return reply.items.front().text;
}

}  // namespace

Subscriber::Subscriber(Transport& transport, Owner& owner, const LinkOptions& options,
                       Nanos silence_max, std::function<double()> random)
    : owner_(owner),
      options_(options),
      connection_(transport, *this, silence_max, std::move(random)) {}

void Subscriber::subscribe(std::string channel, Listener& to) {
  if (connection_.ready()) {
    ++unconfirmed_[channel];
    connection_.send({{"SUBSCRIBE", channel}}, 1);
  }
  channels_.insert_or_assign(std::move(channel), &to);
}

void Subscriber::unsubscribe(std::string_view channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  if (connection_.ready()) connection_.send({{"UNSUBSCRIBE", found->first}}, 1);
  channels_.erase(found);
}

void Subscriber::forget(const Listener& to) {
  std::vector<std::string> channels;
  for (const auto& [channel, listener] : channels_) {
    if (listener == &to) channels.push_back(channel);
  }
  for (const std::string& channel : channels) unsubscribe(channel);
}

Nanos Subscriber::next_deadline() const {
  const Nanos next = connection_.next_deadline();
  return connection_.ready() ? std::min(next, probe_at_) : next;
}

void Subscriber::advance(Nanos now) {
  if (connection_.ready() && now >= probe_at_) {
    const Nanos due = deadline_after(connection_.last_received_at(), kIdleMax);
    probe_at_ = now < due ? due : now + kIdleMax;
    if (now >= due) connection_.send({{"PING"}}, 1);
  }
  if (connection_.next_deadline() <= now) connection_.advance(now);
}

std::vector<Command> Subscriber::greeting() {
  return login_commands(options_, "subscriber");
}

Failure Subscriber::check_greeting(const std::vector<Reply>& replies) {
  return check_login(replies);
}

void Subscriber::on_ready(Nanos now) {
  probe_at_ = now + kIdleMax;
  Command command;
  for (auto channel = channels_.begin(); channel != channels_.end();) {
    command = {"SUBSCRIBE"};
    for (; channel != channels_.end() && command.size() <= kChannelsAtOnce; ++channel) {
      command.push_back(channel->first);
      ++unconfirmed_[channel->first];
    }
    connection_.send({command}, command.size() - 1);
  }
  owner_.on_subscriber_ready(now);
}

bool Subscriber::on_reply(Reply reply, Nanos now) {
  if (reply.kind == Reply::Kind::kError) {
    connection_.give_up(failure_of(reply, State::kUnreachable), now);
    return true;
  }
  const std::string_view type = type_of(reply);
  if (type == "message") {
    take_message(reply);
    return false;
  }
  if (type == "subscribe") take_confirmation(reply);
  return true;
}

void Subscriber::take_message(const Reply& message) {
  if (message.items.size() != 3) return;
  const auto found = channels_.find(message.items[1].text);
  if (found != channels_.end())
    found->second->on_message(message.items[1].text, message.items[2].text);
}

void Subscriber::take_confirmation(const Reply& confirmation) {
  if (confirmation.items.size() != 3) return;
  const std::string& channel = confirmation.items[1].text;
  const auto owed = unconfirmed_.find(channel);
  if (owed == unconfirmed_.end() || --owed->second > 0) return;
  unconfirmed_.erase(owed);
  const auto found = channels_.find(channel);
  if (found != channels_.end()) found->second->on_subscribed(channel);
}

void Subscriber::on_down(const Failure& failure, bool /*was_ready*/, Nanos now) {
  unconfirmed_.clear();
  owner_.on_subscriber_down(failure, now);
}

}  // namespace sluice::redis
