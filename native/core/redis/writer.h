// Pipelines of commands and their replies, over one connection.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "core/redis/connection.h"
#include "core/redis/link_options.h"
#include "core/redis/port.h"
#include "core/redis/server_info.h"

namespace sluice::redis {

/// Sends pipelines and matches the replies. A script that the server has forgotten is sent whole,
/// see `script_call`. Pipelines that are owed an answer when the connection is lost are lost with
/// it. Executor's thread only.
class Writer final : private Connection::Owner {
 public:
  /// A pipeline and the replies that have come so far.
  struct Pipeline {
    std::uint64_t request = 0;
    ReplyHandler* to = nullptr;  ///< nullptr: forgotten
    std::vector<Command> commands;
    std::vector<Reply> replies;
    std::vector<std::size_t> resent;  ///< The commands whose scripts were sent whole.
    std::size_t resent_answered = 0;
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    /// A server that can be used has answered the greeting.
    virtual void on_server(const ServerInfo& info) = 0;
    virtual void on_writer_ready(Nanos now) = 0;
    /// A pipeline has been answered; its handler is called next. Returns why the connection is to
    /// be given up after that; kOk: it is not.
    virtual Failure on_answered(const Pipeline& pipeline, Nanos now) = 0;
    /// Every pipeline that was owed an answer has been reported as lost.
    virtual void on_writer_down(const Failure& failure, bool was_ready, Nanos now) = 0;
  };

  Writer(Transport& transport, Owner& owner, const LinkOptions& options, Nanos silence_max,
         std::function<double()> random);

  /// See `Port::send`. Without a connection the pipeline is lost at the next `advance`, which is
  /// due at once.
  void send(std::uint64_t request, std::vector<Command> commands, ReplyHandler& to);
  /// See `Port::forget`.
  void forget(const ReplyHandler& to);

  /// The connection below, for its addresses and its end.
  [[nodiscard]] Connection& connection() { return connection_; }
  [[nodiscard]] bool ready() const { return connection_.ready(); }

  /// Closes permanently. Pipelines that are owed an answer, and later ones, are lost.
  void close();

  [[nodiscard]] Nanos next_deadline() const;
  void advance(Nanos now);

 private:
  std::vector<Command> greeting() override;
  Failure check_greeting(const std::vector<Reply>& replies) override;
  void on_ready(Nanos now) override;
  bool on_reply(Reply reply, Nanos now) override;
  void on_down(const Failure& failure, bool was_ready, Nanos now) override;

  void name_scripts(std::vector<Command>& commands) const;
  [[nodiscard]] const Script* script_behind(const Command& command) const;
  bool resend_scripts(Pipeline& pipeline);
  void lose_all();
  void report_lost();

  Owner& owner_;
  const LinkOptions& options_;
  Connection connection_;
  std::deque<Pipeline> awaiting_;
  std::deque<Pipeline> lost_;  // to be reported; without their commands
};

}  // namespace sluice::redis
