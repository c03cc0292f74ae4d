// One host of a crawl: its pace, its health and its queue.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "core/base/time.h"
#include "core/limits/token_bucket.h"

namespace sluice {

/// How a request failed.
enum class CrawlFailure {
  kThrottled,    ///< 429 or 503
  kUnreachable,  ///< no connection to the host
  kBroken,       ///< another temporary failure: a reset, a 500
  kTimedOut,     ///< timed out; not tried again
  kForbidden,    ///< connecting to the host is not allowed
};

struct HostQueueLimits {
  double per_second = 5;  ///< requests, above 0
  Nanos backoff_base = kSecond / 2;
  Nanos backoff_cap = 30 * kSecond;
  Nanos retry_after_max = 120 * kSecond;
  std::uint32_t strikes = 5;
  std::uint32_t barren = 20;
};

/// The pace, health and queue of one host. CrawlFrontier has the rules and owns hosts and URLs. One
/// thread.
class HostQueue {
 public:
  using Id = std::uint64_t;

  explicit HostQueue(const HostQueueLimits& limits);

  // The queue: new URLs of the current depth, its retries, and URLs of the next depth.
  void push_back(Id id, bool next_level) { (next_level ? next_ : ready_).push_back(id); }
  void push_front(Id id) { ready_.push_front(id); }
  void push_retry(Id id, Nanos due) { retries_.emplace(due, id); }
  void promote() { ready_.swap(next_); }

  /// The time from which the first URL may be requested; kNever if there is none, or while a trial
  /// request after a strike is in flight.
  [[nodiscard]] Nanos eligible_at(Nanos now) const;

  /// Takes the first URL, which is eligible, and one request of the pace.
  Id take(Nanos now);

  /// A request has ended, successful or not.
  void request_ended() { --in_flight_; }

  /// A request of `epoch` was answered.
  void succeeded(std::uint64_t epoch);

  /// A request of `epoch` failed; `first` when it was its URL's first. May give the host up.
  void failed(CrawlFailure failure, std::uint64_t epoch, bool first, Nanos retry_after, Nanos now);

  /// The wait of a URL that failed alone, after its `failures`-th failure.
  [[nodiscard]] Nanos backoff(std::uint32_t failures) const;

  /// At least `interval` between two requests.
  void slow_down(Nanos interval);

  [[nodiscard]] bool given_up() const { return given_up_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// Empties the queue: the URLs of the current depth in order, then those of the next.
  std::vector<Id> take_all();

 private:
  void strike(CrawlFailure failure, Nanos retry_after, Nanos now);
  void set_pace();

  HostQueueLimits limits_;
  std::deque<Id> ready_;
  std::multimap<Nanos, Id> retries_;
  std::deque<Id> next_;
  std::size_t in_flight_ = 0;
  Nanos interval_;    // between two requests, while the rate is not halved
  BucketLimit pace_;  // one token; its rate is that of the interval, halved `slowed_` times
  TokenBucket bucket_;
  Nanos resting_until_ = 0;
  std::uint64_t epoch_ = 0;  // goes up with each strike
  std::uint32_t strikes_ = 0;
  std::uint32_t barren_ = 0;
  std::uint32_t good_ = 0;
  std::uint32_t slowed_ = 0;  // how often the rate was halved
  bool given_up_ = false;
};

}  // namespace sluice
