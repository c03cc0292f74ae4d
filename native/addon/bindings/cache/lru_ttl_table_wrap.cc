#include "addon/bindings/cache/lru_ttl_table_wrap.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "addon/napi/named_numbers.h"
#include "addon/napi/reactor_wrap.h"

namespace sluice {
namespace {

// The layout of the shared memory, in words of 32 bits.
constexpr std::size_t kSizeAt = 0;
constexpr std::size_t kTtlMsAt = 2;
constexpr std::size_t kKeepMsAt = 4;
constexpr std::size_t kNowMsAt = 6;
constexpr std::size_t kFreshMsAt = 8;
constexpr std::size_t kLastMsAt = 10;
constexpr std::size_t kSlotAt = 12;
constexpr std::size_t kLoggedAt = 13;
constexpr std::size_t kRemovedCountAt = 14;
constexpr std::size_t kRemovedAt = 15;
constexpr std::size_t kRemovedMax = 32;
constexpr std::size_t kLogAt = kRemovedAt + 2 * kRemovedMax;
constexpr std::size_t kLookupsMax = 1024;
// An even number, so that the memory can be read as doubles.
constexpr std::size_t kWords = (kLogAt + kLookupsMax + 1) / 2 * 2;

constexpr std::uint32_t kNoSlot = 0xffff'ffff;
constexpr std::uint32_t kJoinedMark = kNoSlot - 1;
constexpr double kTooLarge = -1;

// Places of doubles are counted in doubles, the others in words.
Napi::Object layout(Napi::Env env) {
  const auto number = [](std::size_t value) { return static_cast<double>(value); };
  return named_numbers(env, {{"WORDS", number(kWords)},
                             {"SIZE", number(kSizeAt / 2)},
                             {"TTL_MS", number(kTtlMsAt / 2)},
                             {"KEEP_MS", number(kKeepMsAt / 2)},
                             {"NOW_MS", number(kNowMsAt / 2)},
                             {"FRESH_MS", number(kFreshMsAt / 2)},
                             {"LAST_MS", number(kLastMsAt / 2)},
                             {"SLOT", number(kSlotAt)},
                             {"LOGGED", number(kLoggedAt)},
                             {"REMOVED", number(kRemovedCountAt)},
                             {"REMOVED_AT", number(kRemovedAt)},
                             {"REMOVED_MAX", number(kRemovedMax)},
                             {"LOG_AT", number(kLogAt)},
                             {"LOOKUPS_MAX", number(kLookupsMax)},
                             {"NO_SLOT", number(kNoSlot)},
                             {"JOIN", number(kJoinedMark)},
                             {"TOO_LARGE", kTooLarge},
                             {"EVICTED", number_of(RemovalReason::kEvicted)},
                             {"EXPIRED", number_of(RemovalReason::kExpired)}});
}

}  // namespace

Napi::Function LruTtlTableWrap::define(Napi::Env env) {
  return DefineClass(env, "LruTtlTable",
                     {
                         StaticValue("layout", layout(env)),
                         method<&LruTtlTableWrap::erase>("erase"),
                         method<&LruTtlTableWrap::expire>("expire"),
                         method<&LruTtlTableWrap::purge>("purge"),
                         method<&LruTtlTable::clear>("clear"),
                         method<&LruTtlTableWrap::hand_out_removed>("takeRemoved"),
                         method<&LruTtlTableWrap::note_log>("note"),
                         method<&LruTtlTableWrap::order>("order"),
                         method<&LruTtlTableWrap::counts>("counts"),
                         method<&LruTtlTable::size>("size"),
                         method<&LruTtlTable::bytes>("bytes"),
                     });
}

LruTtlTableWrap::LruTtlTableWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      table_({.max_entries = static_cast<std::size_t>(count_from(info.Env(), info[0])),
              .max_bytes = count_from(info.Env(), info[1])}),
      words_(span_from<std::uint32_t>(info.Env(), info[2], napi_uint32_array)) {
  napi_ref owner = nullptr;
  if (words_.size() < kWords || napi_create_reference(info.Env(), info[2], 1, &owner) != napi_ok) {
    words_ = {};
    return;
  }
  words_owner_ = Napi::Reference<Napi::Value>(info.Env(), owner);
  bind<&LruTtlTableWrap::store>(info, "store");
  bind<&LruTtlTableWrap::read_clock>(info, "readClock");
}

template <LruTtlTableWrap::Bound kMethod>
napi_value LruTtlTableWrap::call_bound(napi_env env, napi_callback_info info) {
  void* self = nullptr;
  std::size_t arguments = 0;
  if (napi_get_cb_info(env, info, &arguments, nullptr, nullptr, &self) == napi_ok) {
    (static_cast<LruTtlTableWrap*>(self)->*kMethod)();
  }
  return nullptr;
}

// There are words, and the table lives, wherever there is a bound function to be called.
template <LruTtlTableWrap::Bound kMethod>
void LruTtlTableWrap::bind(const Napi::CallbackInfo& info, const char* name) {
  napi_value function = nullptr;
  if (napi_create_function(info.Env(), name, NAPI_AUTO_LENGTH, &call_bound<kMethod>, this,
                           &function) == napi_ok) {
    napi_set_named_property(info.Env(), info.This(), name, function);
  }
}

void LruTtlTableWrap::read_clock() {
  put_number(
      kNowMsAt,
      ms_from_nanos(std::chrono::nanoseconds(std::chrono::steady_clock::now() - made_).count()));
}

void LruTtlTableWrap::store() {
  note_log(words_[kLoggedAt]);
  const auto size = static_cast<std::uint64_t>(number_at(kSizeAt));
  const Nanos ttl = nanos_from_ms(number_at(kTtlMsAt));
  const Nanos kept_for = deadline_after(ttl, nanos_from_ms(number_at(kKeepMsAt)));
  const Nanos now = nanos_from_ms(number_at(kNowMsAt));
  const std::uint32_t slot = words_[kSlotAt];
  const StoredEntry stored = slot == kNoSlot
                                 ? table_.insert(size, kept_for, now, removed_)
                                 : table_.update(id_at(slot), size, kept_for, now, removed_);
  double last_alive_ms = kTooLarge;
  if (stored.id != kNoEntry) {
    last_alive_ms = ms_from_nanos(stored.last_alive);
    put_number(kFreshMsAt, ms_from_nanos(deadline_after(stored.stored_at, ttl)));
    words_[kSlotAt] = stored.id.slot;
    if (stored.id.slot >= ids_.size()) ids_.resize(stored.id.slot + 1);
    ids_[stored.id.slot] = stored.id;
  }
  put_number(kLastMsAt, last_alive_ms);
  std::reverse(removed_.begin(), removed_.end());
  hand_out_removed();
}

void LruTtlTableWrap::note_log(std::size_t logged) {
  if (logged == 0 || words_.empty()) return;
  const auto log = words_.subspan(kLogAt);
  lookups_.clear();
  for (const std::uint32_t mark : log.first(std::min(logged, kLookupsMax))) {
    lookups_.push_back(mark == kNoSlot ? kNoEntry : mark == kJoinedMark ? kJoined : id_at(mark));
  }
  table_.note(lookups_);
}

std::uint32_t LruTtlTableWrap::hand_out_removed() {
  if (words_.empty()) return 0;
  std::uint32_t count = 0;
  for (; count < kRemovedMax && !removed_.empty(); ++count) {
    words_[kRemovedAt + 2 * count] = removed_.back().id.slot;
    words_[kRemovedAt + 2 * count + 1] = static_cast<std::uint32_t>(removed_.back().reason);
    removed_.pop_back();
  }
  words_[kRemovedCountAt] = count;
  return count;
}

EntryId LruTtlTableWrap::id_at(std::uint32_t slot) const {
  return slot < ids_.size() ? ids_[slot] : kNoEntry;
}

double LruTtlTableWrap::number_at(std::size_t word) const {
  double number = 0;
  std::memcpy(&number, &words_[word], sizeof number);
  return number;
}

void LruTtlTableWrap::put_number(std::size_t word, double number) {
  std::memcpy(&words_[word], &number, sizeof number);
}

std::vector<std::uint32_t> LruTtlTableWrap::order() const {
  std::vector<std::uint32_t> slots;
  for (const EntryId id : table_.by_recency()) slots.push_back(id.slot);
  return slots;
}

std::array<std::uint64_t, 5> LruTtlTableWrap::counts() const {
  const CacheCounts counts = table_.counts();
  return {counts.hits, counts.misses, counts.joins, counts.evictions, counts.expirations};
}

}  // namespace sluice
