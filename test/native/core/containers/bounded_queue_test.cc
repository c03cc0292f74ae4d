// The bounded queue and its waiters: order of arrival, and aborts at every place.
#include "core/containers/bounded_queue.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Removed = BoundedQueue::Removed;

TEST(BoundedQueue, HoldsItsCapacityAndMakesFurtherItemsWaitInOrder) {
  BoundedQueue queue(2);
  EXPECT_TRUE(queue.push(1, 0));
  EXPECT_TRUE(queue.push(2, 0));
  EXPECT_FALSE(queue.push(3, 0));
  EXPECT_FALSE(queue.push(4, 0));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_EQ(queue.admit(1), std::nullopt);
  EXPECT_EQ(queue.pop().item, 1u);
  EXPECT_EQ(queue.admit(5), 3u);
  EXPECT_EQ(queue.admit(5), std::nullopt);
  EXPECT_EQ(queue.pop().item, 2u);
  EXPECT_EQ(queue.admit(6), 4u);
  const QueuedItem third = queue.pop();
  EXPECT_EQ(third.item, 3u);
  EXPECT_EQ(third.arrived, 5) << "an item arrives when it gets its place";
}

TEST(BoundedQueue, ANewcomerDoesNotOvertakeTheLine) {
  BoundedQueue queue(1);
  queue.push(1, 0);
  queue.push(2, 0);
  queue.pop();
  EXPECT_FALSE(queue.push(3, 0));
  EXPECT_EQ(queue.admit(0), 2u);
}

TEST(BoundedQueue, RemoveReturnsThePlaceOfTheItem) {
  BoundedQueue queue(1);
  queue.push(1, 0);
  queue.push(2, 0);
  queue.push(3, 0);
  EXPECT_EQ(queue.remove(2), Removed::kWaiting);
  EXPECT_EQ(queue.remove(1), Removed::kQueued);
  EXPECT_EQ(queue.remove(1), Removed::kUnknown);
  EXPECT_EQ(queue.admit(0), 3u);
  EXPECT_EQ(queue.remove(3), Removed::kQueued);
  EXPECT_TRUE(queue.empty());
}

TEST(BoundedQueue, RejectsAllWaitersAndKeepsQueuedItems) {
  BoundedQueue queue(1);
  queue.push(1, 0);
  queue.push(2, 0);
  queue.push(3, 0);
  EXPECT_EQ(queue.reject_waiting(), (std::vector<ItemId>{2, 3}));
  EXPECT_EQ(queue.remove(2), Removed::kUnknown);
  EXPECT_EQ(queue.size(), 1u);
}

}  // namespace
}  // namespace sluice
