#include "core/kv/store.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

// Expired entries that each change frees on its way: more than the one that it may add.
constexpr std::size_t kReclaimPerChange = 2;
// The number of entries to free before checking for room again.
constexpr std::size_t kReclaimPerTry = 64;

}  // namespace

KvResult KvStore::set(std::string key, KvValue value, Nanos ttl, KvVersion expected, Nanos now) {
  const KvStatus fit = fits(key.size(), value.bytes.size());
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  const KvVersion current = version_of(key);
  if (expected != kAnyVersion && expected != current) return {KvStatus::kConflict, current};
  if (fit != KvStatus::kDone) return {fit};
  reclaim_due(kReclaimPerChange);
  KvWrite write{std::move(value), ttl};
  const KvStatus room = make_room([&] { return growth_by(key, write); }, nullptr, nullptr);
  if (room != KvStatus::kDone) return {room};
  const KvChange change = put(std::move(key), write);
  tell({&change, 1});
  return {KvStatus::kDone, change.version};
}

KvResult KvStore::touch(std::string_view key, Nanos ttl, KvVersion expected, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  const KvEntryRef current(alive(key));
  const KvVersion version = current ? current->version : kAbsent;
  if (expected != kAnyVersion && expected != version) return {KvStatus::kConflict, version};
  reclaim_due(kReclaimPerChange);
  if (!current) return {};
  KvWrite write{current->value, ttl};
  const KvStatus room = make_room([&] { return growth_by(key, write); }, nullptr, nullptr);
  if (room != KvStatus::kDone) return {room};
  const KvChange change = put(std::string(key), write);
  tell({&change, 1});
  return {KvStatus::kDone, change.version};
}

KvResult KvStore::erase(std::string_view key, KvVersion expected, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  const KvVersion current = version_of(key);
  if (expected != kAnyVersion && expected != current) return {KvStatus::kConflict, current};
  reclaim_due(kReclaimPerChange);
  if (current == kAbsent) return {};
  const KvChange change = remove(key);
  tell({&change, 1});
  return {KvStatus::kDone, change.version};
}

KvEntryRef KvStore::get(std::string_view key, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  return KvEntryRef(alive(key));
}

KvPage KvStore::scan(const KvRange& range, std::size_t limit, Nanos now, KvOrder order) {
  return snapshot(now).scan(range, limit, order);
}

KvSnapshot KvStore::snapshot(Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  return {tree_, version_, now_, open_};
}

KvResult KvStore::commit(const KvReads& reads, KvWrites& writes, Nanos now, const KvShare* share,
                         const KvShare* area) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  if (!still(reads)) return {KvStatus::kConflict};
  reclaim_due(kReclaimPerChange);
  const auto growth_of_all = [&] {
    Growth sum;
    for (const auto& [key, write] : writes) {
      const Growth growth = growth_by(key, write);
      sum.keys += growth.keys;
      sum.bytes += growth.bytes;
      sum.sets = sum.sets || growth.sets;
    }
    return sum;
  };
  const KvStatus room = make_room(growth_of_all, share, area);
  if (room != KvStatus::kDone) return {room};
  std::vector<KvChange> changes;
  changes.reserve(writes.size());
  for (auto& [key, write] : writes) {
    if (write.value) {
      changes.push_back(put(key, write));
    } else if (alive(key) != nullptr) {
      changes.push_back(remove(key));
      write.version = version_;
    }
  }
  if (changes.empty()) return {};
  tell(changes);
  return {KvStatus::kDone, version_};
}

bool KvStore::holds(const KvReads& reads, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  return still(reads);
}

KvStatus KvStore::fits(std::size_t key_bytes, std::size_t value_bytes) const {
  if (key_bytes > limits_.max_key_bytes) return KvStatus::kKeyTooLong;
  return value_bytes > limits_.max_value_bytes ? KvStatus::kValueTooLong : KvStatus::kDone;
}

