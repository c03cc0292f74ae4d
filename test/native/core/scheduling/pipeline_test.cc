// The composed pipeline under injected time: batching, limits, aborts, retries and closing.
#include "core/scheduling/pipeline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "milliseconds.h"

namespace sluice {
namespace {

struct Dispatched {
  BatchId batch;
  std::vector<ItemId> items;
  Nanos at;
};

// Drives a pipeline as an executor does, and records its reports.
class Rig : public PipelineObserver {
 public:
  explicit Rig(const PipelineOptions& options = {}) : pipeline(options, *this) {}

  void accepted(ItemId item) override { accepted_items.push_back(item); }
  void dispatch(BatchId batch, const std::vector<ItemId>& items) override {
    batches.push_back({batch, items, now});
  }
  void removed(ItemId item, bool was_accepted) override {
    (was_accepted ? removed_items : refused_items).push_back(item);
  }
  void closed() override { ++closed_count; }

  // Moves time to `to`, stopping at every deadline on the way.
  void run_to(Nanos to) {
    for (Nanos due = pipeline.next_deadline(); due <= to; due = pipeline.next_deadline()) {
      ASSERT_GT(due, now) << "a deadline that is past makes the executor spin";
      now = due;
      pipeline.advance(now);
    }
    now = to;
    pipeline.advance(now);
  }

  void submit_at(Nanos at, ItemId item) {
    run_to(at);
    pipeline.submit(item, now);
  }

  void submit_range(ItemId first, ItemId last) {
    for (ItemId item = first; item <= last; ++item) pipeline.submit(item, now);
  }

  [[nodiscard]] std::vector<std::size_t> batch_sizes() const {
    std::vector<std::size_t> sizes;
    for (const Dispatched& batch : batches) sizes.push_back(batch.items.size());
    return sizes;
  }

