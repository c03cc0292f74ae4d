// Quotas: all or nothing, leases that end once, debts, changed limits, forgotten keys.
#include "core/limits/quota.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sluice {
namespace {

constexpr Nanos kMinute = 60 * kSecond;
constexpr Nanos kLease = 10 * kMinute;

class QuotaTest : public ::testing::Test {
 protected:
  Quota quota{{}};
  const DimensionId tokens = quota.add_windowed(100, kMinute);
  const DimensionId requests = quota.add_windowed(10, kMinute);
  const DimensionId jobs = quota.add_held(2);

  QuotaAnswer reserve(std::vector<QuotaAsk> asks, Nanos now = 0) {
    return quota.reserve(asks, kLease, now);
  }
  bool settle(LeaseId lease, std::vector<std::int64_t> used, Nanos now = 0) {
    return quota.settle(lease, used, now);
  }
  std::int64_t left(DimensionId dimension, Nanos now = 0, std::string_view key = "k") {
    const QuotaAnswer peek = reserve({{dimension, key, 0}}, now);
    quota.release(peek.lease, now);
    return peek.shares[0].remaining;
  }
};

TEST_F(QuotaTest, OfFiveAsksForHalfTwoAreAdmittedAndSettlingGivesTheRestBack) {
  std::vector<QuotaAnswer> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(reserve({{tokens, "k", 50}}));
  std::vector<bool> allowed;
  for (const QuotaAnswer& answer : answers) allowed.push_back(answer.allowed);
  EXPECT_EQ(allowed, (std::vector<bool>{true, true, false, false, false}));
  EXPECT_EQ(answers[2].retry_after, 30 * kSecond);
  EXPECT_EQ(left(tokens), 0);
  EXPECT_TRUE(settle(answers[0].lease, {10}));
  EXPECT_EQ(left(tokens), 40);
  EXPECT_EQ(reserve({{tokens, "k", 50}}).retry_after, 6 * kSecond);
}

TEST_F(QuotaTest, TakesAllOrNothingAndNamesTheLongestWait) {
  ASSERT_TRUE(reserve({{tokens, "k", 90}, {requests, "k", 10}}).allowed);
  const QuotaAnswer answer = reserve({{tokens, "k", 10}, {requests, "k", 1}});
  EXPECT_FALSE(answer.allowed);
  EXPECT_EQ(answer.lease, 0u);
  EXPECT_TRUE(answer.shares[0].allowed);
  EXPECT_FALSE(answer.shares[1].allowed);
  EXPECT_EQ(answer.retry_after, 6 * kSecond);
  EXPECT_EQ(left(tokens), 10) << "nothing was taken";
  const QuotaAnswer longer = reserve({{tokens, "k", 40}, {requests, "k", 1}});
  EXPECT_EQ(longer.retry_after, 18 * kSecond);
  EXPECT_EQ(longer.shares[1].retry_after, 6 * kSecond);
  EXPECT_EQ(reserve({{tokens, "k", 101}, {requests, "k", 1}}).retry_after, kNever);
}

TEST_F(QuotaTest, AnEndIsCountedOnce) {
  const LeaseId lease = reserve({{tokens, "k", 50}}).lease;
  EXPECT_TRUE(settle(lease, {20}));
  EXPECT_FALSE(settle(lease, {0}));
  EXPECT_FALSE(quota.release(lease, 0));
  EXPECT_FALSE(quota.renew(lease, kLease, 0));
  EXPECT_EQ(left(tokens), 80);
  EXPECT_FALSE(settle(0, {})) << "a denied reservation has no lease";
}

TEST_F(QuotaTest, ReleaseGivesAllBack) {
  const LeaseId lease = reserve({{tokens, "k", 50}, {requests, "k", 1}, {jobs, "k", 1}}).lease;
  EXPECT_TRUE(quota.release(lease, 0));
  EXPECT_EQ(left(tokens), 100);
  EXPECT_EQ(left(requests), 10);
  EXPECT_EQ(left(jobs), 2);
  EXPECT_EQ(quota.leases(0), 0u);
}

TEST_F(QuotaTest, UseBeyondTheReservationIsADebt) {
  const LeaseId lease = reserve({{tokens, "k", 50}, {requests, "k", 1}}).lease;
  EXPECT_TRUE(settle(lease, {160, -1}));
  EXPECT_EQ(left(tokens), 0);
  EXPECT_EQ(left(requests), 9) << "as reserved";
  const QuotaAnswer denied = reserve({{tokens, "k", 10}});
  EXPECT_EQ(denied.retry_after, 42 * kSecond) << "60 of debt and 10, at 100 a minute";
  EXPECT_FALSE(reserve({{tokens, "k", 10}}, 42 * kSecond - 1).allowed);
  EXPECT_TRUE(reserve({{tokens, "k", 10}}, 42 * kSecond).allowed);
}

// Also when the bucket was full again, and forgotten, before the work ended.
TEST_F(QuotaTest, ADebtIsChargedToAKeyThatWasForgotten) {
  const LeaseId lease = reserve({{tokens, "k", 50}}).lease;
  for (int i = 0; i < 1000; ++i) reserve({{tokens, "other", 1}}, 5 * kMinute);
  EXPECT_EQ(quota.keys(tokens), 1u);
  EXPECT_TRUE(settle(lease, {130}, 5 * kMinute));
  EXPECT_EQ(left(tokens, 5 * kMinute), 20);
}

TEST_F(QuotaTest, AReturnDoesNotExceedTheLimit) {
  const LeaseId lease = reserve({{tokens, "k", 50}}).lease;
  EXPECT_TRUE(settle(lease, {0}, kMinute));
  EXPECT_EQ(left(tokens, kMinute), 100);
}

TEST_F(QuotaTest, JobsAreHeldUntilTheirLeaseEnds) {
  const LeaseId first = reserve({{jobs, "k", 1}}).lease;
  const LeaseId second = reserve({{jobs, "k", 1}}, kSecond).lease;
  const QuotaAnswer denied = reserve({{jobs, "k", 1}}, 2 * kSecond);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after, kLease - 2 * kSecond) << "when the first lease expires";
  EXPECT_EQ(denied.shares[0].reset_after, kLease - kSecond) << "when the last one does";
  EXPECT_EQ(reserve({{jobs, "k", 2}}, 2 * kSecond).retry_after, kLease - kSecond);
  EXPECT_EQ(reserve({{jobs, "k", 3}}, 2 * kSecond).retry_after, kNever);
  EXPECT_TRUE(reserve({{jobs, "other", 2}}, 2 * kSecond).allowed);
  EXPECT_TRUE(settle(first, {}, 2 * kSecond));
  EXPECT_TRUE(reserve({{jobs, "k", 1}}, 2 * kSecond).allowed);
  EXPECT_TRUE(quota.release(second, 2 * kSecond));
}

