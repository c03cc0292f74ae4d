#include "core/kv/snapshot.h"

#include <algorithm>

namespace sluice {
namespace {

// The first string behind all that begin with `prefix`; nothing when there is none.
std::optional<std::string> end_of_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace

KvRange kv_range(std::string_view prefix, const std::optional<std::string>& start,
                 const std::optional<std::string>& end, const std::optional<std::string>& after) {
  KvRange range{std::string(prefix), end_of_prefix(prefix)};
  if (start) range.from = std::max(range.from, *start);
  // No string lies between a key and the key with a zero byte behind it.
  if (after) range.from = std::max(range.from, *after + '\0');
  if (end && (!range.to || *end < *range.to)) range.to = end;
  return range;
}

KvEntryRef KvSnapshot::get(std::string_view key) const {
  const KvEntry* const entry = tree_.find(key);
  return entry != nullptr && entry->alive(taken_at_) ? KvEntryRef(entry) : KvEntryRef();
}

KvPage KvSnapshot::scan(const KvRange& range, std::size_t limit) const {
  KvPage page;
  walk(range, [&](const KvEntryRef& entry) { return page.add(entry, limit); });
  return page;
}

}  // namespace sluice