Nanos KvStore::reclaim(std::size_t most, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = latest(now);
  reclaim_due(most);
  return expiry_.next_due();
}

Nanos KvStore::next_expiry() const {
  const std::lock_guard lock(mutex_);
  return expiry_.next_due();
}

void KvStore::load(const KvChange& change) {
  const std::lock_guard lock(mutex_);
  if (change.kind == KvChange::Kind::kExpired) return;
  version_ = std::max(version_, change.version);
  if (change.kind == KvChange::Kind::kSet) {
    insert(std::string(change.key), {std::string(change.value), change.value_kind},
           change.last_alive, change.version);
  } else {
    take_out(change.key);
  }
}

std::uint64_t KvStore::size() const {
  const std::lock_guard lock(mutex_);
  return tree_.usage().keys;
}

std::uint64_t KvStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return tree_.usage().bytes;
}

std::uint64_t KvStore::pinned_bytes() const {
  const std::lock_guard lock(mutex_);
  return held_->bytes - tree_.usage().bytes;
}

std::size_t KvStore::snapshots() const {
  return static_cast<std::size_t>(open_.use_count()) - 1;
}

KvVersion KvStore::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

// Threads may call in another order than they read the clock.
Nanos KvStore::latest(Nanos now) const {
  return std::max(now_, now);
}

const KvEntry* KvStore::alive(std::string_view key) const {
  const KvEntry* const entry = tree_.find(key);
  return entry != nullptr && entry->alive(now_) ? entry : nullptr;
}

KvVersion KvStore::version_of(std::string_view key) const {
  const KvEntry* const entry = alive(key);
  return entry == nullptr ? kAbsent : entry->version;
}

// If every key read in a range is unchanged, and the range has as many keys as before, no key was
// added to it.
bool KvStore::still(const KvReads& reads) const {
  for (const auto& [key, seen] : reads.keys) {
    if (version_of(key) != (seen ? seen->version : kAbsent)) return false;
  }
  return std::all_of(reads.ranges.begin(), reads.ranges.end(), [this](const auto& walked) {
    std::size_t count = 0;
    tree_.walk(walked.range.from, [&](const KvEntryRef& entry) {
      if (walked.range.ends_before(entry->key)) return false;
      count += entry->alive(now_) ? 1 : 0;
      return count <= walked.count;
    });
    return count == walked.count;
  });
}

KvStore::Growth KvStore::growth_by(std::string_view key, const KvWrite& write) const {
  Growth growth;
  const KvEntry* const former = tree_.find(key);
  // An expired entry is not deleted here: `reclaim` does it.
  if (former != nullptr && (write.value || former->alive(now_))) {
    growth.keys -= 1;
    growth.bytes -= static_cast<std::int64_t>(former->size());
  }
  if (write.value) {
    growth.sets = true;
    growth.keys += 1;
    growth.bytes += static_cast<std::int64_t>(key.size() + write.value->bytes.size());
  }
  return growth;
}

// A write that does not grow is never refused, even if more was loaded than the limits allow.
KvStatus KvStore::room_for(const Growth& growth, const KvShare* share, const KvShare* area) const {
  const auto over = [](std::uint64_t now, std::int64_t more, std::uint64_t limit) {
    return more > 0 && now + static_cast<std::uint64_t>(more) > limit;
  };
  const KvUsage all = tree_.usage();
  if (over(all.keys, growth.keys, limits_.max_keys)) return KvStatus::kKeysFull;
  if (over(all.bytes, growth.bytes, limits_.max_bytes)) return KvStatus::kBytesFull;
  const auto usage_of = [&](const KvRange& range) {
    const KvUsage from = tree_.usage_before(range.from);
    const KvUsage to = range.to ? tree_.usage_before(*range.to) : all;
    return KvUsage{.keys = to.keys - from.keys, .bytes = to.bytes - from.bytes};
  };
  if (area != nullptr) {
    const KvUsage used = usage_of(area->range);
    if (over(used.keys, growth.keys, area->max_keys)) return KvStatus::kKeysFull;
    if (over(used.bytes, growth.bytes, area->max_bytes)) return KvStatus::kBytesFull;
  }
  if (share != nullptr) {
    const KvUsage used = usage_of(share->range);
    if (over(used.keys, growth.keys, share->max_keys)) return KvStatus::kShareKeysFull;
    if (over(used.bytes, growth.bytes, share->max_bytes)) return KvStatus::kShareBytesFull;
  }
  const bool pins = growth.sets && held_->bytes - all.bytes > limits_.max_pinned_bytes;
  return pins ? KvStatus::kPinnedFull : KvStatus::kDone;
}

