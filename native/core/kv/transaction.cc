#include "core/kv/transaction.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace sluice {
namespace {

std::uint64_t size_of(std::string_view key, const KvWrite& write) {
  return key.size() + (write.value ? write.value->bytes.size() : 0);
}

}  // namespace

KvEntryRef KvTransaction::get(std::string_view key, Nanos now) {
  if (doomed_) return {};
  if (const auto own = writes_.find(key); own != writes_.end()) {
    return pending(own->first, own->second, now);
  }
  if (const auto known = reads_.keys.find(key); known != reads_.keys.end()) return known->second;
  KvEntryRef entry = store_->get(key, now);
  reads_.keys.emplace(key, entry);
  check(now);
  return doomed_ ? KvEntryRef() : entry;
}

// Merges two ordered lists, own writes and the store's entries; an own write takes precedence. The
// range that was read ends at the key at which the page was full.
KvPage KvTransaction::scan(const KvRange& range, std::size_t limit, Nanos now, KvOrder order) {
  if (doomed_) return {};
  const bool descends = order == KvOrder::kDescending;
  std::vector<const KvWrites::value_type*> own;
  for (auto at = writes_.lower_bound(range.from); at != writes_.end(); ++at) {
    if (range.ends_before(at->first)) break;
    own.push_back(&*at);
  }
  if (descends) std::reverse(own.begin(), own.end());
  KvPage page;
  KvReads::Walked walked{range};
  const auto stop_at = [&](const std::string& key) {
    if (descends) {
      walked.range.from = key;
    } else {
      walked.range.to = key + '\0';
    }
    return false;
  };
  const auto add_own = [&](const KvWrites::value_type& written) {
    const bool fits =
        !written.second.value || page.add(pending(written.first, written.second, now), limit);
    return fits || stop_at(written.first);
  };
  std::size_t next = 0;
  const auto own_comes_before = [&](const std::string& key) {
    return next < own.size() && (descends ? own[next]->first > key : own[next]->first < key);
  };
  bool room = true;
  store_->snapshot(now).walk(range, order, [&](const KvEntryRef& entry) {
    while (room && own_comes_before(entry->key)) room = add_own(*own[next++]);
    if (!room) return false;
    walked.count += 1;
    remember(entry->key, entry);
    if (next < own.size() && own[next]->first == entry->key) {
      room = add_own(*own[next++]);
    } else {
      room = page.add(entry, limit) || stop_at(entry->key);
    }
    return room;
  });
  while (room && next < own.size()) room = add_own(*own[next++]);
  reads_.ranges.push_back(std::move(walked));
  check(now);
  return doomed_ ? KvPage() : page;
}

KvStatus KvTransaction::set(std::string_view key, KvValue value, Nanos ttl) {
  const KvStatus fit = store_->fits(key.size(), value.bytes.size());
  if (fit != KvStatus::kDone) return fit;
  return put(key, {std::move(value), ttl}, store_->limits().max_bytes);
}

bool KvTransaction::touch(std::string_view key, Nanos ttl, Nanos now) {
  const KvEntryRef entry = get(key, now);
  if (!entry) return false;
  put(key, {entry->value, ttl}, std::numeric_limits<std::uint64_t>::max());
  return true;
}

void KvTransaction::erase(std::string_view key) {
  put(key, {}, std::numeric_limits<std::uint64_t>::max());
}

KvStatus KvTransaction::put(std::string_view key, KvWrite write, std::uint64_t max_bytes) {
  const auto former = writes_.find(key);
  const std::uint64_t replaced = former == writes_.end() ? 0 : size_of(key, former->second);
  const std::uint64_t bytes = written_bytes_ - replaced + size_of(key, write);
  if (bytes > max_bytes) return KvStatus::kBytesFull;
  if (write.ttl == kKeepEnd && former != writes_.end()) {
    write.ttl = former->second.value ? former->second.ttl : kNever;
  }
  written_bytes_ = bytes;
  writes_.insert_or_assign(std::string(key), std::move(write));
  return KvStatus::kDone;
}

KvResult KvTransaction::commit(Nanos now, const KvShare* share, const KvShare* area) {
  const KvReads reads = std::exchange(reads_, {});
  if (std::exchange(doomed_, true)) return {KvStatus::kConflict};
  return store_->commit(reads, writes_, now, share, area);
}

KvVersion KvTransaction::version_of(std::string_view key) const {
  const auto written = writes_.find(key);
  return written == writes_.end() ? kAbsent : written->second.version;
}

// Reads the version first, so that a concurrent change is detected by the next check.
void KvTransaction::check(Nanos now) {
  const KvVersion version = store_->version();
  if (version == checked_at_) return;
  checked_at_ = version;
  if (!store_->holds(reads_, now)) doomed_ = true;
}

void KvTransaction::remember(const std::string& key, const KvEntryRef& entry) {
  const auto [known, is_new] = reads_.keys.emplace(key, entry);
  if (is_new) return;
  if (!known->second || known->second->version != entry->version) doomed_ = true;
}

KvEntryRef KvTransaction::pending(const std::string& key, const KvWrite& write, Nanos now) const {
  if (!write.value) return {};
  Nanos end = kNever;
  if (write.ttl != kKeepEnd) {
    end = deadline_after(now, write.ttl);
  } else if (const auto known = reads_.keys.find(key); known != reads_.keys.end()) {
    if (known->second) end = known->second->last_alive;
  }
  return KvEntryRef(new KvEntry(key, *write.value, kAbsent, end, SlotLists::kNone, held_));
}

}  // namespace sluice
