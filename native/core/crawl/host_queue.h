// One host of a crawl: its pace, its health, and its URLs in line. The rules are those of
// core/crawl_frontier.h, which owns hosts and URLs. One thread; plain state, ends with its owner.
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
  kThrottled,    ///< 429 or 503: the host wants fewer requests
  kUnreachable,  ///< no connection to the host
  kBroken,       ///< anything else that may pass: a reset, a 500
  kTimedOut,     ///< took as long as a request may take; another would, too
  kForbidden,    ///< the host must not be connected to
};

struct CrawlHostLimits {
  double per_second = 5;  ///< requests, above 0
  Nanos backoff_base = kSecond / 2;
  Nanos backoff_cap = 30 * kSecond;
  Nanos retry_after_max = 120 * kSecond;
  std::uint32_t strikes = 5;
  std::uint32_t barren = 20;
};

class CrawlHost {
 public:
  using Id = std::uint64_t;

  explicit CrawlHost(const CrawlHostLimits& limits);

  // The line of the current level: those never tried, those to be tried again, and the next level.
  void push_back(Id id, bool next_level) { (next_level ? next_ : ready_).push_back(id); }
  void push_front(Id id) { ready_.push_front(id); }
  void push_retry(Id id, Nanos due) { retries_.emplace(due, id); }
  void promote() { ready_.swap(next_); }

  /// When the first in line may be requested; kNever when there is none, or when the host is being
  /// tried and the trial has not ended.
  [[nodiscard]] Nanos eligible_at(Nanos now) const;

  /// Takes the first in line, which is eligible, and the right to send one request.
  Id take(Nanos now);

  /// A request taken has ended, well or not.
  void land() { --in_flight_; }

  /// A request of `epoch` was answered.
  void succeeded(std::uint64_t epoch);

  /// A request of `epoch` failed; `first` when it was its URL's first. May give the host up.
  void failed(CrawlFailure failure, std::uint64_t epoch, bool first, Nanos retry_after, Nanos now);

  /// How long a URL of its own waits after its `failures`-th failure.
  [[nodiscard]] Nanos backoff(std::uint32_t failures) const;

  /// At least `interval` between two requests.
  void slow_down(Nanos interval);

  [[nodiscard]] bool given_up() const { return given_up_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// Empties the line: the current level's URLs in order, then the next one's.
  std::vector<Id> take_all();

 private:
  void strike(CrawlFailure failure, Nanos retry_after, Nanos now);
  void set_pace();

  CrawlHostLimits limits_;
  std::deque<Id> ready_;
  std::multimap<Nanos, Id> retries_;
  std::deque<Id> next_;
  std::size_t in_flight_ = 0;
  Nanos interval_;    // between two requests, while the host bears it
  BucketLimit pace_;  // one token; its rate is that of the interval, halved `slowed_` times
  Bucket bucket_;
  Nanos resting_until_ = 0;
  std::uint64_t epoch_ = 0;  // goes up with each strike
  std::uint32_t strikes_ = 0;
  std::uint32_t barren_ = 0;
  std::uint32_t good_ = 0;
  std::uint32_t slowed_ = 0;  // how often the rate was halved
  bool given_up_ = false;
};

}  // namespace sluice
