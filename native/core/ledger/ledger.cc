#include "core/ledger/ledger.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

using Type = LedgerEventType;

bool is_reversible(Type type) {
  return type == Type::kDeposit || type == Type::kWithdraw || type == Type::kTransfer ||
         type == Type::kSettle;
}

// Whether the event belongs to the payer only: the payee receives nothing.
bool concerns_holder_alone(Type type) {
  return type == Type::kHold || type == Type::kVoid || type == Type::kHoldExpired;
}

// Whether a closed account refuses the event. Events that end a hold or a scheduled transfer are
// not refused.
bool needs_open_accounts(Type type) {
  return type != Type::kSettle && type != Type::kVoid && type != Type::kHoldExpired &&
         type != Type::kCancelScheduled && type != Type::kScheduleFailed;
}

// Completes an event from the one that it refers to.
void take_over(LedgerEvent& event, const LedgerEvent& target) {
  event.from = target.from;
  event.to = target.to;
  event.target = target.id;
  if (event.type == Type::kReverse) std::swap(event.from, event.to);
  if (event.type != Type::kSettle || event.amount == kInFull) event.amount = target.amount;
}

// Requires both accounts' mutexes, and that the event was found valid.
void move(const LedgerEvent& event, LedgerAccount& from, LedgerAccount& to,
          const JournalEntry* target) {
  switch (event.type) {
    case Type::kHold:
      from.balance.held += event.amount;
      break;
    case Type::kVoid:
    case Type::kHoldExpired:
      from.balance.held -= target->event.amount;
      break;
    case Type::kSettle:
      from.balance.held -= target->event.amount;
      [[fallthrough]];
    case Type::kDeposit:
    case Type::kWithdraw:
    case Type::kTransfer:
    case Type::kReverse:
      from.balance.posted -= event.amount;
      to.balance.posted += event.amount;
      break;
    case Type::kClose:
      from.closed = true;
      break;
    default:
      break;
  }
}

// Whether the entry answers this request. A settlement in full that was refused before its hold was
// looked up has the amount of the request.
bool is_answer(const LedgerRequest& request, const JournalEntry& entry, LedgerJournal& journal) {
  if (same_request(request, entry.event)) return true;
  if (request.operation != Type::kSettle || request.amount != kInFull) return false;
  const JournalEntry* const hold = journal.find(request.target);
  if (hold == nullptr || hold->event.type != Type::kHold) return false;
  LedgerRequest resolved = request;
  resolved.amount = hold->event.amount;
  return same_request(resolved, entry.event);
}

LedgerResult result_of(const JournalEntry& entry) {
  return {entry.event.type == Type::kRefused ? entry.event.code : LedgerCode::kOk, entry.event,
          entry.balance};
}

}  // namespace

LedgerEvent event_of(const LedgerRequest& request, Nanos now) {
  LedgerEvent event;
  event.type = request.operation;
  event.at = now;
  event.key = request.key;
  event.from = request.from;
  event.to = request.to;
  event.amount = request.amount;
  event.target = request.target;
  event.time = request.time;
  event.force = request.force;
  event.metadata = request.metadata;
  if (request.operation == Type::kHold) event.due = deadline_after(now, request.time);
  if (request.operation == Type::kSchedule) event.due = request.time;
  return event;
}

LedgerResult Ledger::open(std::string_view account, Amount overdraft, Nanos now,
                          std::string metadata) {
  advance(now);
  std::unique_lock<std::mutex> lock;
  LedgerAccount* const opened = accounts_.open(account, overdraft, lock);
  if (opened == nullptr) return {LedgerCode::kAccountExists, {}, {}};
  LedgerEvent event;
  event.type = Type::kOpen;
  event.at = now;
  event.from = account;
  event.amount = overdraft;
  event.metadata = std::move(metadata);
  return result_of(commit(std::move(event), {opened, opened, nullptr}));
}

LedgerResult Ledger::execute(const LedgerRequest& request, Nanos now) {
  advance(now);
  LedgerResult result;
  {
    LedgerKeys::Use use = keys_.use(request.key);
    if (const LedgerId known = use.answer(); known != 0) {
      const JournalEntry& entry = *journal_.find(known);
      if (entry.event.linked == 0 && is_answer(request, entry, journal_)) return result_of(entry);
      result.code = LedgerCode::kIdempotencyConflict;
      return result;
    }
    const JournalEntry& entry = perform(request, now);
    use.answer_with(entry.event.key, entry.event.id);
    result = result_of(entry);
  }
  // The scheduled transfer may be due already.
  advance(now);
  return result;
}

