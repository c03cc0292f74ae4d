// The debounce rule alone: the time of a batch, and aborts.
#include "core/scheduling/batcher.h"

#include <gtest/gtest.h>

#include "milliseconds.h"

namespace sluice {
namespace {

TEST(Batcher, IsDueOneIdleSpanAfterTheNewestItem) {
  Batcher batcher({});
  EXPECT_EQ(batcher.next_deadline(), kNever);
  batcher.add({1, ms(0)});
  EXPECT_EQ(batcher.next_deadline(), ms(100));
  batcher.add({2, ms(90)});
  EXPECT_EQ(batcher.next_deadline(), ms(190));
  EXPECT_FALSE(batcher.due(ms(190) - 1));
  EXPECT_TRUE(batcher.due(ms(190)));
}

TEST(Batcher, IsDueAtOnceWhenFull) {
  Batcher batcher({.max_batch_size = 2});
  batcher.add({1, 0});
  EXPECT_FALSE(batcher.due(0));
  batcher.add({2, 0});
  EXPECT_TRUE(batcher.due(0));
  EXPECT_EQ(batcher.take(), (std::vector<ItemId>{1, 2}));
  EXPECT_TRUE(batcher.empty());
  EXPECT_FALSE(batcher.due(ms(1000)));
}

TEST(Batcher, MaxWaitBoundsTheOldestItem) {
  Batcher batcher({.max_wait = ms(150)});
  batcher.add({1, ms(10)});
  batcher.add({2, ms(95)});
  EXPECT_EQ(batcher.next_deadline(), ms(160));
  EXPECT_TRUE(batcher.remove(1));
  EXPECT_EQ(batcher.next_deadline(), ms(195));
}

TEST(Batcher, RemovingTheNewestItemDoesNotHurryTheOthers) {
  Batcher batcher({});
  batcher.add({1, ms(0)});
  batcher.add({2, ms(90)});
  EXPECT_TRUE(batcher.remove(2));
  EXPECT_FALSE(batcher.remove(2));
  EXPECT_EQ(batcher.next_deadline(), ms(190));
  EXPECT_EQ(batcher.take(), std::vector<ItemId>{1});
}

TEST(Batcher, AnEmptiedBatchIsNeverDue) {
  Batcher batcher({});
  batcher.add({1, 0});
  EXPECT_TRUE(batcher.remove(1));
  EXPECT_EQ(batcher.next_deadline(), kNever);
}

}  // namespace
}  // namespace sluice
