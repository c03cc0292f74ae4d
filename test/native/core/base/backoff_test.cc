// Full jitter: the published formula, its cap, and that no exponent overflows.
#include "core/base/backoff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "milliseconds.h"

namespace sluice {
namespace {

TEST(FullJitter, DoublesFromTheBaseToTheCap) {
  // random = 0.5: half of min(1000, 100 * 2^n) for n = 0, 1, ...
  const Nanos expected[] = {ms(50), ms(100), ms(200), ms(400), ms(500), ms(500)};
  for (std::uint64_t retry = 0; retry < 6; ++retry) {
    EXPECT_EQ(full_jitter(ms(100), ms(1000), retry, 0.5), expected[retry]) << retry;
  }
}

TEST(FullJitter, SpansFromZeroToTheCeiling) {
  EXPECT_EQ(full_jitter(ms(100), ms(1000), 1, 0.0), 0);
  EXPECT_EQ(full_jitter(ms(100), ms(1000), 1, 0.25), ms(50));
  EXPECT_LE(full_jitter(ms(100), ms(1000), 1, std::nextafter(1.0, 0.0)), ms(200));
  EXPECT_GT(full_jitter(ms(100), ms(1000), 1, std::nextafter(1.0, 0.0)), ms(199));
}

TEST(FullJitter, StaysWithinTheCapForEveryExponent) {
  for (std::uint64_t retry :
       {9u, 30u, 31u, 52u, 53u, 61u, 62u, 63u, 64u, 65u, 1023u, 1024u, 1099u}) {
    EXPECT_EQ(full_jitter(ms(500), ms(30'000), retry, 0.5), ms(15'000)) << retry;
  }
  EXPECT_EQ(full_jitter(1, kNever, std::numeric_limits<std::uint64_t>::max(), 1.0), kNever);
}

TEST(FullJitter, ACapBelowTheBaseCounts) {
  EXPECT_EQ(full_jitter(ms(500), ms(100), 0, 0.5), ms(50));
  EXPECT_EQ(full_jitter(0, ms(100), 40, 0.5), 0);
  EXPECT_EQ(full_jitter(ms(500), 0, 40, 0.5), 0);
}

TEST(FullJitter, ANonFiniteRandomNumberIsHarmless) {
  EXPECT_EQ(full_jitter(ms(100), ms(1000), 0, -1.0), 0);
  EXPECT_EQ(full_jitter(ms(100), ms(1000), 0, 7.0), ms(100));
  EXPECT_EQ(full_jitter(ms(100), ms(1000), 0, std::numeric_limits<double>::quiet_NaN()), 0);
}

}  // namespace
}  // namespace sluice