void Ledger::advance(Nanos now) {
  if (agenda_.next() > now) return;
  const std::lock_guard lock(runner_mutex_);
  for (LedgerId id = agenda_.first_due(now); id != 0; id = agenda_.first_due(now)) {
    carry_out(id, now);
  }
}

const JournalEntry& Ledger::perform(const LedgerRequest& request, Nanos now) {
  Parties parties;
  LedgerEvent event = event_of(request, now);
  const LedgerCode located = locate(request, event, parties);
  if (located != LedgerCode::kOk) return refuse(request, located, {}, now);
  const AccountLocks locks(*parties.from, *parties.to);
  const LedgerCode code = judge(event, parties);
  if (code != LedgerCode::kOk) return refuse(request, code, parties, now);
  return commit(std::move(event), parties);
}

LedgerCode Ledger::locate(const LedgerRequest& request, LedgerEvent& event, Parties& parties) {
  const Type operation = request.operation;
  if (operation == Type::kSettle || operation == Type::kVoid || operation == Type::kReverse ||
      operation == Type::kCancelScheduled) {
    const LedgerCode code = locate_target(request, event, parties);
    if (code != LedgerCode::kOk) return code;
    take_over(event, parties.target->event);
  } else if (operation == Type::kClose) {
    parties.from = parties.to = accounts_.find(request.from);
    return parties.from == nullptr ? LedgerCode::kNoSuchAccount : LedgerCode::kOk;
  } else if (request.from == request.to) {
    return LedgerCode::kSameAccount;
  }
  parties.from = accounts_.find(event.from);
  parties.to = accounts_.find(event.to);
  const bool both = parties.from != nullptr && parties.to != nullptr;
  return both ? LedgerCode::kOk : LedgerCode::kNoSuchAccount;
}

LedgerCode Ledger::locate_target(const LedgerRequest& request, LedgerEvent& event,
                                 Parties& parties) {
  parties.target = journal_.find(request.target);
  const LedgerEvent* const target = parties.target == nullptr ? nullptr : &parties.target->event;
  switch (event.type) {
    case Type::kReverse:
      if (target == nullptr) return LedgerCode::kNoSuchEvent;
      return is_reversible(target->type) ? LedgerCode::kOk : LedgerCode::kNotReversible;
    case Type::kCancelScheduled:
      return target != nullptr && target->type == Type::kSchedule ? LedgerCode::kOk
                                                                  : LedgerCode::kNoSuchScheduled;
    default:
      return target != nullptr && target->type == Type::kHold ? LedgerCode::kOk
                                                              : LedgerCode::kNoSuchHold;
  }
}

LedgerCode Ledger::code_of_closed(const JournalEntry& target) {
  switch (journal_.find(target.closed_by)->event.type) {
    case Type::kSettle:
    case Type::kVoid:
      return LedgerCode::kHoldClosed;
    case Type::kHoldExpired:
      return LedgerCode::kHoldExpired;
    case Type::kCancelScheduled:
      return LedgerCode::kAlreadyCancelled;
    case Type::kReverse:
      return LedgerCode::kAlreadyReversed;
    default:
      return LedgerCode::kAlreadyExecuted;
  }
}

// Both accounts' mutexes are held.
LedgerCode Ledger::judge(const LedgerEvent& event, const Parties& parties) {
  const JournalEntry* const target = parties.target;
  if (target != nullptr && target->closed_by != 0) return code_of_closed(*target);
  if (needs_open_accounts(event.type) && (parties.from->closed || parties.to->closed)) {
    return LedgerCode::kAccountClosed;
  }
  switch (event.type) {
    case Type::kClose:
      return parties.from->balance == LedgerBalance{} ? LedgerCode::kOk
                                                      : LedgerCode::kAccountNotEmpty;
    case Type::kHold:
      return may_hold(*parties.from, event.amount);
    case Type::kSettle:
      if (event.amount > target->event.amount) return LedgerCode::kExceedsHold;
      return may_put(*parties.to, event.amount);
    case Type::kDeposit:
    case Type::kWithdraw:
    case Type::kTransfer:
    case Type::kReverse: {
      const LedgerCode taken = may_take(*parties.from, event.amount, event.force);
      return taken == LedgerCode::kOk ? may_put(*parties.to, event.amount) : taken;
    }
    default:
      return LedgerCode::kOk;
  }
}

