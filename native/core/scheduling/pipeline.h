// The pipeline: items enter one by one and leave in batches, a few batches at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "core/base/executor.h"
#include "core/base/time.h"
#include "core/containers/bounded_queue.h"
#include "core/scheduling/batcher.h"
#include "core/scheduling/slot_limiter.h"

namespace sluice {

/// Unique within one pipeline, from 1.
using BatchId = std::uint64_t;

/// Receives the events of a pipeline. It is called from within the pipeline's own functions, so it
/// only records the event and calls no function of the pipeline before that one has returned.
class PipelineObserver {
 public:
  virtual ~PipelineObserver() = default;

  /// The item is in the incoming queue; from here on it is dispatched or removed.
  virtual void accepted(ItemId item) = 0;
  /// The batch holds a slot until batch_done(batch).
  virtual void dispatch(BatchId batch, const std::vector<ItemId>& items) = 0;
  /// The item will not be dispatched: it was aborted, or refused by close before it was accepted.
  virtual void removed(ItemId item, bool was_accepted) = 0;
  /// close() was called and all work is done. Nothing is reported after this.
  virtual void closed() = 0;
};

struct PipelineOptions {
  BatcherOptions batching{};
  std::size_t max_concurrency = 5;       ///< batches dispatched at once
  std::size_t incoming_capacity = 100;   ///< items
  std::size_t processing_capacity = 10;  ///< batches
};

/// The load of each stage.
struct PipelineCounts {
  std::size_t waiting;             ///< items in line for the incoming queue
  std::size_t incoming;            ///< items
  std::size_t batching;            ///< items in the open batch
  std::size_t processing;          ///< items
  std::size_t processing_batches;  ///< batches
  std::size_t retrying;            ///< items waiting for their next attempt
  std::size_t active_batches;      ///< batches that hold a slot
};

/// Collects items into batches and dispatches a limited number of batches at a time.
///
///   submit -> incoming -> batcher -> processing -> slots -> dispatch ... batch_done
///    line      (100)      (8|0.1 s)    (10)         (5)        |
///                                       retry after a delay <--+
///
/// Each stage waits for the next. The batcher takes items from incoming as soon as it has room, and
/// holds at most one batch: a batch that is due while processing is full stays in the batcher and
/// continues to fill up, and all other items wait in incoming. Behind a stalled dispatch the
/// pipeline thus holds slots x batch + processing x batch + one batch + incoming items, and the
/// next submitter waits in line.
///
/// Not thread-safe: only its executor's thread calls it. It ends after closed().
class PipelineCore : public Machine {
 public:
  /// `observer` outlives the pipeline.
  PipelineCore(const PipelineOptions& options, PipelineObserver& observer);

  /// Takes a new item: reported as accepted, at once or when a place is free. After close it is
  /// removed at once.
  void submit(ItemId item, Nanos now);

  /// Removes an item that waits in any stage. No effect once it is dispatched.
  void abort(ItemId item, Nanos now);

  /// Takes slots for batches that the caller has dispatched itself, under ids beyond those of the
  /// pipeline. The caller keeps within `max_concurrency`, and dispatches only while it knows the
  /// pipeline to have no item.
  void hold(const std::vector<BatchId>& batches);

  /// Frees the slot of a dispatched batch, whose items the pipeline no longer knows then. Unknown
  /// batches are ignored.
  void batch_done(BatchId batch, Nanos now);

  /// Dispatches `items`, which were dispatched before, once more as one batch, `delay` after now.
  /// While it waits the group holds no slot and takes no room in a queue; when it is due it goes
  /// before the batches that have not been dispatched yet. Call it before the batch_done of the
  /// batch they came from, else a close may find all work done.
  void retry(std::vector<ItemId> items, Nanos delay, Nanos now);

  /// Refuses items in line and later ones, flushes the open batch, and reports closed() when every
  /// accepted item is done. A second close does nothing.
  void close(Nanos now);

  [[nodiscard]] PipelineCounts counts() const;

  [[nodiscard]] Nanos next_deadline() const override;
  void advance(Nanos now) override;

 private:
  using Items = std::vector<ItemId>;
  using Batches = std::list<Items>;
  using Delayed = std::multimap<Nanos, Items>;
  enum class Stage { kProcessing, kDelayed, kDueRetry };
  struct Place {
    Stage stage;
    Batches::iterator batch;  // kProcessing, kDueRetry
    Delayed::iterator delayed;
  };

  void pump(Nanos now);
  bool fill_batcher(Nanos now);
  bool flush_batcher(Nanos now);
  bool dispatch_batches();
  void dispatch_front(Batches& batches);
  void enqueue(Batches& batches, Stage stage, Items items);
  bool remove_batched(ItemId item);
  [[nodiscard]] bool processing_full() const;
  [[nodiscard]] bool idle() const;

  const PipelineOptions options_;
  PipelineObserver& observer_;
  BoundedQueue incoming_;
  Batcher batcher_;
  Batches processing_;
  Delayed delayed_;      // by due time
  Batches due_retries_;  // due, waiting for a slot
  SlotLimiter slots_;
  std::unordered_map<ItemId, Place> places_;  // of items in processing_, delayed_ or due_retries_
  std::size_t processing_items_ = 0;
  std::size_t retrying_items_ = 0;
  BatchId last_batch_ = 0;
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace sluice
