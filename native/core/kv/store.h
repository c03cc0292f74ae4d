// An ordered in-memory key-value store: versions, expiry, snapshots, atomic commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/containers/radix_expiry_queue.h"
#include "core/kv/entry.h"
#include "core/kv/persistent_tree.h"
#include "core/kv/snapshot.h"

namespace sluice {

struct KvLimits {
  std::size_t max_keys = 1'000'000;
  std::size_t max_key_bytes = 1024;
  std::size_t max_value_bytes = 1 << 20;
  std::uint64_t max_bytes = 256 << 20;         ///< of the keys and values in the store
  std::uint64_t max_pinned_bytes = 256 << 20;  ///< of removed ones that are still referenced
};

/// A range of keys with limits of its own, in addition to the store's.
struct KvShare {
  KvRange range;
  std::uint64_t max_keys = 0;
  std::uint64_t max_bytes = 0;
};

/// As an expected version: any version, or none.
inline constexpr KvVersion kAnyVersion = ~KvVersion{0};

enum class KvStatus : std::uint8_t {
  kDone,
  kConflict,        ///< the key has another version than expected
  kKeyTooLong,      ///< longer than max_key_bytes
  kValueTooLong,    ///< longer than max_value_bytes
  kKeysFull,        ///< there would be more than max_keys
  kBytesFull,       ///< there would be more than max_bytes
  kPinnedFull,      ///< more than max_pinned_bytes are still referenced
  kShareKeysFull,   ///< as kKeysFull, of the share
  kShareBytesFull,  ///< as kBytesFull, of the share
};

struct KvResult {
  KvStatus status = KvStatus::kDone;
  /// The version of the change, the last one of a commit; kAbsent when nothing changed. On a
  /// conflict: the version of the key.
  KvVersion version = kAbsent;
};

/// As a time to live: keeps the expiry of the key; kNever for an absent key.
inline constexpr Nanos kKeepEnd = -1;

/// One write of a commit: sets a value that lives for `ttl` (kNever: for ever; or kKeepEnd), or,
/// without a value, deletes the key.
struct KvWrite {
  std::optional<KvValue> value;
  Nanos ttl = kNever;
  KvVersion version = kAbsent;  ///< set by the commit, if the write changed anything
};

using KvWrites = std::map<std::string, KvWrite, std::less<>>;

/// The reads of a transaction, absent keys included.
struct KvReads {
  struct Walked {
    KvRange range;
    std::size_t count = 0;  ///< entries read; each is also in `keys`
  };

  std::map<std::string, KvEntryRef, std::less<>> keys;  ///< nullptr: the key was absent
  std::vector<Walked> ranges;
};

/// One change, for observers. The views are valid during the call.
struct KvChange {
  enum class Kind : std::uint8_t {
    kSet,
    kDeleted,
    kExpired,  ///< the entry of `version` was reclaimed; the visible state is unchanged
  };

  Kind kind = Kind::kSet;
  KvVersion version = kAbsent;
  std::string_view key;
  std::string_view value{};     ///< of kSet
  std::uint8_t value_kind = 0;  ///< of kSet
  Nanos last_alive = kNever;    ///< of kSet
};

/// An ordered key-value store in memory.
///
/// Every change takes the next number of the store's counter as its version, so no version repeats,
/// even when a value returns or a key is deleted and set again. An entry is visible while `now` is
/// at most its end, and invisible afterwards, whether or not its memory has been reclaimed. Memory
/// is reclaimed in the order of expiry: a few entries with each change, the rest by `reclaim`,
/// which the owner calls at `next_expiry`. Reads are not needed for it.
///
/// Any thread: each call is one step under a mutex. `now` is Unix time, or another clock common to
/// all calls; a `now` that goes back counts as the latest so far. Snapshots and entries that others
/// reference outlive the store.
class KvStore {
 public:
  using Observer = std::function<void(std::span<const KvChange>)>;

  explicit KvStore(const KvLimits& limits) : limits_(limits) {}

  /// Sets a key if it has the `expected` version (kAbsent: if it is absent). With kNever the new
  /// entry does not expire, even if the old one did. A failed call changes nothing.
  KvResult set(std::string key, KvValue value, Nanos ttl, KvVersion expected, Nanos now);

  /// Changes the time to live of a key, under the same condition. The value stays, but the version
  /// changes. kDone with version kAbsent: the key is absent.
  KvResult touch(std::string_view key, Nanos ttl, KvVersion expected, Nanos now);

