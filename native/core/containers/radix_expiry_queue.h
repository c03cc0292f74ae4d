// A radix heap with removal: finds the expired ones among many slots.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "core/containers/slot_list.h"

namespace sluice {

/// Finds the expired ones among many slots: a radix heap with removal.
///
/// A slot is in the bucket of the highest bit in which its time and the queue's time differ. As the
/// queue's time advances, whole buckets become due, and at most one is redistributed to lower
/// buckets. A slot moves at most 63 times in its life, regardless of the number of slots, and is
/// removed in one step. A heap of lazily dropped deadlines (timer_queue.h) would keep one for every
/// replaced entry.
///
/// Not thread-safe: one owner.
class ExpiryQueue {
 public:
  using Slot = SlotLists::Slot;

  /// Adds one slot, the next number from 0, which is not in the queue.
  void grow() {
    due_.push_back(kNever);
    buckets_.grow();
  }

  /// Inserts a slot that is not in the queue. A slot with kNever is not inserted.
  void add(Slot slot, Nanos due) {
    due_[slot] = due;
    if (due == kNever) return;
    const std::uint32_t bucket = bucket_of(due);
    buckets_.push_front(bucket, slot);
    used_ |= std::uint64_t{1} << bucket;
  }

  /// Removes a slot; no effect if it is not in the queue.
  void remove(Slot slot) { buckets_.remove(slot); }

  /// Removes and returns one slot whose time is at or before `now`, in any order; SlotLists::kNone
  /// when there is none. `now` never goes back.
  Slot pop_due(Nanos now) {
    if (now > time_) advance(now);
    if (used_ == 0) return SlotLists::kNone;
    const Slot slot = buckets_.front(kDue);
    if (slot != SlotLists::kNone) buckets_.remove(slot);
    return slot;
  }

  /// When the queue is next to be asked: never later than the first slot is due, and earlier at
  /// most once for each bit of a slot's time. kNever when it is empty.
  [[nodiscard]] Nanos next_due() const {
    for (std::uint64_t left = used_; left != 0; left &= left - 1) {
      const auto bucket = static_cast<std::uint32_t>(std::countr_zero(left));
      if (buckets_.front(bucket) == SlotLists::kNone) continue;
      if (bucket == kDue) return time_;
      // The slots of the bucket differ from `time_` in this bit, and in no higher one.
      const Nanos bit = Nanos{1} << (bucket - 1);
      return (time_ & ~(bit - 1)) | bit;
    }
    return kNever;
  }

 private:
  static constexpr std::uint32_t kDue = 0;
  static constexpr std::uint32_t kBuckets = 64;

  [[nodiscard]] std::uint32_t bucket_of(Nanos due) const {
    if (due <= time_) return kDue;
    return static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(due ^ time_)));
  }

  // Buckets above the highest changed bit are unaffected. All slots below it are due. Only the
  // slots of the bucket at that bit must be examined.
  void advance(Nanos now) {
    const auto highest = std::bit_width(static_cast<std::uint64_t>(now ^ time_));
    time_ = now;
    const std::uint64_t moved = used_ & ((std::uint64_t{2} << highest) - 2);
    used_ &= ~moved;
    for (std::uint64_t left = moved; left != 0; left &= left - 1) {
      const auto bucket = static_cast<std::uint32_t>(std::countr_zero(left));
      for (Slot slot = buckets_.front(bucket); slot != SlotLists::kNone;
           slot = buckets_.front(bucket)) {
        buckets_.remove(slot);
        add(slot, due_[slot]);
      }
    }
  }

  Nanos time_ = 0;
  std::uint64_t used_ = 0;  ///< a bit for each bucket that may hold slots
  std::vector<Nanos> due_;
  SlotLists buckets_{kBuckets};
};

}  // namespace sluice
