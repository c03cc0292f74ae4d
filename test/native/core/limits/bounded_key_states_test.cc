// Tables of many keys: forgetting a key never grants anything.
#include "core/limits/bounded_key_states.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <unordered_map>

#include "core/base/siphash.h"
#include "core/containers/hash_table.h"
#include "core/limits/keyed_limiter.h"

namespace sluice {
namespace {

// The first vectors of SipHash-1-3's reference implementation (github.com/veorq/SipHash), with the
// keys 0 and 00 01 02 ... 0f.
TEST(KeyedHash, VectorsOfTheReference) {
  EXPECT_EQ(keyed_hash("", {0, 0}), 0xd1fba762150c532cu);
  EXPECT_EQ(keyed_hash(std::string_view("\0", 1), {0, 0}), 0x68a914128e01e473u);
  EXPECT_EQ(keyed_hash("", {0x0706050403020100, 0x0f0e0d0c0b0a0908}), 0xabac0158050fc4dcu);
}

TEST(KeyedTable, HoldsTheEntriesOfAMap) {
  KeyedTable<std::int64_t> table;
  std::unordered_map<std::string, std::int64_t> expected;
  std::mt19937 random(7);
  for (int step = 0; step < 200'000; ++step) {
    // Keys shorter and longer than std::string's internal buffer.
    const std::string key(1 + random() % 3, static_cast<char>('a' + random() % 26));
    const std::string long_key = std::string(20, '-') + key + std::to_string(random() % 20);
    const std::string& used = random() % 2 == 0 ? key : long_key;
    const auto hash = KeyedTable<std::int64_t>::hash_of(used);
    std::int64_t* const found = table.find(used, hash);
    ASSERT_EQ(found != nullptr, expected.contains(used));
    if (found != nullptr) {
      ASSERT_EQ(*found, expected[used]);
    }
    if (found == nullptr) {
      table.insert(used, hash, step);
      expected[used] = step;
    } else if (table.extent() > 0) {
      const auto id = static_cast<std::uint32_t>(random() % table.extent());
      if (table.at(id) != nullptr) {
        ASSERT_EQ(expected.erase(std::string(table.key_at(id))), 1u);
        table.erase(id);
      }
    }
    ASSERT_EQ(table.size(), expected.size());
  }
  for (const auto& [key, value] : expected) {
    ASSERT_EQ(*table.find(key, KeyedTable<std::int64_t>::hash_of(key)), value);
  }
  for (std::uint32_t id = 0; table.size() > 0; ++id) {
    if (table.at(id) != nullptr) table.erase(id);
  }
  EXPECT_EQ(table.extent(), 0u) << "an empty table keeps nothing";
}

// A bucket in units of a billionth of a token, for a whole number of tokens a second.
class PlainBuckets {
 public:
  PlainBuckets(std::int64_t capacity, std::int64_t per_second)
      : most_(capacity * kSecond), per_second_(per_second) {}

  /// What the key has at `now`, which never goes back.
  std::int64_t& level(const std::string& key, Nanos now) {
    auto& [level, at] = buckets_.try_emplace(key, most_, now).first->second;
    level = std::min(most_, level + (now - at) * per_second_);
    at = now;
    return level;
  }

 private:
  std::int64_t most_;
  std::int64_t per_second_;
  std::map<std::string, std::pair<std::int64_t, Nanos>> buckets_;
};

constexpr std::int64_t kSmallCapacity = 5;
constexpr std::int64_t kSmallPerSecond = 3;

TokenBucketLimiter small_limiter(std::size_t max_keys) {
  return TokenBucketLimiter(TokenBucketRule({kSmallCapacity, rate_per_second(kSmallPerSecond)}),
                            max_keys);
}

struct Ask {
  std::string key;
  std::int64_t cost;
  Nanos now;
};

// Calls `check` with a random history over 40 keys, some in the same moment, some after long waits.
template <typename Check>
void random_history(unsigned seed, const Check& check) {
  std::mt19937 random(seed);
  Nanos now = 0;
  for (int step = 0; step < 4000; ++step) {
    const auto kind = random() % 10;
    if (kind >= 5) {
      const Nanos most = kind == 9 ? 4 * kSecond : 100 * kMillisecond;
      now += static_cast<Nanos>(random()) % most;
    }
    check(Ask{"key" + std::to_string(random() % 40), static_cast<std::int64_t>(random() % 7), now});
  }
}

TEST(KeyedStates, WithRoomForAllTheAnswersAreThoseOfPlainBuckets) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    TokenBucketLimiter limiter = small_limiter(1000);
    PlainBuckets plain(kSmallCapacity, kSmallPerSecond);
    random_history(seed, [&](const Ask& ask) {
      const LimitDecision decision = limiter.allow(ask.key, ask.cost, ask.now);
      std::int64_t& level = plain.level(ask.key, ask.now);
      ASSERT_EQ(decision.allowed, level >= ask.cost * kSecond);
      if (decision.allowed) level -= ask.cost * kSecond;
      ASSERT_EQ(decision.remaining, level / kSecond);
      const std::int64_t missing = kSmallCapacity * kSecond - level;
      ASSERT_EQ(decision.reset_after, (missing + kSmallPerSecond - 1) / kSmallPerSecond);
    });
  }
}

