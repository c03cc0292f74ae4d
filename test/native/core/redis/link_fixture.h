// A link over scripted connections, and records of its calls.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redis/link.h"
#include "core/redis/reply_json.h"
#include "core/redis/scripted_transport.h"
#include "milliseconds.h"

namespace sluice::redis {

using Strings = std::vector<std::string>;

inline std::string json_of(const Reply& reply) {
  std::string json;
  append_json(json, reply);
  return json;
}

class Observer final : public LinkObserver {
 public:
  Strings states;
  Strings beats;
  std::vector<std::pair<Nanos, Nanos>> beat_times;
  std::vector<ServerInfo> servers;

  void on_state(State state, std::string_view detail) override {
    states.push_back(std::string(name_of(state)) + "|" + std::string(detail));
  }
  void on_beat(Nanos sent, Nanos answered, const Reply& answer) override {
    beat_times.emplace_back(sent, answered);
    beats.push_back(json_of(answer));
  }
  void on_server(const ServerInfo& info) override { servers.push_back(info); }
};

class Handler final : public ReplyHandler, public Listener {
 public:
  Strings seen;
  std::function<void(const std::string&)> then;

  void on_replies(std::uint64_t request, std::vector<Reply> replies) override {
    std::string text = std::to_string(request);
    for (const Reply& reply : replies) text += " " + json_of(reply);
    note(text);
  }
  void on_lost(std::uint64_t request) override { note(std::to_string(request) + " lost"); }
  void on_message(std::string_view channel, std::string_view payload) override {
    note(std::string(channel) + "=" + std::string(payload));
  }
  void on_subscribed(std::string_view channel) override { note("+" + std::string(channel)); }
  void on_connected() override { note("connected"); }
  void on_disconnected() override { note("disconnected"); }

  Strings take() { return std::exchange(seen, {}); }

 private:
  void note(const std::string& text) {
    seen.push_back(text);
    if (then) then(text);
  }
};

class RedisLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  }

  static LinkOptions options() {
    return {.prefix = "{s}:",
            .process = "p1",
            .user = "",
            .password = "secret",
            .db = 3,
            .lease = ms(10'000),
            .scripts = {{"beat", "b5", "return beat"}, {"finish", "f1", "return finish"}}};
  }

  void pass_to(Nanos time) {
    while (link_.next_deadline() <= time) {
      now_ = std::max(now_, link_.next_deadline());
      link_.advance(now_);
    }
    now_ = time;
  }
  void pass(Nanos span) { pass_to(now_ + span); }

  static std::string greeting_reply(std::string_view info = kGoodInfo) {
    return "+OK\r\n+OK\r\n+OK\r\n" + bulk(info);
  }

  void answer(std::string_view bytes) {
    writer_.reply(bytes, now_);
    pass(0);
  }
  void publish(const Strings& message) {
    subscriber_.reply(array_of_texts(message), now_);
    pass(0);
  }
  void confirm(const std::string& kind, const std::string& channel) {
    subscriber_.reply("*3\r\n" + bulk(kind) + bulk(channel) + ":1\r\n", now_);
    pass(0);
  }

  void connect_subscriber() {
    subscriber_.accept(now_);
    pass(0);
    subscriber_.take_commands();
    subscriber_.reply("+OK\r\n+OK\r\n", now_);
    pass(0);
  }

  void connect_writer(std::string_view info = kGoodInfo) {
    writer_.accept(now_);
    pass(0);
    writer_.take_commands();
    answer(greeting_reply(info));
  }

  void connect() {
    link_.set_addresses({{"127.0.0.1", 6379}}, now_);
    pass(0);
    connect_subscriber();
    connect_writer();
  }

  // Both connections, with the first beat answered.
  void connect_and_beat() {
    connect();
    writer_.take_commands();
    answer("*1\r\n:1\r\n");
  }

  static Command beat_of(const std::string& process) {
    return {"EVALSHA", "b5", "1", "{s}:procs", "{s}:", process, "1"};
  }

  Nanos now_ = kSecond;
  ScriptedTransport writer_;
  ScriptedTransport subscriber_;
  Observer observer_;
  Handler handler_;
  Link link_{options(), writer_, subscriber_, observer_, [] { return 0.0; }};
};

}  // namespace sluice::redis
