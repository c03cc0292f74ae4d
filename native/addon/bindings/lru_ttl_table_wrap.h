// The JavaScript class `LruTtlTable`, private to lib/primitives/cache/lru-ttl-table.js.
//
//   new LruTtlTable(maxEntries, maxBytes, memory)   memory: a Uint32Array of WORDS, see below
//   store()                 inserts or updates an entry; asks and answers in `memory`
//   readClock()             puts the monotonic clock's time, since the table was made, there
//   erase(slot)             drops an entry
//   expire(slot, nowMs)     whether it had expired, and was dropped
//   purge(nowMs), clear()
//   takeRemoved()           how many of the removed are in `memory` now; 0: that was all
//   note(logged)            takes in the log, of so many lookups
//   order()                 the slots, the most recent entry first
//   counts()                [hits, misses, joins, evictions, expirations]
//   size(), bytes()
//
// Finding a wrapped object and reading a few arguments costs many times what a bare call costs. So
// what every `set` calls are functions bound to their table, which find their arguments in memory
// that both sides see; and a lookup that changes nothing but recency and counts does not cross at
// all: it is logged there, and the log is handed in with whatever depends on it, or when it is
// full. `LruTtlTable.layout` has the places in that memory, and the marks, by name:
//
//   SIZE, TTL_MS, KEEP_MS, NOW_MS   arguments of `store`; `readClock` writes NOW_MS. An entry is
//                       held for KEEP_MS after its time to live
//   FRESH_MS, LAST_MS   its answer: the last millisecond of the time to live, and the last one at
//                       which the entry is held. LAST_MS is TOO_LARGE where it was not stored
//   SLOT                the slot to update, NO_SLOT to insert; and the slot in which the entry is
//   LOGGED              lookups in the log, taken in first
//   REMOVED             how many of the removed follow; REMOVED_MAX: there may be more to take
//   REMOVED_AT          slot and reason, EVICTED or EXPIRED, of each of them
//   LOG_AT              the log: a slot a lookup, NO_SLOT for a miss, JOIN for a join
//
// JavaScript's thread only; ends with garbage collection, until which its maker holds on to the
// object, not to bound functions alone.
#pragma once

#include <napi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cache/lru_ttl_table.h"

namespace sluice {

class LruTtlTableWrap final : public Napi::ObjectWrap<LruTtlTableWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LruTtlTableWrap(const Napi::CallbackInfo& info);

 private:
  using Bound = void (LruTtlTableWrap::*)();
  template <Bound kMethod>
  static napi_value call_bound(napi_env env, napi_callback_info info);
  template <Bound kMethod>
  void bind(const Napi::CallbackInfo& info, const char* name);

  void erase(const Napi::CallbackInfo& info);
  Napi::Value expire(const Napi::CallbackInfo& info);
  void purge(const Napi::CallbackInfo& info);
  void clear(const Napi::CallbackInfo& info);
  Napi::Value take_removed(const Napi::CallbackInfo& info);
  void note(const Napi::CallbackInfo& info);
  Napi::Value order(const Napi::CallbackInfo& info);
  Napi::Value counts(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);

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