  Nanos now = 0;
  std::vector<ItemId> accepted_items;
  std::vector<ItemId> removed_items;
  std::vector<ItemId> refused_items;
  std::vector<Dispatched> batches;
  int closed_count = 0;
  PipelineCore pipeline;
};

using Items = std::vector<ItemId>;
using Sizes = std::vector<std::size_t>;

TEST(PipelineBatching, ArrivalsCloserThanTheIdleSpanMakeOneBatch) {
  Rig rig;
  rig.submit_at(ms(0), 1);
  rig.submit_at(ms(90), 2);
  rig.submit_at(ms(180), 3);
  rig.submit_at(ms(270), 4);
  rig.run_to(ms(1000));
  ASSERT_EQ(rig.batches.size(), 1u);
  EXPECT_EQ(rig.batches[0].items, (Items{1, 2, 3, 4}));
  EXPECT_EQ(rig.batches[0].at, ms(370));
}

TEST(PipelineBatching, TheEighthItemFlushesAtOnce) {
  Rig rig;
  for (ItemId item = 0; item < 8; ++item) rig.submit_at(ms(90) * static_cast<Nanos>(item), item);
  ASSERT_EQ(rig.batches.size(), 1u);
  EXPECT_EQ(rig.batches[0].items.size(), 8u);
  EXPECT_EQ(rig.batches[0].at, ms(630));
  rig.run_to(ms(5000));
  EXPECT_EQ(rig.batches.size(), 1u);
}

TEST(PipelineBatching, SeventeenAtOnceMakeEightEightAndOneAfterTheIdleSpan) {
  Rig rig;
  rig.submit_range(1, 17);
  EXPECT_EQ(rig.batch_sizes(), (Sizes{8, 8}));
  rig.run_to(ms(100) - 1);
  EXPECT_EQ(rig.batches.size(), 2u);
  rig.run_to(ms(100));
  ASSERT_EQ(rig.batch_sizes(), (Sizes{8, 8, 1}));
  EXPECT_EQ(rig.batches[2].items, Items{17});
  EXPECT_EQ(rig.batches[2].at, ms(100));
}

TEST(PipelineBatching, CloseFlushesThePartialBatchAtOnce) {
  Rig rig;
  rig.submit_range(1, 17);
  rig.pipeline.close(rig.now);
  EXPECT_EQ(rig.batch_sizes(), (Sizes{8, 8, 1}));
  EXPECT_EQ(rig.batches[2].at, 0);
}

TEST(PipelineBatching, MaxWaitBoundsTheFirstItem) {
  Rig rig({.batching = {.max_wait = ms(150)}});
  rig.submit_at(ms(0), 1);
  rig.submit_at(ms(90), 2);
  rig.submit_at(ms(149), 3);
  rig.submit_at(ms(151), 4);
  rig.run_to(ms(1000));
  ASSERT_EQ(rig.batch_sizes(), (Sizes{3, 1}));
  EXPECT_EQ(rig.batches[0].at, ms(150));
  EXPECT_EQ(rig.batches[1].at, ms(251));
}

TEST(PipelineBatching, AnItemAddedWhenTheBatchIsDueStartsTheNextOne) {
  Rig rig;
  rig.pipeline.submit(1, 0);
  rig.now = ms(100);
  rig.pipeline.submit(2, rig.now);  // the timer is late: nothing has advanced the pipeline
  ASSERT_EQ(rig.batches.size(), 1u);
  EXPECT_EQ(rig.batches[0].items, Items{1});
}

TEST(PipelineBatching, ADueBatchIsFilledFurtherWhileProcessingIsFull) {
  Rig rig({.max_concurrency = 1, .processing_capacity = 1});
  rig.submit_range(1, 16);  // one batch dispatched, one in processing
  rig.pipeline.submit(17, rig.now);
  rig.run_to(ms(500));  // due since 100 ms, without room downstream
  rig.pipeline.submit(18, rig.now);
  EXPECT_EQ(rig.pipeline.next_deadline(), kNever);
  rig.run_to(ms(700));
  rig.pipeline.batch_done(1, rig.now);
  rig.pipeline.batch_done(2, rig.now);
  ASSERT_EQ(rig.batches.size(), 3u);
  EXPECT_EQ(rig.batches[2].items, (Items{17, 18}));
  EXPECT_EQ(rig.batches[2].at, ms(700));
}

TEST(PipelineLimits, AStalledDispatchFillsEveryStageUpToItsBound) {
  Rig rig;
  rig.submit_range(1, 300);
  rig.run_to(ms(60'000));
  const std::size_t held = 5 * 8 + 10 * 8 + 8 + 100;
  EXPECT_EQ(rig.accepted_items.size(), held);
  EXPECT_EQ(rig.batches.size(), 5u);
  const PipelineCounts counts = rig.pipeline.counts();
  EXPECT_EQ(counts.waiting, 300 - held);
  EXPECT_EQ(counts.incoming, 100u);
  EXPECT_EQ(counts.batching, 8u);
  EXPECT_EQ(counts.processing, 80u);
  EXPECT_EQ(counts.processing_batches, 10u);
  EXPECT_EQ(counts.active_batches, 5u);
  // The first waiter is removed, and one returned slot admits the next eight, in order.
  rig.pipeline.abort(held + 1, rig.now);
  EXPECT_EQ(rig.refused_items, Items{held + 1});
  rig.pipeline.batch_done(1, rig.now);
  ASSERT_EQ(rig.accepted_items.size(), held + 8);
  EXPECT_EQ(rig.accepted_items[held], held + 2);
  EXPECT_EQ(rig.accepted_items.back(), held + 9);
}

TEST(PipelineLimits, NeverMoreBatchesAtOnceThanSlots) {
  Rig rig;
  rig.submit_range(1, 200);
  std::size_t done = 0;
  while (done < rig.batches.size()) {
    EXPECT_LE(rig.batches.size() - done, 5u);
    rig.run_to(rig.now + ms(10));
    rig.pipeline.batch_done(rig.batches[done++].batch, rig.now);
  }
  EXPECT_EQ(rig.batches.size(), 25u);
  ItemId expected = 1;
  for (const Dispatched& batch : rig.batches) {
    for (const ItemId item : batch.items) EXPECT_EQ(item, expected++);
  }
}

TEST(PipelineLimits, ASlotIsGivenBackOnce) {
  Rig rig({.max_concurrency = 1});
  rig.submit_range(1, 24);
  rig.pipeline.batch_done(1, 0);
  rig.pipeline.batch_done(1, 0);
  rig.pipeline.batch_done(99, 0);
  EXPECT_EQ(rig.batches.size(), 2u);
}

TEST(PipelineLimits, HeldBatchesTakeSlotsUntilTheyAreDone) {
  Rig rig({.batching = {.max_batch_size = 1}, .max_concurrency = 2});
  const BatchId first = 1ull << 52;
  rig.pipeline.hold({first, first + 1});
  rig.pipeline.submit(1, 0);
  EXPECT_TRUE(rig.batches.empty());
  EXPECT_EQ(rig.pipeline.counts().active_batches, 2u);
  rig.pipeline.batch_done(first, 0);
  ASSERT_EQ(rig.batches.size(), 1u);
  rig.pipeline.close(0);
  rig.pipeline.batch_done(1, 0);
  EXPECT_EQ(rig.closed_count, 0);
  rig.pipeline.batch_done(first + 1, 0);
  EXPECT_EQ(rig.closed_count, 1);
}

TEST(PipelineAbort, RemovesAnItemOfAnyStageAloneFromIt) {
  Rig rig({.max_concurrency = 1, .incoming_capacity = 4, .processing_capacity = 1});
  rig.submit_range(1, 29);  // 1-8 dispatched, 9-16 processing, 17-24 batcher, 25-28 incoming
  EXPECT_EQ(rig.pipeline.counts().waiting, 1u);
  rig.pipeline.abort(3, 0);  // dispatched: no longer in the pipeline
  EXPECT_TRUE(rig.removed_items.empty());
  rig.pipeline.abort(10, 0);
  rig.pipeline.abort(26, 0);  // lets 29 in
  rig.pipeline.abort(18, 0);  // lets 25 move up
  EXPECT_EQ(rig.removed_items, (Items{10, 26, 18}));
  EXPECT_EQ(rig.accepted_items.back(), 29u);
  rig.pipeline.close(0);
  for (BatchId batch = 1; batch <= rig.batches.size(); ++batch) rig.pipeline.batch_done(batch, 0);
  ASSERT_EQ(rig.batches.size(), 4u);
  EXPECT_EQ(rig.batches[1].items, (Items{9, 11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(rig.batches[2].items, (Items{17, 19, 20, 21, 22, 23, 24, 25}));
  EXPECT_EQ(rig.batches[3].items, (Items{27, 28, 29}));
  EXPECT_EQ(rig.closed_count, 1);
}

TEST(PipelineAbort, AnEmptiedBatchReturnsItsPlace) {
  Rig rig({.batching = {.max_batch_size = 1}, .max_concurrency = 1, .processing_capacity = 1});
  rig.submit_range(1, 3);  // dispatched, processing, batcher
  rig.pipeline.abort(2, 0);
  EXPECT_EQ(rig.pipeline.counts().processing_batches, 1u) << "3 has moved up";
  EXPECT_EQ(rig.pipeline.counts().batching, 0u);
  rig.pipeline.abort(3, 0);
  EXPECT_EQ(rig.pipeline.counts().processing_batches, 0u);
  rig.pipeline.batch_done(1, 0);
  EXPECT_EQ(rig.batches.size(), 1u);
}

TEST(PipelineRetry, AGroupIsRetriedAsOneBatchAfterItsDelayWithoutHoldingASlot) {
  Rig rig({.max_concurrency = 1});
  rig.submit_range(1, 16);
  rig.pipeline.retry({2, 5}, ms(250), rig.now);
  rig.pipeline.batch_done(1, rig.now);
  ASSERT_EQ(rig.batches.size(), 2u) << "the slot is free while the group waits";
  rig.pipeline.batch_done(2, rig.now);
  rig.run_to(ms(1000));
  ASSERT_EQ(rig.batches.size(), 3u);
  EXPECT_EQ(rig.batches[2].items, (Items{2, 5}));
  EXPECT_EQ(rig.batches[2].at, ms(250));
}

TEST(PipelineRetry, IsNotRefusedByFullQueuesAndGoesFirst) {
  Rig rig({.batching = {.max_batch_size = 1},
           .max_concurrency = 1,
           .incoming_capacity = 1,
           .processing_capacity = 1});
  rig.submit_range(1, 6);
  rig.pipeline.retry({1}, ms(10), rig.now);
  rig.pipeline.batch_done(1, rig.now);  // 2 is dispatched; everything is full again
  rig.run_to(ms(50));
  EXPECT_EQ(rig.pipeline.counts().retrying, 1u);
  rig.pipeline.batch_done(2, rig.now);
  EXPECT_EQ(rig.batches.back().items, Items{1});
  EXPECT_EQ(rig.pipeline.counts().retrying, 0u);
}

TEST(PipelineRetry, GroupsComeBackInTheOrderTheyFallDue) {
  Rig rig;
  rig.submit_range(1, 16);
  rig.pipeline.retry({1}, ms(300), rig.now);
  rig.pipeline.retry({9}, ms(200), rig.now);
  rig.pipeline.batch_done(1, rig.now);
  rig.pipeline.batch_done(2, rig.now);
  rig.pipeline.advance(ms(900));  // one late call for both
  ASSERT_EQ(rig.batches.size(), 4u);
  EXPECT_EQ(rig.batches[2].items, Items{9});
  EXPECT_EQ(rig.batches[3].items, Items{1});
}

TEST(PipelineRetry, AnAbortedItemIsNotRetriedAndItsNeighbourIs) {
  Rig rig({.max_concurrency = 1});
  rig.submit_range(1, 8);
  rig.pipeline.retry({1, 2}, ms(10), 0);
  rig.pipeline.retry({3}, ms(10), 0);
  rig.pipeline.abort(1, 0);
  rig.pipeline.abort(3, 0);
  EXPECT_EQ(rig.removed_items, (Items{1, 3}));
  rig.run_to(ms(20));  // due, with the slot still taken
  rig.pipeline.retry({4}, 0, rig.now);
  rig.pipeline.abort(4, rig.now);
  rig.pipeline.batch_done(1, rig.now);
  ASSERT_EQ(rig.batches.size(), 2u);
  EXPECT_EQ(rig.batches[1].items, Items{2});
}

TEST(PipelineClose, RefusesTheLineAndWaitsForAllAcceptedWork) {
  Rig rig({.max_concurrency = 1, .incoming_capacity = 2, .processing_capacity = 1});
  rig.submit_range(1, 28);  // 8 dispatched, 8 processing, 8 batcher, 2 incoming, 2 in line
  rig.pipeline.close(0);
  EXPECT_EQ(rig.refused_items, (Items{27, 28}));
  rig.pipeline.submit(29, 0);
  EXPECT_EQ(rig.refused_items, (Items{27, 28, 29}));
  std::size_t dispatched = 0;
  for (BatchId batch = 1; batch <= rig.batches.size(); ++batch) {
    EXPECT_EQ(rig.closed_count, 0);
    dispatched += rig.batches[batch - 1].items.size();
    rig.pipeline.batch_done(batch, 0);
  }
  EXPECT_EQ(dispatched, 26u);
  EXPECT_EQ(rig.accepted_items.size(), 26u);
  EXPECT_EQ(rig.closed_count, 1);
  rig.pipeline.close(0);
  rig.run_to(ms(1000));
  EXPECT_EQ(rig.closed_count, 1);
}

TEST(PipelineClose, OfAnIdlePipelineIsImmediate) {
  Rig rig;
  rig.pipeline.close(0);
  EXPECT_EQ(rig.closed_count, 1);
}

TEST(PipelineClose, WaitsForAGroupThatIsWaitingForItsRetry) {
  Rig rig;
  rig.submit_range(1, 8);
  rig.pipeline.close(0);
  rig.pipeline.retry({4}, ms(100), 0);
  rig.pipeline.batch_done(1, 0);
  EXPECT_EQ(rig.closed_count, 0);
  rig.run_to(ms(100));
  ASSERT_EQ(rig.batches.size(), 2u);
  rig.pipeline.batch_done(2, rig.now);
  EXPECT_EQ(rig.closed_count, 1);
}

TEST(PipelineClose, AnAbortOfTheLastItemEndsIt) {
  Rig rig({.max_concurrency = 1});
  rig.submit_range(1, 8);
  rig.pipeline.retry({4}, ms(100), 0);
  rig.pipeline.batch_done(1, 0);
  rig.pipeline.close(0);
  EXPECT_EQ(rig.closed_count, 0);
  rig.pipeline.abort(4, 0);
  EXPECT_EQ(rig.closed_count, 1);
}

}  // namespace
}  // namespace sluice
