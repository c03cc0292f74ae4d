// An ordered key-value store in memory: versions, times to live, snapshots, atomic commits.
//
// Every change takes the next number of the store's one counter as its version, so none repeats:
// neither when a value returns, nor when a key is deleted and made again. An entry is there while
// `now` is at most its end; later it is invisible, whether its memory has been reclaimed or not.
// Memory is reclaimed by due time, a few entries with each change, the rest by `reclaim`, which the
// owner calls when `next_expiry` comes; nothing needs to be read for it.
//
// Any thread: each call is one step under a mutex. `now` is Unix time or any other that goes on
// alike for all calls; one that goes back counts as the latest so far. Ends with its owner;
// snapshots and entries that others hold stay.
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
  std::uint64_t max_bytes = 256 << 20;         ///< keys and values that are in the store
  std::uint64_t max_pinned_bytes = 256 << 20;  ///< replaced ones that snapshots still show
};

/// A range of keys with limits of its own, beside the store's.
struct KvShare {
  KvRange range;
  std::uint64_t max_keys = 0;
  std::uint64_t max_bytes = 0;
};

/// "Whatever the key's version is", where a call takes an expected one.
inline constexpr KvVersion kAnyVersion = ~KvVersion{0};

enum class KvStatus : std::uint8_t {
  kDone,
  kConflict,        ///< the key has another version than expected
  kKeyTooLong,      ///< longer than max_key_bytes
  kValueTooLong,    ///< longer than max_value_bytes
  kKeysFull,        ///< there would be more than max_keys
  kBytesFull,       ///< there would be more than max_bytes
  kPinnedFull,      ///< more than max_pinned_bytes are held by others
  kShareKeysFull,   ///< as kKeysFull, of the share
  kShareBytesFull,  ///< as kBytesFull, of the share
};

struct KvResult {
  KvStatus status = KvStatus::kDone;
  /// Of the change: of a commit with several the last one's; kAbsent when nothing changed. On a
  /// conflict: what the key has.
  KvVersion version = kAbsent;
};

/// In place of a time to live: the end that the key has stays; kNever where the key is not there.
inline constexpr Nanos kKeepEnd = -1;

/// What a change does: a value that lives for `ttl` (kNever: for ever; kKeepEnd), or none: the key
/// goes.
struct KvWrite {
  std::optional<KvValue> value;
  Nanos ttl = kNever;
  KvVersion version = kAbsent;  ///< of the change, once it is done and was one
};

using KvWrites = std::map<std::string, KvWrite, std::less<>>;

/// All that a transaction has seen of the store, absent keys included.
struct KvReads {
  struct Walked {
    KvRange range;
    std::size_t count = 0;  ///< entries seen; each is among `keys`, too
  };

  std::map<std::string, KvEntryRef, std::less<>> keys;  ///< nothing: the key was not there
  std::vector<Walked> ranges;
};

/// One change, for observers. The views are valid during the call.
struct KvChange {
  enum class Kind : std::uint8_t {
    kSet,
    kDeleted,
    kExpired,  ///< reclaimed: the key as of `version` is of no use any more. No change of state
  };

  Kind kind = Kind::kSet;
  KvVersion version = kAbsent;
  std::string_view key;
  std::string_view value{};     ///< of kSet
  std::uint8_t value_kind = 0;  ///< of kSet
  Nanos last_alive = kNever;    ///< of kSet
};

class KvStore {
 public:
  using Observer = std::function<void(std::span<const KvChange>)>;

  explicit KvStore(const KvLimits& limits) : limits_(limits) {}

  /// Sets a key if it has the `expected` version (kAbsent: if it is not there). With kNever the new
  /// entry has no end, whatever the former one had. What fails touches nothing.
  KvResult set(std::string key, KvValue value, Nanos ttl, KvVersion expected, Nanos now);

  /// Gives a key that is there another time to live, under the same condition. Its value stays; it
  /// is a change all the same. Done with version kAbsent: the key is not there.
  KvResult touch(std::string_view key, Nanos ttl, KvVersion expected, Nanos now);

  /// Deletes a key under the same condition. Done with version kAbsent: it was not there.
  KvResult erase(std::string_view key, KvVersion expected, Nanos now);

  /// The entry of a key that is there; nothing otherwise.
  KvEntryRef get(std::string_view key, Nanos now);

  /// As KvSnapshot::scan, of this moment. A key that is there during a whole scan, page after page,
  /// is in it once: pages go by the order of keys, which never changes.
  KvPage scan(const KvRange& range, std::size_t limit, Nanos now,
              KvOrder order = KvOrder::kAscending);

  /// The store as it is now. Costs as much as nothing; see core/kv_tree.h for what writes cost
  /// while there are snapshots.
  KvSnapshot snapshot(Nanos now);

  /// Does all `writes`, in the order of keys, or none: if what was read is no longer so (a key
  /// changed, came, went or expired; one that was not there because it had expired is still that).
  /// Takes the values out of `writes`, and leaves the versions there. With a `share`, all that is
  /// written lies in it, and it in the `area`, if there is one, which is full as the store is.
  KvResult commit(const KvReads& reads, KvWrites& writes, Nanos now, const KvShare* share = nullptr,
                  const KvShare* area = nullptr);

  /// Whether all that was read is still so.
  bool holds(const KvReads& reads, Nanos now);

  /// kDone, kKeyTooLong or kValueTooLong.
  [[nodiscard]] KvStatus fits(std::size_t key_bytes, std::size_t value_bytes) const;
  [[nodiscard]] const KvLimits& limits() const { return limits_; }

  /// Frees up to `most` expired entries. Returns `next_expiry()`.
  Nanos reclaim(std::size_t most, Nanos now);

  /// When `reclaim` has something to do: never too late, and at most some 60 times an entry too
  /// early. kNever: nothing expires.
  [[nodiscard]] Nanos next_expiry() const;

  /// Sets the function that is called with every change, in the order of versions and once per
  /// commit, under the store's lock: it must be brief and must not call the store. To be set before
  /// the store is shared.
  void observe(Observer observer) { observer_ = std::move(observer); }

  /// Takes in a change that another store's observer was told. Of the changes of one key the last
  /// one is enough; versions go on behind the highest one given, so that of a store whose last
  /// change deleted something needs it. Limits do not count, and the observer is not told. kExpired
  /// changes nothing.
  void load(const KvChange& change);

  /// Entries, expired ones that are not reclaimed yet included; and the bytes of their keys and
  /// values. Then the bytes that only snapshots still show, the snapshots, and the last version.
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::uint64_t pinned_bytes() const;
  [[nodiscard]] std::uint64_t held_bytes() const { return held_->bytes; }  ///< both of these
  [[nodiscard]] std::size_t snapshots() const;
  [[nodiscard]] KvVersion version() const;

 private:
  using Slot = SlotLists::Slot;

  /// What a commit adds, which may be negative.
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
  const std::shared_ptr<int> open_ = std::make_shared<int>(0);  ///< each snapshot is an owner
  KvTree tree_;
  ExpiryQueue expiry_;
  std::vector<KvEntryRef> timed_;  ///< by slot
  std::vector<Slot> free_slots_;
  KvVersion version_ = kAbsent;
  Nanos now_ = 0;  ///< the latest time so far
  Observer observer_;
};

}  // namespace sluice
