// A Redis in memory for tests of replication, and ports to it whose connections can fail.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/redis/port.h"
#include "core/replication/entry_format.h"
#include "core/sse/event_id.h"

namespace sluice {

inline redis::Reply text_reply(std::string text) {
  return {.kind = redis::Reply::Kind::kText, .text = std::move(text)};
}

inline redis::Reply integer_reply(std::int64_t value) {
  return {.kind = redis::Reply::Kind::kInteger, .integer = value};
}

inline redis::Reply error_reply(std::string text) {
  return {.kind = redis::Reply::Kind::kError, .text = std::move(text)};
}

inline redis::Reply array_reply(std::vector<redis::Reply> items) {
  return {.kind = redis::Reply::Kind::kArray, .items = std::move(items)};
}

class FakePort;

/// The commands of Redis that replication uses, with their rules for ids of streams, and the script
/// `finish` as lib/cluster/scripts/jobs/finish.lua describes it.
class FakeRedis {
 public:
  using Entry = std::pair<EventId, std::vector<std::string>>;
  using Stream = std::vector<Entry>;

  /// A job as `admit` leaves it.
  void admit(const std::string& id, const std::string& owner) {
    hashes["{t}:job:" + id] = {
        {"owner", owner}, {"attempt", "1"}, {"status", "queued"}, {"created_us", "0"}};
    streams["{t}:log:" + id] = {{{1, 0}, {"r", "{}"}}};
  }

  redis::Reply execute(const redis::Command& command) {
    commands.push_back(command);
    if (!error.empty() && command[0] != "PUBLISH") return error_reply(error);
    if (command[0] == "XADD") return add(command);
    if (command[0] == "XRANGE") return range(command);
    if (command[0] == "XREVRANGE") return last(command[1]);
    if (command[0] == "HMGET") return fields(command);
    if (command[0] == "PTTL") return integer_reply(hashes.contains(command[1]) ? 1234 : -2);
    if (command[0] == "PEXPIRE") return integer_reply(streams.contains(command[1]) ? 1 : 0);
    if (command[0] == "PUBLISH") return publish(command[1], command[2]);
    if (command[0] == "EVALSHA") return finish(command);
    if (command[0] == "WAIT") return integer_reply(replicas);
    ADD_FAILURE() << "unknown command " << command[0];
    return error_reply("ERR unknown command");
  }

  [[nodiscard]] const Stream& log(const std::string& id) { return streams["{t}:log:" + id]; }
  [[nodiscard]] std::string& field(const std::string& id, const std::string& name) {
    return hashes["{t}:job:" + id][name];
  }
  /// How often a command was given.
  [[nodiscard]] std::size_t count(const std::string& name) const {
    return static_cast<std::size_t>(
        std::count_if(commands.begin(), commands.end(),
                      [&name](const redis::Command& command) { return command[0] == name; }));
  }

  std::map<std::string, std::map<std::string, std::string>> hashes;
  std::map<std::string, Stream> streams;
  std::vector<redis::Command> commands;
  std::vector<std::string> settlements;  // of the endings that were taken
  std::string error;                     // the reply to every command, unless empty
  bool drops_messages = false;
  std::int64_t replicas = 0;  // that have everything
  std::vector<FakePort*> ports;

