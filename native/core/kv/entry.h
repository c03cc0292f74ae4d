// The entries of a key-value store: one key at one version.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "core/base/ref_counted.h"
#include "core/base/time.h"
#include "core/containers/slot_list.h"

namespace sluice {

/// The version of a key. Each change has a new one; versions of one store never repeat.
using KvVersion = std::uint64_t;

/// The version of an absent key.
inline constexpr KvVersion kAbsent = 0;

struct KvValue {
  std::string bytes;
  std::uint8_t kind = 0;  ///< the type of the bytes, defined by the caller

  friend bool operator==(const KvValue&, const KvValue&) = default;
};

/// The bytes of all entries of one store that are still referenced.
struct KvHeld : Counted {
  std::atomic<std::uint64_t> bytes{0};
};

/// A key and its value at one version. Immutable; shared by the store and the readers of that
/// version (snapshots, transactions, pages). Any thread. The last reference frees it.
struct KvEntry : Counted {
  KvEntry(std::string of, KvValue with, KvVersion at, Nanos until, SlotLists::Slot in_queue,
          Ref<KvHeld> counted)
      : key(std::move(of)),
        value(std::move(with)),
        version(at),
        last_alive(until),
        slot(in_queue),
        held(std::move(counted)) {
    held->bytes += size();
  }
  KvEntry(const KvEntry&) = delete;
  KvEntry& operator=(const KvEntry&) = delete;
  ~KvEntry() { held->bytes -= size(); }

  /// The bytes that count against the store's limits.
  [[nodiscard]] std::uint64_t size() const { return key.size() + value.bytes.size(); }
  [[nodiscard]] bool alive(Nanos now) const { return now <= last_alive; }

  const std::string key;
  const KvValue value;
  const KvVersion version;
  const Nanos last_alive;      ///< the last time at which it is visible; kNever: for ever
  const SlotLists::Slot slot;  ///< in the store's expiry queue; kNone: no expiry
  const Ref<KvHeld> held;
};

using KvEntryRef = Ref<const KvEntry>;

}  // namespace sluice