// Computes the growth again each time: a freed entry may be one that was to be replaced.
template <typename GrowthOf>
KvStatus KvStore::make_room(const GrowthOf& growth_of, const KvShare* share, const KvShare* area) {
  KvStatus room = room_for(growth_of(), share, area);
  while (room != KvStatus::kDone && room != KvStatus::kPinnedFull) {
    if (reclaim_due(kReclaimPerTry) == 0) break;
    room = room_for(growth_of(), share, area);
  }
  return room;
}

std::size_t KvStore::reclaim_due(std::size_t most) {
  std::size_t count = 0;
  for (; count < most; ++count) {
    const Slot slot = expiry_.pop_due(now_);
    if (slot == SlotLists::kNone) break;
    const KvEntryRef entry = timed_[slot];
    take_out(entry->key);
    const KvChange change{
        .kind = KvChange::Kind::kExpired, .version = entry->version, .key = entry->key};
    tell({&change, 1});
  }
  return count;
}

KvChange KvStore::put(std::string key, KvWrite& write) {
  const KvEntry* const former = write.ttl == kKeepEnd ? alive(key) : nullptr;
  const Nanos end = former != nullptr ? former->last_alive : kNever;
  const Nanos last_alive = write.ttl == kKeepEnd ? end : deadline_after(now_, write.ttl);
  version_ += 1;
  write.version = version_;
  return insert(std::move(key), std::move(*write.value), last_alive, version_);
}

// The views in the result are valid while the entry is in the tree.
KvChange KvStore::insert(std::string key, KvValue value, Nanos last_alive, KvVersion version) {
  const KvEntryRef entry(new KvEntry(std::move(key), std::move(value), version, last_alive,
                                     take_slot(last_alive), held_));
  if (entry->slot != SlotLists::kNone) timed_[entry->slot] = entry;
  const KvEntryRef former = tree_.put(entry);
  if (former) leave_queue(*former);
  return {.kind = KvChange::Kind::kSet,
          .version = version,
          .key = entry->key,
          .value = entry->value.bytes,
          .value_kind = entry->value.kind,
          .last_alive = last_alive};
}

KvChange KvStore::remove(std::string_view key) {
  take_out(key);
  version_ += 1;
  return {.kind = KvChange::Kind::kDeleted, .version = version_, .key = key};
}

void KvStore::take_out(std::string_view key) {
  const KvEntryRef former = tree_.take(key);
  if (former) leave_queue(*former);
}

void KvStore::leave_queue(const KvEntry& entry) {
  if (entry.slot == SlotLists::kNone) return;
  expiry_.remove(entry.slot);
  free_slots_.push_back(entry.slot);
  timed_[entry.slot] = {};
}

KvStore::Slot KvStore::take_slot(Nanos last_alive) {
  if (last_alive == kNever) return SlotLists::kNone;
  Slot slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<Slot>(timed_.size());
    timed_.emplace_back();
    expiry_.grow();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  expiry_.add(slot, deadline_after(last_alive, 1));
  return slot;
}

void KvStore::tell(std::span<const KvChange> changes) const {
  if (observer_) observer_(changes);
}

}  // namespace sluice
