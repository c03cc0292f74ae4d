// The frontier's rules one by one, under injected time.
#include "core/crawl/frontier.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "milliseconds.h"

namespace sluice {
namespace {

using Urls = std::vector<std::string>;

// Drives a frontier: takes all available URLs, and advances time to the next ones.
class Rig {
 public:
  explicit Rig(const CrawlLimits& limits = {}) : frontier(limits) {}

  // The URLs available at `now`, within the nanosecond that `fast` leaves between two.
  std::vector<CrawlDispatch> take() {
    std::vector<CrawlDispatch> taken;
    for (;;) {
      if (auto dispatch = frontier.next(now)) {
        ++requests;
        taken.push_back(std::move(*dispatch));
      } else if (frontier.next_deadline(now) == now + 1) {
        ++now;
      } else {
        return taken;
      }
    }
  }

  // The next URL, at any time; fails the test if there is none.
  CrawlDispatch one() {
    const Nanos due = frontier.next_deadline(now);
    EXPECT_NE(due, kNever) << "nothing is to come";
    now = std::max(now, due == kNever ? now : due);
    auto dispatch = frontier.next(now);
    EXPECT_TRUE(dispatch.has_value());
    ++requests;
    return dispatch.value_or(CrawlDispatch{});
  }

  bool fail(UrlId id, CrawlFailure failure, Nanos retry_after = 0) {
    return frontier.fail(id, failure, retry_after, now);
  }

  void seed_range(int first, int last, std::string_view host = "h") {
    for (int i = first; i <= last; ++i) frontier.seed("/" + std::to_string(i), host);
  }

  Nanos now = ms(1'000'000);
  int requests = 0;
  CrawlFrontier frontier;
};

// Enough concurrency and speed that neither limit applies.
CrawlLimits fast(CrawlLimits limits = {}) {
  limits.concurrency = 1'000;
  limits.host.per_second = 1e9;
  return limits;
}

TEST(CrawlClaim, AUrlIsClaimedOnceForAnyNumberOfLinks) {
  Rig rig(fast());
  EXPECT_EQ(rig.frontier.seed("/", "h"), Claim::kNew);
  EXPECT_EQ(rig.frontier.seed("/", "h"), Claim::kKnown);
  const CrawlDispatch root = rig.one();
  EXPECT_EQ(rig.frontier.link(root.id, "/", "h"), Claim::kKnown);
  EXPECT_EQ(rig.frontier.link(root.id, "/a", "h"), Claim::kNew);
  EXPECT_EQ(rig.frontier.link(root.id, "/a", "h"), Claim::kKnown);
  EXPECT_EQ(rig.frontier.refuse("/private", 1), Claim::kNew);
  EXPECT_EQ(rig.frontier.link(root.id, "/private", "h"), Claim::kKnown);
  EXPECT_EQ(rig.frontier.redirect(root.id, "/private"), Claim::kKnown);
  rig.frontier.finish(root.id, true);
  const CrawlDispatch a = rig.one();
  EXPECT_EQ(a.url, "/a");
  EXPECT_EQ(a.depth, 1u);
  rig.frontier.finish(a.id, true);
  EXPECT_TRUE(rig.frontier.finished());
  EXPECT_EQ(rig.frontier.counts().claimed, 3u);
}

TEST(CrawlClaim, UrlsBeyondTheBytesAreNotTaken) {
  Rig rig(fast({.url_bytes = 10}));
  EXPECT_EQ(rig.frontier.seed("/1234", "h"), Claim::kNew);
  EXPECT_EQ(rig.frontier.seed("/12345", "h"), Claim::kFull);
  EXPECT_EQ(rig.frontier.refuse("/12345", 0), Claim::kFull);
  EXPECT_EQ(rig.frontier.seed("/1234", "h"), Claim::kKnown);
  EXPECT_EQ(rig.frontier.refuse("/5678", 0), Claim::kNew);
  EXPECT_EQ(rig.frontier.seed("/", "h"), Claim::kFull);
}

TEST(CrawlClaim, ClearEndsEveryUrlAndFreesTheClaims) {
  Rig rig(fast({.url_bytes = 10}));
  rig.frontier.seed("/", "h");
  rig.frontier.seed("/23456789", "h");
  const CrawlDispatch root = rig.one();
  rig.frontier.clear();
  EXPECT_TRUE(rig.frontier.finished());
  EXPECT_EQ(rig.frontier.counts().claimed, 0u);
  EXPECT_EQ(rig.frontier.counts().waiting, 0u);
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), kNever);
  EXPECT_FALSE(rig.frontier.next(rig.now).has_value());
  // The end of a request that was in flight changes nothing.
  rig.frontier.finish(root.id, true);
  EXPECT_FALSE(rig.fail(root.id, CrawlFailure::kBroken));
  EXPECT_EQ(rig.frontier.counts().pages, 0u);
  EXPECT_EQ(rig.frontier.seed("/23456789", "h"), Claim::kNew);
}