TEST_F(QuotaTest, ALostLeaseExpiresAtItsReservation) {
  const QuotaAnswer lost = reserve({{tokens, "k", 100}, {jobs, "k", 2}});
  EXPECT_EQ(lost.expires_at, kLease);
  EXPECT_FALSE(reserve({{jobs, "k", 1}}, kLease - 1).allowed);
  EXPECT_EQ(quota.leases(kLease - 1), 1u);
  EXPECT_EQ(quota.leases(kLease), 0u);
  EXPECT_TRUE(reserve({{jobs, "k", 2}}, kLease).allowed);
  EXPECT_FALSE(settle(lost.lease, {1000, 0}, kLease)) << "too late";
}

TEST_F(QuotaTest, ALeaseCanBeRenewed) {
  const LeaseId lease = reserve({{jobs, "k", 2}}).lease;
  EXPECT_TRUE(quota.renew(lease, kLease, kLease - 1));
  const QuotaAnswer denied = reserve({{jobs, "k", 1}}, kLease);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after, kLease - 1);
  EXPECT_FALSE(quota.renew(lease, kLease, 2 * kLease - 1));
}

TEST_F(QuotaTest, DimensionsOfOneReservationMayHaveDifferentKeys) {
  quota.set_limit_of(tokens, "acme", 1000, 0);
  EXPECT_TRUE(reserve({{requests, "alice", 1}, {tokens, "acme", 700}, {jobs, "alice", 1}}).allowed);
  const QuotaAnswer bob = reserve({{requests, "bob", 1}, {tokens, "acme", 700}, {jobs, "bob", 1}});
  EXPECT_FALSE(bob.allowed);
  EXPECT_EQ(bob.shares[1].limit, 1000);
  EXPECT_EQ(bob.shares[1].retry_after, 24 * kSecond);
  EXPECT_EQ(left(requests, 0, "alice"), 9);
  EXPECT_EQ(left(requests, 0, "bob"), 10);
}

