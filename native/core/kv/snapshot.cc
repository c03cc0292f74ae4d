#include "core/kv/snapshot.h"

#include <algorithm>

namespace sluice {
namespace {

// The smallest string greater than all that begin with `prefix`; nothing when there is none.
std::optional<std::string> end_of_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace

KvRange kv_range(std::string_view prefix, const std::optional<std::string>& start,
                 const std::optional<std::string>& end, const std::optional<std::string>& after,
                 KvOrder order) {
  KvRange range{std::string(prefix), end_of_prefix(prefix)};
  const auto end_at = [&range](const std::string& key) {
    if (!range.to || key < *range.to) range.to = key;
  };
  if (start) range.from = std::max(range.from, *start);
  if (end) end_at(*end);
  if (after && order == KvOrder::kDescending) end_at(*after);
  // No string lies between a key and the key followed by a zero byte.
  if (after && order == KvOrder::kAscending) range.from = std::max(range.from, *after + '\0');
  return range;
}

KvEntryRef KvSnapshot::get(std::string_view key) const {
  const KvEntry* const entry = tree_.find(key);
  return entry != nullptr && entry->alive(taken_at_) ? KvEntryRef(entry) : KvEntryRef();
}

KvPage KvSnapshot::scan(const KvRange& range, std::size_t limit, KvOrder order) const {
  KvPage page;
  walk(range, order, [&](const KvEntryRef& entry) { return page.add(entry, limit); });
  return page;
}

}  // namespace sluice