TEST(CrawlClaim, LinksBeyondTheDepthAndTheNumberOfUrlsAreNotTaken) {
  Rig rig(fast({.urls = 3, .depth = 1}));
  rig.frontier.seed("/", "h");
  const CrawlDispatch root = rig.one();
  EXPECT_EQ(rig.frontier.link(root.id, "/a", "h"), Claim::kNew);
  EXPECT_EQ(rig.frontier.link(root.id, "/b", "h"), Claim::kNew);
  EXPECT_EQ(rig.frontier.link(root.id, "/c", "h"), Claim::kFull);
  rig.frontier.finish(root.id, true);
  const CrawlDispatch a = rig.one();
  EXPECT_EQ(rig.frontier.link(a.id, "/d", "h"), Claim::kTooDeep);
  EXPECT_EQ(rig.frontier.link(a.id, "/b", "h"), Claim::kKnown);
}

TEST(CrawlLevels, NothingOfTheNextLevelBeforeTheLastOfThisOneHasEnded) {
  Rig rig(fast());
  rig.seed_range(1, 2);
  const auto level = rig.take();
  ASSERT_EQ(level.size(), 2u);
  rig.frontier.link(level[0].id, "/deep", "h");
  rig.frontier.finish(level[0].id, true);
  EXPECT_TRUE(rig.take().empty());
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), kNever) << "only an ending can help";
  EXPECT_TRUE(rig.fail(level[1].id, CrawlFailure::kBroken));
  const Nanos failed = rig.now;
  rig.now += ms(499);
  EXPECT_TRUE(rig.take().empty()) << "a retry belongs to its level";
  const CrawlDispatch again = rig.one();
  EXPECT_EQ(again.url, level[1].url);
  EXPECT_EQ(again.attempt, 2u);
  EXPECT_EQ(rig.now, failed + ms(500));
  rig.frontier.finish(again.id, false);
  const CrawlDispatch deep = rig.one();
  EXPECT_EQ(deep.url, "/deep");
  EXPECT_EQ(deep.depth, 1u);
}

TEST(CrawlLevels, ARedirectKeepsItsDepthAndGoesFirst) {
  Rig rig({.concurrency = 1, .host = {.per_second = 10}});
  rig.seed_range(1, 3);
  const CrawlDispatch first = rig.one();
  EXPECT_EQ(rig.frontier.redirect(first.id, "/moved"), Claim::kNew);
  EXPECT_EQ(rig.frontier.counts().in_flight, 0u);
  EXPECT_FALSE(rig.frontier.next(rig.now + ms(99)).has_value()) << "it costs the host a request";
  const CrawlDispatch moved = rig.one();
  EXPECT_EQ(moved.id, first.id);
  EXPECT_EQ(moved.url, "/moved");
  EXPECT_EQ(moved.depth, 0u);
  EXPECT_EQ(moved.attempt, 1u);
  EXPECT_EQ(rig.frontier.redirect(moved.id, "/2"), Claim::kKnown) << "fetched by itself";
  EXPECT_EQ(rig.frontier.counts().in_flight, 1u);
  rig.frontier.finish(moved.id, false);
  EXPECT_EQ(rig.one().url, "/2");
}

