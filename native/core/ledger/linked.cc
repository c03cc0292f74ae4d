// Linked transfers, all made or none.
#include <utility>

#include "core/ledger/ledger.h"

namespace sluice {
namespace {

// Sets the number of linked events after each one, and leaves the key with the first only.
void link(std::vector<LedgerEvent>& events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    events[i].linked = static_cast<std::uint32_t>(events.size() - 1 - i);
    if (i > 0) events[i].key.clear();
  }
}

}  // namespace

// Decides and applies the transfers one after the other with the mutexes of all their accounts
// locked, and undoes them if one is refused: no other thread sees a part of them. Their events are
// consecutive in the journal, each with the number of linked events after it.
std::vector<LedgerResult> Ledger::execute_linked(const std::vector<LedgerRequest>& requests,
                                                 Nanos now) {
  advance(now);
  std::vector<LedgerResult> results;
  {
    LedgerKeys::Use use = keys_.use(requests.front().key);
    if (const LedgerId known = use.answer(); known != 0) {
      auto answer = linked_answer(requests, known);
      if (answer) return *std::move(answer);
      results.emplace_back().code = LedgerCode::kIdempotencyConflict;
      return results;
    }
    results = perform_linked(requests, now);
    const LedgerId first = results.front().event.id;
    use.answer_with(journal_.find(first)->event.key, first);
  }
  return results;
}

// The results of the same requests; nothing if the key belongs to other requests.
std::optional<std::vector<LedgerResult>> Ledger::linked_answer(
    const std::vector<LedgerRequest>& requests, LedgerId first) {
  std::vector<LedgerResult> results;
  if (journal_.find(first)->event.linked + 1 != requests.size()) return std::nullopt;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const JournalEntry& entry = *journal_.find(first + i);
    if (!same_request(requests[i], entry.event)) return std::nullopt;
    results.push_back({entry.event.code, entry.event, entry.balance});
  }
  return results;
}

std::vector<LedgerResult> Ledger::perform_linked(const std::vector<LedgerRequest>& requests,
                                                 Nanos now) {
  std::vector<LedgerEvent> events;
  std::vector<Parties> parties(requests.size());
  std::vector<LedgerAccount*> accounts;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    events.push_back(event_of(requests[i], now));
    const LedgerCode code = locate(requests[i], events[i], parties[i]);
    if (code != LedgerCode::kOk) return refuse_linked(requests, {}, i, code, now);
    accounts.insert(accounts.end(), {parties[i].from, parties[i].to});
  }
  const auto locks = lock_accounts(std::move(accounts));
  std::vector<LedgerBalance> balances;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const LedgerCode code = judge(events[i], parties[i]);
    if (code != LedgerCode::kOk) {
      for (std::size_t j = i; j-- > 0;) {
        parties[j].from->balance.posted += events[j].amount;
        parties[j].to->balance.posted -= events[j].amount;
      }
      return refuse_linked(requests, parties, i, code, now);
    }
    parties[i].from->balance.posted -= events[i].amount;
    parties[i].to->balance.posted += events[i].amount;
    balances.push_back(shown_balance(*parties[i].from, *parties[i].to));
  }
  link(events);
  const auto entries = journal_.append_linked(std::move(events), balances);
  std::vector<LedgerResult> results;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    note(entries[i]->event, parties[i]);
    results.push_back({LedgerCode::kOk, entries[i]->event, entries[i]->balance});
  }
  return results;
}

std::vector<LedgerResult> Ledger::refuse_linked(const std::vector<LedgerRequest>& requests,
                                                const std::vector<Parties>& parties,
                                                std::size_t failed, LedgerCode code, Nanos now) {
  std::vector<LedgerEvent> events;
  std::vector<LedgerBalance> balances;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    LedgerEvent event = event_of(requests[i], now);
    event.refused = event.type;
    event.type = LedgerEventType::kRefused;
    event.code = i == failed ? code : LedgerCode::kLinkedFailed;
    events.push_back(std::move(event));
    balances.push_back(parties.empty() ? LedgerBalance{}
                                       : shown_balance(*parties[i].from, *parties[i].to));
  }
  link(events);
  std::vector<LedgerResult> results;
  for (const JournalEntry* entry : journal_.append_linked(std::move(events), balances)) {
    results.push_back({entry->event.code, entry->event, entry->balance});
  }
  return results;
}

}  // namespace sluice
