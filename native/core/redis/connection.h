// One connection to Redis, which is opened again after each loss.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/redis/failure.h"
#include "core/redis/port.h"
#include "core/redis/reply_reader.h"
#include "core/redis/transport.h"

namespace sluice::redis {

/// Connects, greets, and connects again after any failure.
///
///   waiting -> opening -> greeting -> ready -> waiting ...
///
/// The greeting is a pipeline of the owner, whose replies the owner checks. A connection that owes
/// an answer (or is being opened) is given up after `silence_max` without a byte in either
/// direction. The pause before an attempt doubles from 50 ms to 1 s, half of it random; the time
/// that the previous attempt took is deducted, so that a server that was silent is tried again at
/// once.
///
/// Time is an argument; `random` is injected. Executor's thread only.
class Connection final : private Transport::Events {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The commands to begin with, at least one.
    virtual std::vector<Command> greeting() = 0;
    /// Checks the replies to them. A state other than kOk gives the connection up.
    virtual Failure check_greeting(const std::vector<Reply>& replies) = 0;
    virtual void on_ready(Nanos now) = 0;
    /// A reply after the greeting. Returns whether it answers a command (a message does not).
    virtual bool on_reply(Reply reply, Nanos now) = 0;
    /// An attempt failed, or a connection was lost.
    /// @param was_ready `on_ready` had been called.
    virtual void on_down(const Failure& failure, bool was_ready, Nanos now) = 0;
  };

  static constexpr Nanos kPauseBase = 50 * kMillisecond;
  static constexpr Nanos kPauseMax = kSecond;

  /// @param random uniform in [0, 1)
  Connection(Transport& transport, Owner& owner, Nanos silence_max, std::function<double()> random);

  /// The addresses of the server, tried in turn. The first call begins the first attempt. A
  /// connection to an address that is not among them is given up; new ones are tried at once.
  void set_addresses(std::vector<Address> addresses, Nanos now);

  /// Sends commands that are answered by `answers` replies. Only while ready. The bytes leave with
  /// the next `advance`, which is due at once.
  void send(const std::vector<Command>& commands, std::size_t answers);

  /// Gives the connection up, and connects again after a pause.
  void give_up(Failure failure, Nanos now);

  /// Closes permanently; nothing is called after it.
  void close();

  [[nodiscard]] bool ready() const { return phase_ == Phase::kReady; }
  /// When the last bytes arrived.
  [[nodiscard]] Nanos last_received_at() const { return last_received_at_; }

  [[nodiscard]] Nanos next_deadline() const;
  void advance(Nanos now);

 private:
  enum class Phase : std::uint8_t { kIdle, kWaiting, kOpening, kGreeting, kReady, kClosed };

  void on_open(Nanos now) override;
  void on_bytes(std::string_view bytes, Nanos now) override;
  void on_progress(Nanos now) override;
  void on_closed(std::string_view reason, Nanos now) override;

  void open(Nanos now);
  void take_greeting(Reply reply, Nanos now);
  void fail(Failure failure, Nanos now);
  [[nodiscard]] Nanos pause();
  [[nodiscard]] bool has_stream() const;

  Transport& transport_;
  Owner& owner_;
  Nanos silence_max_;
  std::function<double()> random_;
  ReplyReader reader_;

  Phase phase_ = Phase::kIdle;
  std::uint64_t stream_ = 0;  // counts the attempts
  std::vector<Address> addresses_;
  std::size_t address_ = 0;     // the one in use, or to be tried next
  std::uint64_t failures_ = 0;  // since the last answer after a greeting
  Nanos attempt_at_ = kNever;   // of the next one while waiting, of this one otherwise
  Nanos silent_since_ = 0;
  Nanos last_received_at_ = 0;
  std::uint64_t owed_ = 0;      // answers
  bool begins_to_owe_ = false;  // with what `out_` holds
  std::string out_;
  std::vector<Reply> greeting_;
  std::size_t greeting_size_ = 0;
};

}  // namespace sluice::redis
