// The link to Redis as a state machine: two connections, the beat, and the state of the whole.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/link_options.h"
#include "core/redis/port.h"
#include "core/redis/subscriber.h"
#include "core/redis/writer.h"

namespace sluice::redis {

/// Receives the link's events. Must not call the link.
class LinkObserver {
 public:
  virtual ~LinkObserver() = default;
  /// The state has changed. `detail` is one line for logs.
  virtual void on_state(State state, std::string_view detail) = 0;
  /// The beat script has answered; `answer` is its reply, an array.
  virtual void on_beat(Nanos sent, Nanos answered, const Reply& answer) = 0;
  /// The writer has connected to this server.
  virtual void on_server(const ServerInfo& info) = 0;
};

/// Counters of a link, which any thread may read.
struct LinkFigures {
  std::atomic<std::uint64_t> connections = 0;  ///< Of the writer, in all.
  std::atomic<std::uint64_t> pipelines = 0;    ///< Sent by users of the port.
  std::atomic<std::uint64_t> commands = 0;     ///< In those.
  std::atomic<std::uint64_t> beats = 0;        ///< Answered.
  std::atomic<std::uint64_t> channels = 0;     ///< Subscribed now.
  std::atomic<Nanos> roundtrip = 0;            ///< Of the last beat.
};

/// The link to Redis: a writer and a subscriber.
///
/// The link beats for its process: every fifth of the lease it calls the script `beat` (keys:
/// `procs`; arguments: the prefix of keys, the process, 1), one call at a time, and first of all
/// after each reconnection. Without a process name it sends PING instead. A connection that owes an
/// answer for two seconds, or for three beats if that is shorter, is given up.
///
/// Time is an argument, and the sockets are injected. Executor's thread only, except `figures`.
class Link final : public Port,
                   private Writer::Owner,
                   private Subscriber::Owner,
                   private ReplyHandler {
 public:
  static constexpr Nanos kSilenceMax = 2 * kSecond;

  /// @param random uniform in [0, 1)
  Link(LinkOptions options, Transport& writer, Transport& subscriber, LinkObserver& observer,
       std::function<double()> random);

  /// See `Connection::set_addresses`.
  void set_addresses(std::vector<Address> addresses, Nanos now);
  /// Changes the name of the process. An answer to a beat under the old name is dropped, and the
  /// first beat under the new one is due at once.
  void rename(std::string process, Nanos now);
  /// Closes both connections permanently. Pipelines owed an answer, and later ones, are lost.
  void close();

  void attach(Listener& listener) override;
  void detach(Listener& listener) override;
  void send(std::uint64_t request, std::vector<Command> commands, ReplyHandler& to) override;
  void forget(ReplyHandler& to) override;
  void subscribe(std::string channel, Listener& to) override;
  void unsubscribe(std::string_view channel) override;
  [[nodiscard]] bool connected() const override { return writer_.ready(); }
  [[nodiscard]] std::string_view prefix() const override { return options_.prefix; }
  [[nodiscard]] std::string_view process() const override { return options_.process; }
  [[nodiscard]] bool is_own(std::string_view process) const override {
    return process == options_.process || std::ranges::find(former_, process) != former_.end();
  }
  [[nodiscard]] std::uint32_t wait_replicas() const override { return options_.wait_replicas; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const LinkFigures& figures() const { return figures_; }

  [[nodiscard]] Nanos next_deadline() const;
  void advance(Nanos now);

 private:
  /// What errors say of the server while it answers.
  struct Problem {
    Failure failure;
    std::string command;  // which met it
  };

  void on_server(const ServerInfo& info) override;
  void on_writer_ready(Nanos now) override;
  Failure on_answered(const Writer::Pipeline& pipeline, Nanos now) override;
  void on_writer_down(const Failure& failure, bool was_ready, Nanos now) override;
  void on_subscriber_ready(Nanos now) override;
  void on_subscriber_down(const Failure& failure, Nanos now) override;

  // To a beat, which is taken in `on_answered`.
  void on_replies(std::uint64_t request, std::vector<Reply> replies) override;
  void on_lost(std::uint64_t request) override;

  void beat(Nanos now);
  void take_beat(const Reply& answer, Nanos now);
  void look_for_problem(const Writer::Pipeline& pipeline);
  void update_state();
  void call_listeners(void (Listener::*event)());

  LinkOptions options_;
  LinkObserver& observer_;
  LinkFigures figures_;
  Writer writer_;
  Subscriber subscriber_;
  std::vector<Listener*> listeners_;
  std::vector<std::string> former_;  // names

  State state_ = State::kConnecting;
  Failure writer_failure_{State::kConnecting};
  Failure subscriber_failure_;
  std::optional<Problem> problem_;

  bool beats_;  // there is a script for it
  std::uint64_t beat_count_ = 0;
  Nanos beat_sent_ = kNever;  // of the unanswered beat
  Nanos beat_at_ = kNever;    // while connected
};

}  // namespace sluice::redis
