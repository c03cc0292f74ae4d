// The link to Redis with its events to JavaScript.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "addon/napi/event_queue.h"
#include "runtime/redis/link.h"

namespace sluice {

/// A link, its observer, and the listener of the channels that JavaScript subscribes to.
///
/// A Machine of its reactor; only that thread calls it, except the figures. Ends with its reactor,
/// or when it is removed from it.
class RedisBridge final : public Machine, public redis::LinkObserver, public redis::Listener {
 public:
  RedisBridge(redis::LinkOptions options, Reactor& reactor, std::shared_ptr<EventQueue> events,
              double machine_id);

  /// The commands of JavaScript, the same as those of redis::Link.
  void set_addresses(std::vector<redis::Address> addresses, Nanos now);
  void rename(std::string process, Nanos now);
  void subscribe(std::string channel);
  void unsubscribe(std::string channel);

  [[nodiscard]] redis::Link& link() { return link_.link(); }
  [[nodiscard]] const redis::LinkFigures& figures() const { return link_.link().figures(); }

  [[nodiscard]] Nanos next_deadline() const override { return link_.next_deadline(); }
  void advance(Nanos now) override { link_.advance(now); }
  void retire() override { link_.retire(); }

 private:
  void on_state(redis::State state, std::string_view detail) override;
  void on_beat(Nanos sent, Nanos answered, const redis::Reply& answer) override;
  void on_server(const redis::ServerInfo& info) override;

  void on_message(std::string_view channel, std::string_view payload) override;
  void on_subscribed(std::string_view channel) override;
  void on_connected() override {}
  void on_disconnected() override {}

  std::shared_ptr<EventQueue> events_;
  double machine_id_;
  RedisLink link_;
};

}  // namespace sluice
