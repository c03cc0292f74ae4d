// The way from an executor to JavaScript: a queue drained whole per wake-up.
//
// `push` comes from the executor's thread (or, in manual mode, from JavaScript's own), `drain`
// from JavaScript's. The thread-safe function carries no data; it is only the wake-up, sent once
// for any number of events. Ends with `close`: what is pushed later is dropped.
//
// The queue is bounded by its sources: a channel has at most one batch of frames under way, a job
// one window update and one ending, a pipeline what its stages hold, a task graph one ending a task
// and one event for each attempt that runs.
#pragma once

#include <napi.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace sluice {

/// What an event says. `event_kinds` exports the numbers to JavaScript.
enum class EventKind : std::uint8_t {
  kPipelineAccepted = 1,  // a: item
  kPipelineDispatch = 2,  // a: batch id, b: items
  kPipelineRemoved = 3,   // a: item, b: 1 if it had been accepted, else 0
  kPipelineClosed = 4,
  kJobWindow = 10,         // a: job, b: tokens that may have been appended in all
  kJobEnded = 11,          // a: job, b: state as JSON
  kJobPurged = 12,         // a: job
  kSubscriberOpen = 13,    // a: subscriber, b: 1 if every cursor was at its end already, else 0
  kSubscriberFrames = 14,  // a: subscriber, b: bytes
  kSubscriberEvents = 15,  // a: subscriber, b: [id, type, JSON, ...]
  kSubscriberEnd = 16,     // a: subscriber, b: reason
  kRelayEnd = 17,          // a: call, b: its outcome as JSON
  kReply = 20,             // a: request, b: value
  kStoreWritten = 21,      // a: request, b: status
  kGraphStarted = 30,      // a: task, b: attempt, from 1
  kGraphRetrying = 31,     // a: task, b: [the attempt to come, milliseconds until then]
  kGraphCompleted = 32,    // a: task
  kGraphFailed = 33,       // a: task
  kGraphSkipped = 34,      // a: task, b: the task that failed
  kGraphEnded = 35,
};

/// The kinds under the names that lib/internal/native/reactor.js uses.
Napi::Object event_kinds(Napi::Env env);

/// Raw bytes, which JavaScript sees as a Buffer (a `std::string` becomes a JavaScript string).
struct LaneBytes {
  std::string data;
};

using LaneValue = std::variant<std::monostate, double, std::string, LaneBytes, std::vector<double>,
                               std::vector<std::string>>;

struct LaneEvent {
  EventKind kind;
  double target;
  LaneValue a;
  LaneValue b;
};

class EventLane {
 public:
  EventLane() = default;
  EventLane(const EventLane&) = delete;
  EventLane& operator=(const EventLane&) = delete;

  /// Makes the lane wake JavaScript: `on_events` is called with one flat array per wake-up.
  /// Without it (manual mode) JavaScript calls `drain` itself. JavaScript's thread; once.
  void open(Napi::Env env, Napi::Function on_events);

  /// Queues one event. Any thread. After `close` it is dropped.
  void push(EventKind kind, double target, LaneValue a = {}, LaneValue b = {});

  /// Everything queued, as `[kind, target, a, b, ...]`; JavaScript's thread. An empty handle means
  /// that the environment can run no more JavaScript.
  napi_value drain(napi_env env);

  /// Keeps (or no longer keeps) the process alive. JavaScript's thread.
  void ref(napi_env env);
  void unref(napi_env env);

  /// Drops what is queued and lets the wake-up go. JavaScript's thread; idempotent.
  void close();

 private:
  static void on_wake(napi_env env, napi_value callback, void* context, void* data);

  std::mutex mutex_;  // guards the three below
  std::vector<LaneEvent> queue_;
  bool wake_pending_ = false;
  bool closed_ = false;

  std::vector<LaneEvent> draining_;  // JavaScript's thread
  napi_threadsafe_function wake_ = nullptr;
};

}  // namespace sluice