TEST(CrawlLimits, NeverMoreAtOnceThanTheConcurrency) {
  Rig rig({.concurrency = 3, .host = {.per_second = 1e9}});
  rig.seed_range(1, 10);
  auto flying = rig.take();
  while (rig.now += 1, flying.size() < 3) {
    auto more = rig.take();
    ASSERT_FALSE(more.empty());
    flying.push_back(more[0]);
  }
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), kNever);
  EXPECT_TRUE(rig.take().empty());
  rig.frontier.finish(flying[1].id, true);
  EXPECT_EQ(rig.one().url, "/4");
}

TEST(CrawlLimits, RequestsInFlightCountForTheLimitOfPages) {
  Rig rig(fast({.pages = 2}));
  rig.seed_range(1, 5);
  rig.one();
  const CrawlDispatch second = rig.one();
  EXPECT_TRUE(rig.take().empty()) << "both may be pages";
  rig.frontier.finish(second.id, false);
  const CrawlDispatch third = rig.one();
  rig.frontier.finish(third.id, true);
  EXPECT_FALSE(rig.frontier.finished()) << "the first is still in flight";
  rig.frontier.finish(1, true);
  EXPECT_TRUE(rig.frontier.finished());
  EXPECT_TRUE(rig.take().empty());
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), kNever);
  EXPECT_EQ(rig.frontier.counts().pages, 2u);
  EXPECT_EQ(rig.frontier.counts().waiting, 2u);
}

TEST(CrawlPace, RequestsToOneHostAreSpacedEvenlyAndHostsDoNotWaitForEachOther) {
  Rig rig({.concurrency = 100, .host = {.per_second = 4}});
  rig.seed_range(1, 3, "a");
  rig.seed_range(11, 12, "b");
  const auto at_once = rig.take();
  ASSERT_EQ(at_once.size(), 2u);
  EXPECT_EQ(at_once[0].url, "/1");
  EXPECT_EQ(at_once[1].url, "/11");
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), rig.now + ms(250));
  rig.now += ms(250);
  EXPECT_EQ(rig.take().size(), 2u);
  rig.now += ms(10'000);
  EXPECT_EQ(rig.take().size(), 1u) << "idle time earns no burst";
}

TEST(CrawlPace, HostsTakeTurns) {
  Rig rig({.concurrency = 1, .host = {.per_second = 1e9}});
  rig.seed_range(1, 2, "a");
  rig.seed_range(11, 12, "b");
  Urls order;
  for (int i = 0; i < 4; ++i) {
    rig.now += ms(1);
    const CrawlDispatch one = rig.one();
    order.push_back(one.url);
    rig.frontier.finish(one.id, true);
  }
  EXPECT_EQ(order, (Urls{"/1", "/11", "/2", "/12"}));
}

