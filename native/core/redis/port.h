// The connection to Redis as the job log uses it: commands out, replies and messages in.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::redis {

/// A reply of Redis (RESP2).
struct Reply {
  enum class Kind : std::uint8_t {
    kNil,      ///< Also a nil array.
    kInteger,  ///< `integer`
    kText,     ///< `text`: a bulk string or a status, any bytes
    kError,    ///< `text`, as in "OOM command not allowed ..."
    kArray,    ///< `items`
  };
  Kind kind = Kind::kNil;
  std::int64_t integer = 0;
  std::string text = {};
  std::vector<Reply> items = {};

  /// Whether this is an error whose first word is `code` ("OOM", "READONLY", "NOSCRIPT").
  [[nodiscard]] bool is_error(std::string_view code) const {
    return kind == Kind::kError && text.starts_with(code) &&
           (text.size() == code.size() || text[code.size()] == ' ');
  }
};

/// A command and its arguments, any bytes.
using Command = std::vector<std::string>;

/// A call of a script that the link was given by name (`finish`, `beat`).
///
/// The command is `EVALSHA name numkeys key ... arg ...`: the link replaces the name by the
/// script's SHA-1. If the server has forgotten the script (NOSCRIPT), the link sends it whole
/// (EVAL), and the pipeline is answered when that has been answered. Such a script then runs after
/// the commands that follow it in its pipeline. A name that the link does not have stays as it is.
inline Command script_call(std::string_view name, std::initializer_list<std::string> keys,
                           std::vector<std::string> arguments) {
  Command command{"EVALSHA", std::string(name), std::to_string(keys.size())};
  command.insert(command.end(), keys.begin(), keys.end());
  for (std::string& argument : arguments) command.push_back(std::move(argument));
  return command;
}

/// The state of the link as a whole.
enum class State : std::uint8_t {
  kConnecting,   ///< Before the first answer.
  kOk,           ///< Redis answers and takes writes.
  kUnreachable,  ///< No connection, no answer in time, or the server is loading its data.
  kReadonly,     ///< A replica, or a server that refuses writes (MISCONF, NOREPLICAS).
  kFull,         ///< Refuses writes for lack of memory (OOM).
  kRefused,      ///< Permanent failure: password, permission, version.
};

/// Receives the replies to pipelines. Neither function is called from within `Port::send`; both may
/// call the port.
class ReplyHandler {
 public:
  virtual ~ReplyHandler() = default;
  /// One reply per command, in order. Errors are replies, too.
  virtual void on_replies(std::uint64_t request, std::vector<Reply> replies) = 0;
  /// The connection was given up, or there was none: unknown whether the commands were executed.
  virtual void on_lost(std::uint64_t request) = 0;
};

/// Receives the events of the connections. The functions may call the port.
class Listener {
 public:
  virtual ~Listener() = default;
  /// A message on a channel that this listener has subscribed to.
  virtual void on_message(std::string_view channel, std::string_view payload) = 0;
  /// Redis has confirmed the subscription: messages published from now on arrive. Called again for
  /// each channel after each reconnection of the subscriber; messages in between were missed.
  virtual void on_subscribed(std::string_view channel) = 0;
  /// The writer has connected. After every (re)connection, before anything else of the port's users
  /// is sent.
  virtual void on_connected() = 0;
  /// The writer has lost its connection; each pipeline that was owed an answer is `on_lost` first.
  virtual void on_disconnected() = 0;
};

/// The two connections to Redis, a writer and a subscriber. The link (runtime/redis) implements it,
/// and in tests a scripted peer. Executor's thread only.
class Port {
 public:
  virtual ~Port() = default;

  /// `listener` receives `on_connected` and `on_disconnected`. It must detach before it ends.
  virtual void attach(Listener& listener) = 0;
  /// Also ends the subscriptions of `listener`. An unknown one is ignored.
  virtual void detach(Listener& listener) = 0;

  /// Sends `commands` (not empty) on the writer as one pipeline. `to` is called exactly once with
  /// this number. The port does not check the number; it need not be unique.
  /// None of the commands may change the connection's mode, or block for longer than WAIT does
  /// while `wait_replicas` is not 0.
  virtual void send(std::uint64_t request, std::vector<Command> commands, ReplyHandler& to) = 0;
  /// `to` is not called any more. Commands that were sent stay sent.
  virtual void forget(ReplyHandler& to) = 0;

  /// Subscribes to a channel (its full name, with the prefix). A channel has one listener: a second
  /// call replaces it, and `on_subscribed` comes again.
  virtual void subscribe(std::string channel, Listener& to) = 0;
  /// No message of this channel is delivered any more. An unknown channel is ignored.
  virtual void unsubscribe(std::string_view channel) = 0;

  /// Whether the writer is connected, authenticated and checked.
  [[nodiscard]] virtual bool connected() const = 0;

  /// What all keys and channels begin with: `{PREFIX}:`.
  [[nodiscard]] virtual std::string_view prefix() const = 0;
  /// The name of this process, under which its jobs are owned. It changes when the process was
  /// counted dead.
  [[nodiscard]] virtual std::string_view process() const = 0;
  /// Whether this process has the name, or has had it.
  [[nodiscard]] virtual bool is_own(std::string_view process) const = 0;
  /// Number of replicas that must acknowledge a job's ending before it is published; 0: none.
  [[nodiscard]] virtual std::uint32_t wait_replicas() const { return 0; }
};

}  // namespace sluice::redis
