// A transport without a socket: the test acts as the network and Redis.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redis/command_format.h"
#include "core/redis/port.h"
#include "core/redis/reply_reader.h"
#include "core/redis/transport.h"

namespace sluice::redis {

class ScriptedTransport final : public Transport {
 public:
  std::vector<Address> opened;
  bool is_open = false;  // opened, and not closed since

  void open(const Address& address, Events& events) override {
    opened.push_back(address);
    events_ = &events;
    is_open = true;
    written_.clear();
  }

  void write(std::string bytes) override { written_.append(bytes); }

  void close() override {
    is_open = false;
    events_ = nullptr;
  }

  /// The commands that were written since the last call. A command is read as a reply is.
  std::vector<Command> take_commands() {
    ReplyReader reader;
    reader.feed(std::exchange(written_, {}));
    std::vector<Command> commands;
    Reply reply;
    while (reader.next(reply) == ReplyReader::Status::kReply) {
      Command& command = commands.emplace_back();
      for (const Reply& item : reply.items) command.push_back(item.text);
    }
    return commands;
  }

  void accept(Nanos now) { events_->on_open(now); }
  void reply(std::string_view bytes, Nanos now) {
    if (events_ != nullptr) events_->on_bytes(bytes, now);
  }
  void progress(Nanos now) { events_->on_progress(now); }
  void drop(std::string_view reason, Nanos now) {
    Events* const events = std::exchange(events_, nullptr);
    is_open = false;
    events->on_closed(reason, now);
  }

 private:
  Events* events_ = nullptr;
  std::string written_;
};

/// Bulk strings as Redis sends them: an array of them.
inline std::string array_of_texts(const std::vector<std::string>& texts) {
  std::string bytes;
  append_command(bytes, texts);
  return bytes;
}

inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// The text of INFO of a server that can be used.
inline constexpr std::string_view kGoodInfo =
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory:0\r\n"
    "maxmemory_policy:noeviction\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\n"
    "# Replication\r\nrole:master\r\n";

}  // namespace sluice::redis