  /// Deletes a key under the same condition. kDone with version kAbsent: it was absent.
  KvResult erase(std::string_view key, KvVersion expected, Nanos now);

  /// The entry of a key; nothing when it is absent or expired.
  KvEntryRef get(std::string_view key, Nanos now);

  /// As KvSnapshot::scan, of the current state. A key that is present during a scan of several
  /// pages appears exactly once: pages follow the order of keys.
  KvPage scan(const KvRange& range, std::size_t limit, Nanos now,
              KvOrder order = KvOrder::kAscending);

  /// A snapshot of the current state, in constant time. See KvTree for the cost of writes while
  /// snapshots exist.
  KvSnapshot snapshot(Nanos now);

  /// Applies all `writes`, in the order of keys, or none. kConflict if a read is outdated: a key
  /// was changed, added, deleted, or has expired since. Moves the values out of `writes`, and
  /// stores the versions there. With a `share`, all written keys lie in it; the share lies in the
  /// `area`, if there is one, whose limits are reported like the store's.
  KvResult commit(const KvReads& reads, KvWrites& writes, Nanos now, const KvShare* share = nullptr,
                  const KvShare* area = nullptr);

  /// Whether all reads are still current.
  bool holds(const KvReads& reads, Nanos now);

  /// kDone, kKeyTooLong or kValueTooLong.
  [[nodiscard]] KvStatus fits(std::size_t key_bytes, std::size_t value_bytes) const;
  [[nodiscard]] const KvLimits& limits() const { return limits_; }

  /// Frees up to `most` expired entries. Returns `next_expiry()`.
  Nanos reclaim(std::size_t most, Nanos now);

  /// When to call `reclaim` next: never too late, and too early at most about 60 times per entry.
  /// kNever: nothing expires.
  [[nodiscard]] Nanos next_expiry() const;

  /// Sets the function that is called with every change, in the order of versions and once per
  /// commit, under the store's lock: it must be brief and must not call the store. Set it before
  /// other threads use the store.
  void observe(Observer observer) { observer_ = std::move(observer); }

  /// Loads a change that another store's observer received. The last change of each key suffices.
  /// The next version follows the highest one loaded, so the last change of that store must be
  /// among them, even if it is a deletion. Limits do not apply, and the observer is not called.
  /// kExpired changes nothing.
  void load(const KvChange& change);

  /// The number of entries, including expired ones not reclaimed yet; the bytes of their keys and
  /// values; the bytes of removed entries still referenced; the snapshots; and the last version.
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::uint64_t pinned_bytes() const;
  [[nodiscard]] std::uint64_t held_bytes() const { return held_->bytes; }  ///< both of these
  [[nodiscard]] std::size_t snapshots() const;
  [[nodiscard]] KvVersion version() const;

 private:
  using Slot = SlotLists::Slot;

  /// The growth by a commit, which may be negative.
  struct Growth {
    std::int64_t keys = 0;
    std::int64_t bytes = 0;
    bool sets = false;  ///< whether it sets anything
  };

  [[nodiscard]] Nanos latest(Nanos now) const;
  [[nodiscard]] const KvEntry* alive(std::string_view key) const;
  [[nodiscard]] KvVersion version_of(std::string_view key) const;
  [[nodiscard]] bool still(const KvReads& reads) const;
  [[nodiscard]] Growth growth_by(std::string_view key, const KvWrite& write) const;
  [[nodiscard]] KvStatus room_for(const Growth& growth, const KvShare* share,
                                  const KvShare* area) const;
  template <typename GrowthOf>
  KvStatus make_room(const GrowthOf& growth_of, const KvShare* share, const KvShare* area);
  std::size_t reclaim_due(std::size_t most);
  KvChange put(std::string key, KvWrite& write);
  KvChange insert(std::string key, KvValue value, Nanos last_alive, KvVersion version);
  KvChange remove(std::string_view key);
  void take_out(std::string_view key);
  void leave_queue(const KvEntry& entry);
  Slot take_slot(Nanos last_alive);
  void tell(std::span<const KvChange> changes) const;

  mutable std::mutex mutex_;
  const KvLimits limits_;
  const Ref<KvHeld> held_{new KvHeld};
  const std::shared_ptr<int> open_ = std::make_shared<int>(0);  ///< each snapshot has a reference
  KvTree tree_;
  ExpiryQueue expiry_;
  std::vector<KvEntryRef> timed_;  ///< by slot
  std::vector<Slot> free_slots_;
  KvVersion version_ = kAbsent;
  Nanos now_ = 0;  ///< the latest time so far
  Observer observer_;
};

}  // namespace sluice
