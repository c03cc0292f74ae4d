// Subscriptions to channels, over one connection.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/time.h"
#include "core/redis/connection.h"
#include "core/redis/link_options.h"
#include "core/redis/port.h"

namespace sluice::redis {

/// Subscribes, again after each reconnection, and delivers the messages. A connection on which
/// nothing has come for `kIdleMax` is probed (PING). Executor's thread only.
class Subscriber final : private Connection::Owner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_subscriber_ready(Nanos now) = 0;
    virtual void on_subscriber_down(const Failure& failure, Nanos now) = 0;
  };

  static constexpr Nanos kIdleMax = kSecond;
  /// Channels to one SUBSCRIBE.
  static constexpr std::size_t kChannelsAtOnce = 512;

  Subscriber(Transport& transport, Owner& owner, const LinkOptions& options, Nanos silence_max,
             std::function<double()> random);

  /// See `Port::subscribe`.
  void subscribe(std::string channel, Listener& to);
  /// See `Port::unsubscribe`.
  void unsubscribe(std::string_view channel);
  /// Ends the subscriptions of a listener.
  void forget(const Listener& to);

  /// The connection below, for its addresses and its end.
  [[nodiscard]] Connection& connection() { return connection_; }
  [[nodiscard]] std::size_t size() const { return channels_.size(); }

  [[nodiscard]] Nanos next_deadline() const;
  void advance(Nanos now);

 private:
  std::vector<Command> greeting() override;
  Failure check_greeting(const std::vector<Reply>& replies) override;
  void on_ready(Nanos now) override;
  bool on_reply(Reply reply, Nanos now) override;
  void on_down(const Failure& failure, bool was_ready, Nanos now) override;

  void take_message(const Reply& message);
  void take_confirmation(const Reply& confirmation);

  Owner& owner_;
  const LinkOptions& options_;
  Connection connection_;
  std::map<std::string, Listener*, std::less<>> channels_;
  /// SUBSCRIBE commands whose confirmation is to come, by channel: only the last one counts.
  std::unordered_map<std::string, std::size_t> unconfirmed_;
  Nanos probe_at_ = kNever;
};

}  // namespace sluice::redis
