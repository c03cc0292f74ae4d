#include "core/ledger/journal.h"

#include <algorithm>
#include <utility>

namespace sluice {

void LedgerJournal::observe(Observer observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

JournalEntry& LedgerJournal::append(LedgerEvent event, const LedgerBalance& balance) {
  const std::lock_guard lock(mutex_);
  event.id = entries_.size() + 1;
  event.at = last_at_ = std::max(event.at, last_at_);
  JournalEntry& entry = entries_.emplace_back(JournalEntry{std::move(event), balance, 0});
  if (observer_) observer_(entry.event);
  return entry;
}

JournalEntry* LedgerJournal::find(LedgerId id) {
  const std::lock_guard lock(mutex_);
  return id == 0 || id > entries_.size() ? nullptr : &entries_[id - 1];
}

std::vector<LedgerEvent> LedgerJournal::after(LedgerId after, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<LedgerEvent> events;
  if (after >= entries_.size()) return events;
  events.reserve(std::min<std::size_t>(limit, entries_.size() - after));
  for (std::size_t i = after; i < entries_.size() && events.size() < limit; ++i) {
    events.push_back(entries_[i].event);
  }
  return events;
}

std::vector<LedgerEvent> LedgerJournal::copy(const std::vector<LedgerId>& ids) const {
  const std::lock_guard lock(mutex_);
  std::vector<LedgerEvent> events;
  events.reserve(ids.size());
  for (const LedgerId id : ids) events.push_back(entries_[id - 1].event);
  return events;
}

LedgerId LedgerJournal::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

Nanos LedgerJournal::last_at() const {
  const std::lock_guard lock(mutex_);
  return last_at_;
}

LedgerId LedgerKeys::Use::answer() const {
  const auto found = stripe_.answers.find(key_);
  return found == stripe_.answers.end() ? 0 : found->second;
}

void LedgerKeys::Use::answer_with(std::string_view key, LedgerId event) {
  stripe_.answers.emplace(key, event);
}

LedgerKeys::Use LedgerKeys::use(std::string_view key) {
  return {stripes_[Use::Hash()(key) % stripes_.size()], key};
}

}  // namespace sluice
