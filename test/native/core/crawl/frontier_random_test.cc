// Random sites, latencies and failures: invariants of every crawl.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/crawl/frontier.h"

namespace sluice {
namespace {

// A graph of pages in which every link is given, with its distance from the first page computed
// by a separate search.
struct Site {
  explicit Site(std::mt19937& random, int pages) : links(static_cast<std::size_t>(pages)) {
    std::uniform_int_distribution<int> page(0, pages - 1);
    std::uniform_int_distribution<int> degree(0, 4);
    for (auto& targets : links) {
      for (int i = degree(random); i > 0; --i) targets.push_back(page(random));
    }
  }

  [[nodiscard]] std::map<int, std::uint32_t> distances() const {
    std::map<int, std::uint32_t> distance{{0, 0}};
    std::vector<int> level{0};
    while (!level.empty()) {
      std::vector<int> next;
      for (const int from : level) {
        for (const int to : links[static_cast<std::size_t>(from)]) {
          if (distance.try_emplace(to, distance[from] + 1).second) next.push_back(to);
        }
      }
      level = std::move(next);
    }
    return distance;
  }

  std::vector<std::vector<int>> links;
};

struct Flight {
  Nanos done;
  CrawlDispatch dispatch;
};

// Runs a crawl whose requests take random times and, where `failing`, fail at random; checks on
// the way the invariants.
class Simulation {
 public:
  Simulation(std::mt19937& random, const CrawlLimits& limits, const Site& site, bool failing)
      : random_(random), limits_(limits), site_(site), failing_(failing), frontier_(limits) {
    frontier_.seed("0", "h");
  }

  void crawl() {
    while (!frontier_.finished()) {
      start_all();
      ASSERT_FALSE(testing::Test::HasFailure());
      const Nanos due = frontier_.next_deadline(now_);
      auto first = flying_.begin();
      for (auto it = flying_.begin(); it != flying_.end(); ++it) {
        if (it->done < first->done) first = it;
      }
      if (first != flying_.end() && first->done <= due) {
        now_ = std::max(now_, first->done);
        const CrawlDispatch landed = first->dispatch;
        flying_.erase(first);
        land(landed);
      } else {
        ASSERT_NE(due, kNever) << "stuck";
        ASSERT_GT(due, now_) << "time stands still";
        now_ = due;
      }
    }
    ASSERT_TRUE(flying_.empty());
  }

  std::map<std::string, std::uint32_t> ended;  // depth of each URL
  std::size_t abandoned = 0;
  std::size_t pages = 0;

 private:
  void start_all() {
    while (auto dispatch = frontier_.next(now_)) {
      EXPECT_GE(dispatch->depth, depth_) << "breadth first";
      depth_ = dispatch->depth;
      EXPECT_LE(depth_, limits_.depth);
      EXPECT_LE(++attempts_[dispatch->url], limits_.url_attempts);
      EXPECT_EQ(dispatch->attempt, attempts_[dispatch->url]);
      EXPECT_EQ(ended.count(dispatch->url), 0u) << "fetched again";
      for (const Flight& flight : flying_) EXPECT_NE(flight.dispatch.url, dispatch->url);
      EXPECT_GE(now_ - last_request_, interval_);
      last_request_ = now_;
      flying_.push_back({now_ + latency_(random_) * kMillisecond, std::move(*dispatch)});
      EXPECT_LE(flying_.size(), limits_.concurrency);
    }
  }

  void land(const CrawlDispatch& landed) {
    const int dice = failing_ ? dice_(random_) : 9;
    if (dice < 4) {
      const auto failure = static_cast<CrawlFailure>(dice);
      const Nanos retry_after = dice == 0 ? latency_(random_) * kMillisecond : 0;
      if (!frontier_.fail(landed.id, failure, retry_after, now_)) {
        ended[landed.url] = landed.depth;
      }
    } else {
      for (const int to : site_.links[static_cast<std::size_t>(std::stoi(landed.url))]) {
        frontier_.link(landed.id, std::to_string(to), "h");
      }
      ended[landed.url] = landed.depth;
      ++pages;
      frontier_.finish(landed.id, true);
    }
    for (const CrawlAbandoned& url : frontier_.take_abandoned()) {
      EXPECT_EQ(ended.count(url.url), 0u);
      ++abandoned;
    }
  }

  std::mt19937& random_;
  const CrawlLimits limits_;
  const Site& site_;
  const bool failing_;
  CrawlFrontier frontier_;
  std::uniform_int_distribution<Nanos> latency_{1, 3'000};
  std::uniform_int_distribution<int> dice_{0, 9};
  const Nanos interval_ = static_cast<Nanos>(1e9 / limits_.host.per_second);
  Nanos now_ = kSecond;
  Nanos last_request_ = -kSecond * 1'000;
  std::uint32_t depth_ = 0;
  std::vector<Flight> flying_;
  std::map<std::string, std::uint32_t> attempts_;
};

CrawlLimits random_limits(std::mt19937& random) {
  const auto up_to = [&random](std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(1, most)(random);
  };
  CrawlLimits limits;
  limits.concurrency = up_to(8);
  limits.depth = static_cast<std::uint32_t>(up_to(6));
  limits.url_attempts = static_cast<std::uint32_t>(up_to(4));
  limits.host.per_second = static_cast<double>(up_to(20));
  return limits;
}

TEST(CrawlFrontierRandom, EveryPageWithinReachIsFetchedOnceAtItsDistance) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Site site(random, 60);
    const CrawlLimits limits = random_limits(random);
    Simulation run(random, limits, site, false);
    run.crawl();
    std::map<std::string, std::uint32_t> expected;
    for (const auto& [page, depth] : site.distances()) {
      if (depth <= limits.depth) expected[std::to_string(page)] = depth;
    }
    ASSERT_EQ(run.ended, expected);
  }
}

TEST(CrawlFrontierRandom, WithFailuresEachClaimedUrlEndsOnceAndDepthNeverDecreases) {
  std::size_t given_up = 0;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Site site(random, 60);
    Simulation run(random, random_limits(random), site, true);
    run.crawl();
    ASSERT_FALSE(testing::Test::HasFailure());
    if (run.abandoned > 0) ++given_up;
  }
  EXPECT_LT(given_up, 100u) << "most of the hosts answer most of the time";
}

TEST(CrawlFrontierRandom, NeverMorePagesThanTheLimit) {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Site site(random, 60);
    CrawlLimits limits = random_limits(random);
    limits.pages = 7;
    Simulation run(random, limits, site, true);
    run.crawl();
    ASSERT_LE(run.pages, 7u);
  }
}

}  // namespace
}  // namespace sluice