TEST_F(QuotaTest, TooManyLeasesAreRefusedUntilOneEnds) {
  Quota small({.max_keys = 10, .max_leases = 2});
  const DimensionId dimension = small.add_windowed(100, kMinute);
  const std::vector<QuotaAsk> ask = {{dimension, "k", 1}};
  const LeaseId first = small.reserve(ask, kLease, 0).lease;
  EXPECT_TRUE(small.reserve(ask, kLease, 0).allowed);
  const QuotaAnswer denied = small.reserve(ask, kLease, kSecond);
  EXPECT_FALSE(denied.allowed);
  EXPECT_TRUE(denied.leases_full);
  EXPECT_EQ(denied.retry_after, kLease - kSecond);
  EXPECT_TRUE(small.release(first, kSecond));
  EXPECT_TRUE(small.reserve(ask, kLease, kSecond).allowed);
}

TEST_F(QuotaTest, AChangedLimitKeepsTheUse) {
  ASSERT_TRUE(reserve({{tokens, "k", 70}}).allowed);
  quota.set_limit(tokens, 200, kMinute, 0);
  EXPECT_EQ(left(tokens), 130);
  EXPECT_EQ(left(tokens, 0, "new"), 200);
  EXPECT_EQ(left(tokens, 3 * kSecond), 140) << "200 a minute from now on";
  quota.set_limit(tokens, 50, kMinute, 3 * kSecond);
  EXPECT_EQ(left(tokens, 3 * kSecond), 0) << "60 of 50 are taken: nothing left, and no debt";
  EXPECT_EQ(left(tokens, 3 * kSecond + 12 * kSecond), 10);
}

TEST_F(QuotaTest, AKeyMayHaveALimitOfItsOwn) {
  ASSERT_TRUE(reserve({{tokens, "k", 70}, {jobs, "k", 2}}).allowed);
  quota.set_limit_of(tokens, "k", 200, 0);
  quota.set_limit_of(jobs, "k", 3, 0);
  EXPECT_EQ(left(tokens), 130);
  EXPECT_EQ(left(tokens, 0, "other"), 100);
  EXPECT_EQ(left(jobs), 1);
  quota.set_limit_of(tokens, "k", 300, 0);
  EXPECT_EQ(left(tokens), 230);
  quota.set_limit(tokens, 10, kMinute, 0);
  EXPECT_EQ(left(tokens), 230) << "its own";
  quota.clear_limit_of(tokens, "k", 0);
  quota.clear_limit_of(jobs, "k", 0);
  quota.clear_limit_of(tokens, "never set", 0);
  EXPECT_EQ(left(tokens), 0);
  EXPECT_EQ(left(jobs), 0);
  EXPECT_EQ(left(tokens, 6 * kSecond), 1);
}

TEST_F(QuotaTest, ALimitOfNothingGrantsNothing) {
  quota.set_limit_of(tokens, "banned", 0, 0);
  quota.set_limit_of(jobs, "banned", 0, 0);
  const QuotaAnswer denied = reserve({{tokens, "banned", 1}, {jobs, "banned", 1}}, kMinute);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.shares[0].retry_after, kNever);
  EXPECT_EQ(denied.shares[1].retry_after, kNever);
}

// A plain model: whole milliseconds, balances in units of a token a window.
class PlainQuota {
 public:
  static constexpr std::int64_t kWindowMs = 1000;
  static constexpr std::int64_t kTokens = 20;
  static constexpr std::int64_t kRequests = 4;
  static constexpr std::int64_t kJobs = 3;

  struct Job {
    std::string key, org;
    std::int64_t cost;
    std::int64_t expires_ms;
  };

  void move_to(std::int64_t now_ms) {
    now_ms_ = now_ms;
    std::erase_if(open_, [now_ms](const auto& each) { return each.second.expires_ms <= now_ms; });
  }
  std::int64_t& tokens(const std::string& org) { return level(tokens_, org, kTokens); }
  std::int64_t& requests(const std::string& key) { return level(requests_, key, kRequests); }
  std::int64_t jobs(const std::string& key) const {
    return std::count_if(open_.begin(), open_.end(),
                         [&key](const auto& each) { return each.second.key == key; });
  }
  bool would_grant(const Job& job) {
    return (job.cost == 0 || tokens(job.org) >= job.cost * kWindowMs) &&
           requests(job.key) >= kWindowMs && jobs(job.key) < kJobs;
  }
  void grant(LeaseId lease, const Job& job) {
    tokens(job.org) -= job.cost * kWindowMs;
    requests(job.key) -= kWindowMs;
    open_[lease] = job;
  }
  bool end(LeaseId lease, std::int64_t used_tokens, std::int64_t used_requests) {
    const auto found = open_.find(lease);
    if (found == open_.end()) return false;
    const Job& job = found->second;
    add(tokens(job.org), job.cost - used_tokens, kTokens);
    add(requests(job.key), 1 - used_requests, kRequests);
    open_.erase(found);
    return true;
  }
  const std::map<LeaseId, Job>& open() const { return open_; }

