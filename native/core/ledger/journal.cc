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
  JournalEntry& entry = add(std::move(event), balance);
  const LedgerEvent* const added = &entry.event;
  if (observer_) observer_({&added, 1});
  return entry;
}

std::vector<JournalEntry*> LedgerJournal::append_linked(
    std::vector<LedgerEvent> events, const std::vector<LedgerBalance>& balances) {
  const std::lock_guard lock(mutex_);
  std::vector<JournalEntry*> entries;
  std::vector<const LedgerEvent*> added;
  for (std::size_t i = 0; i < events.size(); ++i) {
    entries.push_back(&add(std::move(events[i]), balances[i]));
    added.push_back(&entries.back()->event);
  }
  if (observer_) observer_(added);
  return entries;
}

std::vector<LedgerId> LedgerJournal::of(std::string_view account) const {
  const std::lock_guard lock(mutex_);
  std::vector<LedgerId> ids;
  for (const auto& [event, balance, closed_by] : entries_) {
    if (event.from == account || event.to == account) ids.push_back(event.id);
  }
  return ids;
}

// The mutex is held.
JournalEntry& LedgerJournal::add(LedgerEvent event, const LedgerBalance& balance) {
  event.id = entries_.size() + 1;
  event.at = last_at_ = std::max(event.at, last_at_);
  return entries_.emplace_back(JournalEntry{std::move(event), balance, 0});
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