 private:
  redis::Reply add(const redis::Command& command) {
    std::size_t at = 2;
    bool makes = true;
    std::optional<EventId> kept;
    if (command[at] == "NOMKSTREAM") {
      makes = false;
      ++at;
    }
    if (command[at] == "MINID") {
      kept = *parse_event_id(command[at + 2]);
      at += 3;
    }
    const EventId id = *parse_event_id(command[at]);
    if (!makes && !streams.contains(command[1])) return {};
    Stream& stream = streams[command[1]];
    if (!stream.empty() && stream.back().first >= id) {
      return error_reply(
          "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    }
    stream.emplace_back(
        id, std::vector<std::string>(command.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                                     command.end()));
    if (kept) std::erase_if(stream, [&](const Entry& each) { return each.first < *kept; });
    return text_reply(command[at]);
  }

  static redis::Reply reply_of(const Entry& entry) {
    std::vector<redis::Reply> parts;
    for (const std::string& part : entry.second) parts.push_back(text_reply(part));
    return array_reply({text_reply(to_string(entry.first)), array_reply(std::move(parts))});
  }

  redis::Reply range(const redis::Command& command) {
    redis::Reply reply = array_reply({});
    const auto found = streams.find(command[1]);
    if (found == streams.end()) return reply;
    const std::string& from = command[2];
    const EventId after = from == "-" ? EventId{0, 0} : *parse_event_id(from.substr(1));
    const auto page = static_cast<std::size_t>(std::stoul(command[5]));
    for (const Entry& entry : found->second) {
      if (entry.first > after && reply.items.size() < page) reply.items.push_back(reply_of(entry));
    }
    return reply;
  }

  redis::Reply last(const std::string& key) {
    const auto found = streams.find(key);
    if (found == streams.end() || found->second.empty()) return array_reply({});
    return array_reply({reply_of(found->second.back())});
  }

  redis::Reply fields(const redis::Command& command) {
    redis::Reply reply = array_reply({});
    const auto found = hashes.find(command[1]);
    for (std::size_t i = 2; i < command.size(); ++i) {
      const bool has = found != hashes.end() && found->second.contains(command[i]);
      reply.items.push_back(has ? text_reply(found->second[command[i]]) : redis::Reply{});
    }
    return reply;
  }

  redis::Reply finish(const redis::Command& command) {
    EXPECT_EQ(command[1], "finish");
    const std::string& job = command[3];
    const std::string& log = command[4];
    const auto argument = [&command](std::size_t index) { return command[4 + index]; };
    if (!hashes.contains(job) || !streams.contains(log)) return text_reply("GONE");
    std::map<std::string, std::string>& hash = hashes[job];
    Stream& stream = streams[log];
    const Entry& tail = stream.back();
    if (to_string(tail.first) == argument(5)) {
      const bool same = tail.second[0] == "x" && tail.second[1] == argument(6);
      return text_reply(same ? "DONE" : "FENCED");
    }
    const bool ended = hash["status"] != "queued" && hash["status"] != "running";
    if (hash["owner"] != argument(2) || to_string(tail.first) != argument(4) ||
        (ended && argument(11) == "job")) {
      return text_reply("FENCED");
    }
    stream.push_back({*parse_event_id(argument(5)), {"x", argument(6), "f", argument(7)}});
    settlements.push_back(argument(12));
    if (argument(11) == "job") {
      hash["status"] = argument(8);
      hash["ended_ms"] = argument(9);
      hash["final"] = argument(7);
    }
    publish("{t}:j:" + log.substr(std::string("{t}:log:").size()),
            pack_message(argument(5), stream.back().second));
    return text_reply("OK");
  }

  redis::Reply publish(const std::string& channel, const std::string& message);
};

/// The connections of one process. Pipelines wait until `run`.
class FakePort final : public redis::Port {
 public:
  FakePort(FakeRedis& redis, std::string process) : redis_(redis), process_(std::move(process)) {
    redis_.ports.push_back(this);
  }
  ~FakePort() override { std::erase(redis_.ports, this); }
  FakePort(const FakePort&) = delete;
  FakePort& operator=(const FakePort&) = delete;

  void attach(redis::Listener& listener) override { listeners_.push_back(&listener); }
  void detach(redis::Listener& listener) override {
    std::erase(listeners_, &listener);
    std::erase_if(channels_, [&](const auto& each) { return each.second == &listener; });
  }
  void send(std::uint64_t request, std::vector<redis::Command> commands,
            redis::ReplyHandler& to) override {
    EXPECT_FALSE(commands.empty());
    sent_.push_back({request, std::move(commands), &to, connected_});
  }
  void forget(redis::ReplyHandler& to) override {
    for (Pipeline& each : sent_) {
      if (each.to == &to) each.to = nullptr;
    }
  }
  void subscribe(std::string channel, redis::Listener& to) override {
    channels_[channel] = &to;
    confirmations_.push_back(std::move(channel));
  }
  void unsubscribe(std::string_view channel) override { channels_.erase(std::string(channel)); }
  [[nodiscard]] bool connected() const override { return connected_; }
  [[nodiscard]] std::string_view prefix() const override { return "{t}:"; }
  [[nodiscard]] std::string_view process() const override { return process_; }
  [[nodiscard]] bool is_own(std::string_view process) const override {
    return process == process_ || std::ranges::find(former_, process) != former_.end();
  }
  [[nodiscard]] std::uint32_t wait_replicas() const override { return replicas; }

  /// Executes the next pipeline, if there is one, and answers it.
  bool run_one() {
    if (is_frozen || sent_.empty()) return false;
    Pipeline pipeline = std::move(sent_.front());
    sent_.pop_front();
    if (!pipeline.was_connected) {
      if (pipeline.to != nullptr) pipeline.to->on_lost(pipeline.request);
      return true;
    }
    std::vector<redis::Reply> replies;
    for (const redis::Command& command : pipeline.commands) {
      replies.push_back(redis_.execute(command));
    }
    if (pipeline.to != nullptr) pipeline.to->on_replies(pipeline.request, std::move(replies));
    return true;
  }

  /// Confirms subscriptions, delivers messages and answers pipelines until there are none.
  void run() {
    for (bool worked = true; worked && !is_frozen;) {
      worked = false;
      for (const std::string& channel : std::exchange(confirmations_, {})) {
        const auto to = channels_.find(channel);
        if (to != channels_.end()) to->second->on_subscribed(channel);
        worked = true;
      }
      for (const auto& [channel, message] : std::exchange(messages_, {})) {
        const auto to = channels_.find(channel);
        if (to != channels_.end()) to->second->on_message(channel, message);
        worked = true;
      }
      worked = run_one() || worked;
    }
  }

  /// The connection is cut. `executed` of the waiting pipelines reach Redis, without an answer.
  void disconnect(std::size_t executed = 0) {
    connected_ = false;
    for (Pipeline& pipeline : std::exchange(sent_, {})) {
      if (executed > 0) {
        --executed;
        for (const redis::Command& command : pipeline.commands) redis_.execute(command);
      }
      if (pipeline.to != nullptr) pipeline.to->on_lost(pipeline.request);
    }
    messages_.clear();
    for (redis::Listener* listener : copy()) listener->on_disconnected();
  }

  void connect() {
    connected_ = true;
    for (const auto& [channel, to] : channels_) confirmations_.push_back(channel);
    for (redis::Listener* listener : copy()) listener->on_connected();
  }

  void rename(std::string process) {
    former_.push_back(std::exchange(process_, std::move(process)));
  }

  void deliver(const std::string& channel, const std::string& message) {
    if (connected_ && channels_.contains(channel)) messages_.emplace_back(channel, message);
  }

  [[nodiscard]] std::size_t waiting() const { return sent_.size(); }
  [[nodiscard]] bool is_subscribed(const std::string& channel) const {
    return channels_.contains(channel);
  }

  std::uint32_t replicas = 0;  // to wait for
  bool is_frozen = false;

 private:
  struct Pipeline {
    std::uint64_t request;
    std::vector<redis::Command> commands;
    redis::ReplyHandler* to;
    bool was_connected;
  };

  [[nodiscard]] std::vector<redis::Listener*> copy() const { return listeners_; }

  FakeRedis& redis_;
  std::string process_;
  std::vector<std::string> former_;  // names
  bool connected_ = true;
  std::vector<redis::Listener*> listeners_;
  std::map<std::string, redis::Listener*> channels_;
  std::vector<std::string> confirmations_;
  std::vector<std::pair<std::string, std::string>> messages_;
  std::deque<Pipeline> sent_;
};

inline redis::Reply FakeRedis::publish(const std::string& channel, const std::string& message) {
  if (!drops_messages) {
    for (FakePort* port : ports) port->deliver(channel, message);
  }
  return integer_reply(0);
}

}  // namespace sluice
