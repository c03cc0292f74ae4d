// The binding of the JavaScript class `LruTtlTable`.
#pragma once

#include <napi.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "addon/napi/method.h"
#include "core/cache/lru_ttl_table.h"

namespace sluice {

/// The JavaScript class `LruTtlTable`, private to lib/primitives/cache/lru-ttl-table.js.
///
///   new LruTtlTable(maxEntries, maxBytes, memory)   memory: a Uint32Array of WORDS, see below
///   store()                 inserts or updates an entry; arguments and result in `memory`
///   readClock()             writes the monotonic time since the creation of the table there
///   erase(slot)             drops an entry
///   expire(slot, nowMs)     whether it had expired, and was dropped
///   purge(nowMs), clear()
///   takeRemoved()           how many removed entries it wrote to `memory`; 0: no more
///   note(logged)            applies the log of `logged` lookups
///   order()                 the slots, the most recent entry first
///   counts()                [hits, misses, joins, evictions, expirations]
///   size(), bytes()
///
/// Unwrapping an object and reading a few arguments costs many times a bare call. The functions
/// that every `set` calls are therefore bound to their table and read their arguments from shared
/// memory. A lookup that changes only recency and counts makes no call at all: it is logged in
/// that memory, and the log is applied before any call that depends on it, or when it is full.
/// `LruTtlTable.layout` has the places in that memory, and the marks, by name:
///
///   SIZE, TTL_MS, KEEP_MS, NOW_MS   arguments of `store`; `readClock` writes NOW_MS. An entry is
///                       held for KEEP_MS after its time to live
///   FRESH_MS, LAST_MS   its result: the last millisecond of the time to live, and the last one at
///                       which the entry is held. LAST_MS is TOO_LARGE if it was not stored
///   SLOT                the slot to update, NO_SLOT to insert; then the slot of the entry
///   LOGGED              lookups in the log, applied first
///   REMOVED             how many removed entries follow; REMOVED_MAX: there may be more
///   REMOVED_AT          slot and reason, EVICTED or EXPIRED, of each of them
///   LOG_AT              the log: a slot a lookup, NO_SLOT for a miss, JOIN for a join
///
/// JavaScript's thread only; ends with garbage collection. The owner must keep a reference to the
/// object: the bound functions do not keep it alive.
class LruTtlTableWrap final : public Napi::ObjectWrap<LruTtlTableWrap>,
                              private DirectMethods<LruTtlTableWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LruTtlTableWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] LruTtlTable& target() { return table_; }

 private:
  using Bound = void (LruTtlTableWrap::*)();
  template <Bound kMethod>
  static napi_value call_bound(napi_env env, napi_callback_info info);
  template <Bound kMethod>
  void bind(const Napi::CallbackInfo& info, const char* name);

  void erase(std::uint32_t slot) { table_.erase(id_at(slot)); }
  bool expire(std::uint32_t slot, Nanos now) { return table_.expire(id_at(slot), now); }
  void purge(Nanos now) { table_.purge(now, removed_); }
  [[nodiscard]] std::vector<std::uint32_t> order() const;
  [[nodiscard]] std::array<std::uint64_t, 5> counts() const;

  void store();
  void read_clock();
  void note_log(std::size_t logged);
  std::uint32_t hand_out_removed();
  [[nodiscard]] EntryId id_at(std::uint32_t slot) const;
  [[nodiscard]] double number_at(std::size_t word) const;
  void put_number(std::size_t word, double number);

  LruTtlTable table_;
  const std::chrono::steady_clock::time_point made_ = std::chrono::steady_clock::now();
  std::vector<EntryId> ids_;      // of the entry last put in each slot
  std::vector<EntryId> lookups_;  // the log while it is taken in
  LruTtlTable::Removed removed_;  // the last ones first: they are handed out from the end
  std::span<std::uint32_t> words_;
  Napi::Reference<Napi::Value> words_owner_;
};

}  // namespace sluice