// Both accounts' mutexes are held.
const JournalEntry& Ledger::commit(LedgerEvent event, const Parties& parties) {
  auto& [from, to, target] = parties;
  move(event, *from, *to, target);
  const JournalEntry& entry = journal_.append(std::move(event), shown_balance(*from, *to));
  note(entry.event, parties);
  return entry;
}

// Records the event with its accounts and the entry it refers to. Requires both accounts' mutexes.
void Ledger::note(const LedgerEvent& done, const Parties& parties) {
  auto& [from, to, target] = parties;
  from->events.push_back(done.id);
  if (to != from && !concerns_holder_alone(done.type)) to->events.push_back(done.id);
  if (target != nullptr) {
    target->closed_by = done.id;
    agenda_.remove(target->event.due, target->event.id);
  }
  agenda_.add(done.due, done.id);
}

const JournalEntry& Ledger::refuse(const LedgerRequest& request, LedgerCode code,
                                   const Parties& parties, Nanos now, std::uint32_t linked) {
  LedgerEvent event = event_of(request, now);
  event.type = Type::kRefused;
  event.refused = request.operation;
  event.code = code;
  event.due = kNever;
  event.linked = linked;
  const LedgerBalance balance =
      parties.from == nullptr ? LedgerBalance{} : shown_balance(*parties.from, *parties.to);
  return journal_.append(std::move(event), balance);
}

// The event to make when the entry, a hold or a scheduled transfer, is due.
Ledger::Parties Ledger::draft_due(JournalEntry& entry, LedgerEvent& event) {
  event.type = entry.event.type == Type::kHold ? Type::kHoldExpired : Type::kTransfer;
  take_over(event, entry.event);
  return {accounts_.find(event.from), accounts_.find(event.to), &entry};
}

void Ledger::carry_out(LedgerId id, Nanos now) {
  LedgerEvent event;
  event.at = now;
  JournalEntry& entry = *journal_.find(id);
  const Parties parties = draft_due(entry, event);
  const AccountLocks locks(*parties.from, *parties.to);
  if (entry.closed_by != 0) return;  // by another thread, just now
  event.code = judge(event, parties);
  if (event.code != LedgerCode::kOk) event.type = Type::kScheduleFailed;
  commit(std::move(event), parties);
}

std::optional<bool> Ledger::is_closed(std::string_view account) {
  LedgerAccount* const found = accounts_.find(account);
  if (found == nullptr) return std::nullopt;
  const std::lock_guard lock(found->mutex);
  return found->closed;
}

std::vector<LedgerEvent> Ledger::rename(std::string_view account, std::string_view name) {
  accounts_.rename(account, name);
  std::vector<LedgerEvent> changed;
  for (const LedgerId id : journal_.of(account)) {
    LedgerEvent& event = journal_.find(id)->event;
    if (event.from == account) event.from = name;
    if (event.to == account) event.to = name;
    event.metadata.clear();
    if (!event.key.empty()) {
      keys_.use(event.key).forget();
      event.key = "@erased:" + std::to_string(event.id);
      while (keys_.use(event.key).answer() != 0) event.key += '+';
      keys_.use(event.key).answer_with(event.key, event.id);
    }
    changed.push_back(event);
  }
  return changed;
}

std::optional<LedgerBalance> Ledger::balance(std::string_view account, Nanos now) {
  advance(now);
  LedgerAccount* const found = accounts_.find(account);
  if (found == nullptr) return std::nullopt;
  const std::lock_guard lock(found->mutex);
  return found->balance;
}

std::optional<std::vector<LedgerEvent>> Ledger::events(std::string_view account, LedgerId after,
                                                       std::size_t limit, Nanos now) {
  advance(now);
  LedgerAccount* const found = accounts_.find(account);
  if (found == nullptr) return std::nullopt;
  std::vector<LedgerId> ids;
  {
    const std::lock_guard lock(found->mutex);
    const auto first = std::upper_bound(found->events.begin(), found->events.end(), after);
    const auto left = static_cast<std::size_t>(found->events.end() - first);
    ids.assign(first, first + static_cast<std::ptrdiff_t>(std::min(limit, left)));
  }
  return journal_.copy(ids);
}

std::vector<LedgerEvent> Ledger::open_holds(Nanos now) {
  advance(now);
  std::vector<LedgerEvent> holds = journal_.copy(agenda_.ids());
  std::erase_if(holds, [](const LedgerEvent& event) { return event.type != Type::kHold; });
  return holds;
}

std::vector<LedgerEvent> Ledger::journal(LedgerId after, std::size_t limit, Nanos now) {
  advance(now);
  return journal_.after(after, limit);
}

}  // namespace sluice
