// The queue of events from an executor to JavaScript.
#pragma once

#include <napi.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace sluice {

/// The kind of an event; addon/enums.cc exports the numbers.
enum class EventKind : std::uint8_t {
  kPipelineAccepted = 1,  // a: item
  kPipelineDispatch = 2,  // a: batch id, b: items
  kPipelineRemoved = 3,   // a: item, b: 1 if it had been accepted, else 0
  kPipelineClosed = 4,
  kJobWindow = 10,         // a: job, b: tokens that may have been appended in all
  kJobEnded = 11,          // a: job, b: state as JSON, or [state, frames] of a short log
  kJobEnding = 29,         // a: job, b: state as JSON
  kJobPurged = 12,         // a: job
  kSubscriberOpen = 13,    // a: subscriber, b: 1 if every cursor was at its end already, else 0
  kSubscriberFrames = 14,  // a: subscriber, b: bytes
  kSubscriberEvents = 15,  // a: subscriber, b: [id, type, JSON, ...]
  kSubscriberEnd = 16,     // a: subscriber, b: reason
  kRelayEnd = 17,          // a: call, b: its outcome as JSON
  kRelayTaken = 18,        // a: call, b: consumed bytes of its body, in all
  kRelayOver = 19,         // a: call
  kReply = 20,             // a: request, b: value
  kStoreWritten = 21,      // a: request, b: status
  kJobBegun = 22,          // a: job
  kJobFenced = 24,         // a: job, b: 1 if its ending had been published, else 0
  kJobDataLoss = 25,       // a: job
  kReplicaMissing = 26,    // a: job
  kReplicaBroken = 27,     // a: job, b: problem
  kSubscriberWhole = 28,   // a: subscriber, b: frames as text
  kGraphStarted = 30,      // a: task, b: attempt, from 1
  kGraphRetrying = 31,     // a: task, b: [the attempt to come, milliseconds until then]
  kGraphCompleted = 32,    // a: task
  kGraphFailed = 33,       // a: task
  kGraphSkipped = 34,      // a: task, b: the task that failed
  kGraphEnded = 35,
  kRedisState = 40,       // a: name of the state, b: one line with the reason
  kRedisBeat = 41,        // a: [sent, answered] in milliseconds, b: the answer as JSON
  kRedisServer = 42,      // a: the server as JSON
  kRedisSubscribed = 43,  // a: channel
  kRedisMessage = 44,     // a: channel, b: text
};

/// Raw bytes, which JavaScript sees as a Buffer (a `std::string` becomes a JavaScript string).
struct EventBytes {
  std::string data;
};

using EventValue = std::variant<std::monostate, double, std::string, EventBytes,
                                std::vector<double>, std::vector<std::string>>;

struct QueuedEvent {
  EventKind kind;
  double target;
  EventValue a;
  EventValue b;
};

/// The queue of events from an executor to JavaScript, which takes all of them in one call.
///
/// `push` is called by the executor's thread (or, under a manual clock, by JavaScript's), `drain`
/// by JavaScript's. The thread-safe function carries no data; it is the wake-up, sent once for any
/// number of events. Ends with `close`: later events are dropped.
///
/// The queue is bounded by its sources: a subscriber has at most one batch in flight, a job one
/// window update and one ending, a call one report on each piece fed to it, a pipeline the items in
/// its stages, a task graph one ending a task and one event for each running attempt, a link to
/// Redis one beat per interval, and the messages on channels of few senders.
class EventQueue {
 public:
  EventQueue() = default;
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  /// Makes events wake JavaScript: `on_events` is called with one flat array per wake-up.
  /// Without it (manual mode) JavaScript calls `drain` itself. JavaScript's thread; once.
  void open(Napi::Env env, Napi::Function on_events);

  /// Queues one event. Any thread. After `close` it is dropped.
  void push(EventKind kind, double target, EventValue a = {}, EventValue b = {});

  /// Removes all events and returns them as `[kind, target, a, b, ...]`; JavaScript's thread. An
  /// empty handle means that the environment can run no more JavaScript.
  napi_value drain(napi_env env);

  /// Keeps (or no longer keeps) the process alive. JavaScript's thread.
  void ref(napi_env env);
  void unref(napi_env env);

  /// Drops all events and releases the thread-safe function. JavaScript's thread; idempotent.
  void close();

 private:
  static void on_wake(napi_env env, napi_value callback, void* context, void* data);

  std::mutex mutex_;  // guards the three below
  std::vector<QueuedEvent> queue_;
  bool wake_pending_ = false;
  bool closed_ = false;

  std::vector<QueuedEvent> draining_;  // JavaScript's thread
  napi_threadsafe_function wake_ = nullptr;
};

}  // namespace sluice