TEST(CrawlPace, SlowDownHoldsFromTheNextRequestOn) {
  Rig rig({.concurrency = 100, .host = {.per_second = 10}});
  rig.seed_range(1, 3);
  rig.one();
  rig.frontier.slow_down("h", ms(2'000));
  const Nanos first = rig.now;
  rig.one();
  EXPECT_EQ(rig.now, first + ms(2'000));
  rig.frontier.slow_down("h", ms(50));
  rig.one();
  EXPECT_EQ(rig.now, first + ms(4'000)) << "it never speeds up";
}

TEST(CrawlBackoff, ThrottlingRestsTheWholeHostAndThenTriesItWithOneRequest) {
  Rig rig(fast());
  rig.seed_range(1, 5);
  std::vector<CrawlDispatch> flying{rig.one(), rig.one(), rig.one()};
  EXPECT_TRUE(rig.fail(flying[0].id, CrawlFailure::kThrottled));
  EXPECT_TRUE(rig.fail(flying[1].id, CrawlFailure::kThrottled));  // of the same burst: no strike
  rig.frontier.finish(flying[2].id, true);
  const Nanos struck = rig.now;
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), struck + ms(500));
  const CrawlDispatch trial = rig.one();
  EXPECT_EQ(rig.now, struck + ms(500));
  EXPECT_EQ(trial.url, "/4") << "one that has not been tried yet";
  rig.now += ms(60'000);
  EXPECT_TRUE(rig.take().empty()) << "one at a time until something succeeds";
  EXPECT_TRUE(rig.fail(trial.id, CrawlFailure::kThrottled));
  const Nanos again = rig.now;
  const CrawlDispatch second = rig.one();
  EXPECT_EQ(rig.now, again + ms(1'000)) << "doubled";
  rig.frontier.finish(second.id, true);
  rig.now += ms(1);
  EXPECT_EQ(rig.one().attempt, 2u);
  EXPECT_EQ(rig.one().attempt, 2u) << "several at once again";
}

TEST(CrawlBackoff, RetryAfterIsObeyed) {
  Rig rig(fast());
  rig.seed_range(1, 3);
  const CrawlDispatch first = rig.one();
  const CrawlDispatch second = rig.one();
  EXPECT_TRUE(rig.fail(first.id, CrawlFailure::kThrottled, ms(7'000)));
  // Another answer of the same burst requests a longer pause.
  EXPECT_TRUE(rig.fail(second.id, CrawlFailure::kThrottled, ms(9'000)));
  EXPECT_EQ(rig.frontier.next_deadline(rig.now), rig.now + ms(9'000));
}

TEST(CrawlBackoff, ARestBeyondTheBoundGivesTheHostUp) {
  Rig rig(fast());
  rig.seed_range(1, 3);
  EXPECT_FALSE(rig.fail(rig.one().id, CrawlFailure::kThrottled, ms(120'001)));
  EXPECT_TRUE(rig.frontier.finished());
  EXPECT_EQ(rig.frontier.take_abandoned().size(), 2u);
}

TEST(CrawlBackoff, ThrottlingHalvesTheRateAndTwentySuccessesDoubleIt) {
  Rig rig({.concurrency = 1, .host = {.per_second = 10}});
  rig.seed_range(1, 60);
  const auto gap = [&rig] {
    const CrawlDispatch one = rig.one();
    const Nanos at = rig.now;
    rig.frontier.finish(one.id, true);
    return rig.frontier.next_deadline(rig.now) - at;
  };
  EXPECT_EQ(gap(), ms(100));
  for (int times = 0; times < 4; ++times) rig.fail(rig.one().id, CrawlFailure::kThrottled);
  EXPECT_EQ(gap(), ms(800)) << "an eighth at the least";
  for (int successes = 2; successes < 20; ++successes) EXPECT_EQ(gap(), ms(800));
  EXPECT_EQ(gap(), ms(400));
}

TEST(CrawlAttempts, AUrlIsTriedThreeTimesWithAGrowingWait) {
  Rig rig(fast());
  rig.seed_range(1, 1);
  const Nanos start = rig.now;
  EXPECT_TRUE(rig.fail(rig.one().id, CrawlFailure::kBroken));
  EXPECT_TRUE(rig.fail(rig.one().id, CrawlFailure::kBroken));
  EXPECT_EQ(rig.now, start + ms(500));
  const CrawlDispatch third = rig.one();
  EXPECT_EQ(rig.now, start + ms(1'500));
  EXPECT_EQ(third.attempt, 3u);
  EXPECT_FALSE(rig.fail(third.id, CrawlFailure::kBroken));
  EXPECT_TRUE(rig.frontier.finished());
}

TEST(CrawlAttempts, AUrlThatTimedOutIsNotTriedAgain) {
  Rig rig(fast());
  rig.seed_range(1, 1);
  EXPECT_FALSE(rig.fail(rig.one().id, CrawlFailure::kTimedOut));
  EXPECT_TRUE(rig.frontier.finished());
}

TEST(CrawlAttempts, ARequestEndsOnce) {
  Rig rig(fast());
  rig.seed_range(1, 2);
  const CrawlDispatch one = rig.one();
  EXPECT_TRUE(rig.fail(one.id, CrawlFailure::kBroken));
  EXPECT_FALSE(rig.fail(one.id, CrawlFailure::kBroken)) << "it waits for its next attempt";
  rig.frontier.finish(one.id, true);
  rig.frontier.finish(99, true);
  EXPECT_EQ(rig.frontier.counts().pages, 0u);
  EXPECT_EQ(rig.frontier.counts().waiting, 2u);
}

class CrawlDeadHost : public testing::TestWithParam<CrawlFailure> {};

TEST_P(CrawlDeadHost, IsGivenUpLongBeforeEachUrlHasHadItsAttempts) {
  CrawlLimits limits = fast();
  limits.concurrency = 8;
  Rig rig(limits);
  rig.seed_range(1, 100);
  int ended = 0;
  while (!rig.frontier.finished()) {
    const CrawlDispatch one = rig.one();
    if (!rig.fail(one.id, GetParam())) ++ended;
  }
  // Five strikes, or twenty URLs in a row, with the requests in flight at the time.
  EXPECT_LE(rig.requests, 20 + 8);
  EXPECT_EQ(ended + static_cast<int>(rig.frontier.take_abandoned().size()), 100);
}

INSTANTIATE_TEST_SUITE_P(EveryWay, CrawlDeadHost,
                         testing::Values(CrawlFailure::kThrottled, CrawlFailure::kUnreachable,
                                         CrawlFailure::kBroken, CrawlFailure::kTimedOut,
                                         CrawlFailure::kForbidden));

TEST(CrawlDeadHosts, WithoutTheBreakerEachUrlStillHasThreeAttemptsAtMost) {
  CrawlLimits limits = fast();
  limits.host.strikes = limits.host.barren = 1'000'000;
  limits.host.backoff_cap = ms(1'000);
  Rig rig(limits);
  rig.seed_range(1, 100);
  for (int turn = 0; !rig.frontier.finished(); ++turn) {
    rig.fail(rig.one().id, turn % 2 == 0 ? CrawlFailure::kUnreachable : CrawlFailure::kBroken);
  }
  EXPECT_EQ(rig.requests, 300);
}

TEST(CrawlDeadHosts, TakeNothingFromTheOthers) {
  Rig rig(fast());
  rig.seed_range(1, 2, "good");
  rig.seed_range(11, 12, "bad");
  const CrawlDispatch bad = rig.one();
  ASSERT_EQ(bad.url, "/11");
  EXPECT_FALSE(rig.fail(bad.id, CrawlFailure::kForbidden));
  const auto abandoned = rig.frontier.take_abandoned();
  ASSERT_EQ(abandoned.size(), 1u);
  EXPECT_EQ(abandoned[0].url, "/12");
  const CrawlDispatch good = rig.one();
  EXPECT_EQ(good.url, "/1");
  // A link to it is claimed, and abandoned at once.
  EXPECT_EQ(rig.frontier.link(good.id, "/13", "bad"), Claim::kNew);
  EXPECT_EQ(rig.frontier.take_abandoned().size(), 1u);
  rig.frontier.finish(good.id, true);
  rig.frontier.finish(rig.one().id, true);
  EXPECT_TRUE(rig.frontier.finished());
}

TEST(CrawlDeadHosts, AnAnswerInBetweenKeepsTheHost) {
  Rig rig(fast({.url_attempts = 1}));
  rig.seed_range(1, 100);
  for (int i = 0; i < 95; ++i) {
    const CrawlDispatch one = rig.one();
    if (i % 19 == 18) {
      rig.frontier.finish(one.id, false);
    } else {
      rig.fail(one.id, CrawlFailure::kBroken);
    }
  }
  EXPECT_TRUE(rig.frontier.take_abandoned().empty());
  EXPECT_FALSE(rig.frontier.finished());
}

}  // namespace
}  // namespace sluice