 private:
  using Levels = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

  std::int64_t& level(Levels& levels, const std::string& key, std::int64_t limit) {
    auto& [units, at_ms] = levels.try_emplace(key, limit * kWindowMs, now_ms_).first->second;
    units = std::min(limit * kWindowMs, units + limit * (now_ms_ - at_ms));
    at_ms = now_ms_;
    return units;
  }
  static void add(std::int64_t& units, std::int64_t count, std::int64_t limit) {
    units = std::min(limit * kWindowMs, units + count * kWindowMs);
  }

  std::int64_t now_ms_ = 0;
  Levels tokens_, requests_;
  std::map<LeaseId, Job> open_;
};

// Runs a random history of reservations and of endings of every kind through both.
template <typename Compare>
void random_history(unsigned seed, std::size_t max_keys, const Compare& compare) {
  using Plain = PlainQuota;
  Quota quota({.max_keys = max_keys});
  const DimensionId tokens = quota.add_windowed(Plain::kTokens, Plain::kWindowMs * kMillisecond);
  const DimensionId requests =
      quota.add_windowed(Plain::kRequests, Plain::kWindowMs * kMillisecond);
  const DimensionId jobs = quota.add_held(Plain::kJobs);
  PlainQuota plain;
  std::mt19937 random(seed);
  const auto below = [&random](std::int64_t limit) {
    return static_cast<std::int64_t>(random()) % limit;
  };
  std::int64_t now_ms = 0;
  for (int step = 0; step < 3000; ++step) {
    if (below(2) == 0) now_ms += below(40) == 0 ? below(3000) : below(60);
    const Nanos now = now_ms * kMillisecond;
    plain.move_to(now_ms);
    const std::int64_t kind = below(10);
    if (kind < 6 || plain.open().empty()) {
      const std::int64_t lease_ms = 1 + below(2000);
      const PlainQuota::Job job{"key" + std::to_string(below(12)), "org" + std::to_string(below(4)),
                                below(12), now_ms + lease_ms};
      const std::vector<QuotaAsk> asks = {
          {requests, job.key, 1}, {tokens, job.org, job.cost}, {jobs, job.key, 1}};
      const QuotaAnswer answer = quota.reserve(asks, lease_ms * kMillisecond, now);
      compare(answer, plain.would_grant(job), seed);
      if (answer.allowed) plain.grant(answer.lease, job);
      if (answer.allowed) {
        ASSERT_LE(answer.shares[1].remaining,
                  std::max<std::int64_t>(plain.tokens(job.org) / Plain::kWindowMs, 0));
      }
    } else {
      auto chosen = plain.open().begin();
      std::advance(chosen, below(static_cast<std::int64_t>(plain.open().size())));
      const LeaseId lease = chosen->first;
      const std::int64_t used = below(30);
      if (kind == 9) {
        ASSERT_TRUE(quota.release(lease, now));
        ASSERT_TRUE(plain.end(lease, 0, 0));
        ASSERT_FALSE(quota.release(lease, now));
      } else {
        const std::vector<std::int64_t> actual = {-1, used};
        ASSERT_TRUE(quota.settle(lease, actual, now));
        ASSERT_TRUE(plain.end(lease, used, 1));
        ASSERT_FALSE(quota.settle(lease, actual, now));
      }
    }
    ASSERT_EQ(quota.leases(now), plain.open().size());
  }
}

TEST(QuotaHistories, AreThoseOfPlainBooks) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    random_history(seed, 1000, [](const QuotaAnswer& answer, bool would_grant, unsigned each) {
      ASSERT_EQ(answer.allowed, would_grant) << "seed " << each;
    });
  }
}

TEST(QuotaHistories, WithRoomForAFewKeysNothingIsGrantedThatPlainBooksWouldNot) {
  int denied_for_room = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    random_history(seed, 1 + seed % 3, [&](const QuotaAnswer& answer, bool would_grant, unsigned) {
      if (answer.allowed) {
        ASSERT_TRUE(would_grant);
      }
      denied_for_room += !answer.allowed && would_grant;
    });
  }
  EXPECT_GT(denied_for_room, 0) << "the histories never filled a table";
}

}  // namespace
}  // namespace sluice