TEST(KeyedStates, WithRoomForAFewNoKeyIsGrantedMoreThanItsOwnBucketHad) {
  std::int64_t denied_for_room = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    const std::size_t max_keys = 1 + seed % 12;
    TokenBucketLimiter limiter = small_limiter(max_keys);
    PlainBuckets plain(kSmallCapacity, kSmallPerSecond);
    random_history(seed, [&](const Ask& ask) {
      const LimitDecision decision = limiter.allow(ask.key, ask.cost, ask.now);
      std::int64_t& level = plain.level(ask.key, ask.now);
      if (!decision.allowed) {
        denied_for_room += level >= ask.cost * kSecond;
        return;
      }
      ASSERT_GE(level, ask.cost * kSecond) << "seed " << seed << " " << ask.key;
      level -= ask.cost * kSecond;
      ASSERT_LE(decision.remaining, level / kSecond);
      ASSERT_LE(limiter.size(), max_keys);
    });
  }
  EXPECT_GT(denied_for_room, 0) << "the histories never filled a table";
}

TEST(KeyedStates, AFullBucketIsForgottenByTimeDuringOtherCalls) {
  TokenBucketLimiter limiter = small_limiter(100'000);
  for (int i = 0; i < 1000; ++i) limiter.allow("key" + std::to_string(i), 1, 0);
  EXPECT_EQ(limiter.size(), 1000u);
  for (int i = 0; i < 10'000; ++i) limiter.allow("asked", 1, kSecond);
  EXPECT_EQ(limiter.size(), 1u);
}

TEST(KeyedStates, KeysThatComeOnceDoNotPileUp) {
  TokenBucketLimiter limiter = small_limiter(1'000'000);
  std::size_t most = 0;
  // A bucket that lacks one token is full again after a third of a second: 333 keys count.
  for (int i = 0; i < 100'000; ++i) {
    limiter.allow("key" + std::to_string(i), 1, i * kMillisecond);
    most = std::max(most, limiter.size());
  }
  EXPECT_LE(most, 1000u);
}

// A single bucket for all keys without room would grant 5 on top of the 100.
TEST(KeyedStates, InAFloodNewKeysAreGrantedAboutTheCapacityOfTheTable) {
  TokenBucketLimiter limiter = small_limiter(100);
  std::int64_t granted = 0;
  for (int i = 0; i < 10'000; ++i) {
    granted += limiter.allow("flood" + std::to_string(i), 1, 0).allowed;
  }
  EXPECT_GE(granted, 300);
  EXPECT_EQ(limiter.size(), 100u);
}

TEST(KeyedStates, AKeyWithoutRoomIsServedAfterItsWait) {
  TokenBucketLimiter limiter = small_limiter(2);
  for (const char* const key : {"a", "b", "c"}) {
    const LimitDecision first = limiter.allow(key, kSmallCapacity, 0);
    if (first.allowed) continue;
    EXPECT_FALSE(limiter.allow(key, kSmallCapacity, first.retry_after - 1).allowed);
    EXPECT_TRUE(limiter.allow(key, kSmallCapacity, first.retry_after).allowed);
  }
  EXPECT_EQ(limiter.size(), 2u);
}

// A forgotten key must not wait longer after the clock was set back.
TEST(KeyedStates, AClockThatIsSetBackDoesNotBarNewKeys) {
  TokenBucketLimiter limiter = small_limiter(1);
  EXPECT_TRUE(limiter.allow("a", kSmallCapacity, 3600 * kSecond).allowed);
  EXPECT_TRUE(limiter.allow("b", 1, 3600 * kSecond + kSecond).allowed);
  const LimitDecision denied = limiter.allow("c", kSmallCapacity, 0);
  EXPECT_FALSE(denied.allowed);
  EXPECT_LE(denied.retry_after, 2 * kSecond);
  EXPECT_TRUE(limiter.allow("c", kSmallCapacity, denied.retry_after).allowed);
}

}  // namespace
}  // namespace sluice
