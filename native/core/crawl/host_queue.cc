#include "core/crawl/host_queue.h"

#include <algorithm>
#include <cmath>

#include "core/base/backoff.h"

namespace sluice {
namespace {

constexpr std::uint32_t kSlowedMax = 3;
constexpr std::uint32_t kGoodToSpeedUp = 20;

bool concerns_host(CrawlFailure failure) {
  return failure == CrawlFailure::kThrottled || failure == CrawlFailure::kUnreachable;
}

}  // namespace

HostQueue::HostQueue(const HostQueueLimits& limits)
    : limits_(limits),
      interval_(std::max(std::llround(static_cast<double>(kSecond) / limits.per_second), 1LL)),
      pace_{1, {1, static_cast<std::uint64_t>(interval_)}},
      bucket_(TokenBucket::full(pace_, 0)) {}

Nanos HostQueue::eligible_at(Nanos now) const {
  if (ready_.empty() && retries_.empty()) return kNever;
  if (strikes_ > 0 && in_flight_ > 0) return kNever;
  const Nanos due = ready_.empty() ? retries_.begin()->first : now;
  TokenBucket bucket = bucket_;
  bucket.refill(pace_, now);
  const Nanos free = deadline_after(now, bucket.wait_for(pace_, 1, now));
  return std::max({due, free, resting_until_});
}

HostQueue::Id HostQueue::take(Nanos now) {
  ++in_flight_;
  bucket_.refill(pace_, now);
  bucket_.consume(pace_, 1);
  Id id = 0;
  // Those never tried go first: they say more about the host than one that has failed before.
  if (!ready_.empty()) {
    id = ready_.front();
    ready_.pop_front();
  } else {
    id = retries_.begin()->second;
    retries_.erase(retries_.begin());
  }
  return id;
}

void HostQueue::succeeded(std::uint64_t epoch) {
  barren_ = 0;
  // What was asked before the last strike says nothing about the time after it.
  if (epoch != epoch_) return;
  strikes_ = 0;
  if (slowed_ > 0 && ++good_ >= kGoodToSpeedUp) {
    good_ = 0;
    --slowed_;
    set_pace();
  }
}

void HostQueue::failed(CrawlFailure failure, std::uint64_t epoch, bool first, Nanos retry_after,
                       Nanos now) {
  good_ = 0;
  if (failure == CrawlFailure::kForbidden) given_up_ = true;
  if (concerns_host(failure)) {
    if (epoch == epoch_) {
      strike(failure, retry_after, now);
    } else {
      resting_until_ = std::max(resting_until_, deadline_after(now, retry_after));
    }
  } else if (first && ++barren_ >= limits_.barren) {
    given_up_ = true;
  }
  if (retry_after > limits_.retry_after_max) given_up_ = true;
}

void HostQueue::strike(CrawlFailure failure, Nanos retry_after, Nanos now) {
  ++epoch_;
  ++strikes_;
  if (strikes_ >= limits_.strikes) given_up_ = true;
  const Nanos rest = std::max(backoff(strikes_), retry_after);
  resting_until_ = std::max(resting_until_, deadline_after(now, rest));
  if (failure == CrawlFailure::kThrottled && slowed_ < kSlowedMax) {
    ++slowed_;
    set_pace();
  }
}

Nanos HostQueue::backoff(std::uint32_t failures) const {
  return full_jitter(limits_.backoff_base, limits_.backoff_cap, failures - 1, 1.0);
}

void HostQueue::slow_down(Nanos interval) {
  interval_ = std::max(interval_, interval);
  set_pace();
}

void HostQueue::set_pace() {
  const BucketLimit pace{1, {1, static_cast<std::uint64_t>(interval_) << slowed_}};
  bucket_.change_limit(pace_, pace);
  pace_ = pace;
}

std::vector<HostQueue::Id> HostQueue::take_all() {
  std::vector<Id> all(ready_.begin(), ready_.end());
  for (const auto& [due, id] : retries_) all.push_back(id);
  all.insert(all.end(), next_.begin(), next_.end());
  ready_.clear();
  retries_.clear();
  next_.clear();
  return all;
}

}  // namespace sluice
