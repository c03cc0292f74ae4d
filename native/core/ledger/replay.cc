// Replays a journal: each event is decided again by the rules that made it, which detects an
// invalid journal.
#include <utility>

#include "core/ledger/ledger.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

LedgerRequest request_of(const LedgerEvent& event) {
  const Type operation = event.type == Type::kRefused ? event.refused : event.type;
  return {operation,    event.key,  event.from,  event.to,      event.amount,
          event.target, event.time, event.force, event.metadata};
}

bool comes_about(const LedgerEvent& event) {
  return event.type == Type::kHoldExpired || event.type == Type::kScheduleFailed ||
         (event.type == Type::kTransfer && event.target != 0);
}

// Whether the ledger's own accounts appear exactly where the type of the event requires them.
bool has_fitting_accounts(const LedgerEvent& event) {
  switch (event.type) {
    case Type::kDeposit:
      return event.from == kExternalAccount && !is_own_account(event.to);
    case Type::kWithdraw:
      return !is_own_account(event.from) && event.to == kExternalAccount;
    case Type::kHold:
      return !is_own_account(event.from) && event.to == kUsageAccount;
    case Type::kClose:
      return !is_own_account(event.from) && event.to.empty() && event.amount == 0;
    case Type::kTransfer:
    case Type::kSchedule:
      return !is_own_account(event.from) && !is_own_account(event.to);
    default:
      return true;  // their accounts are those of the event they refer to
  }
}

bool has_fitting_due(const LedgerEvent& event) {
  if (event.type == Type::kHold) return event.time >= 0 && event.due >= event.time;
  return event.due == (event.type == Type::kSchedule ? event.time : kNever);
}

bool is_request(Type type) {
  return (type > Type::kOpen && type <= Type::kCancelScheduled) || type == Type::kClose;
}

bool can_be_linked(const LedgerEvent& event) {
  const Type operation = event.type == Type::kRefused ? event.refused : event.type;
  return operation == Type::kDeposit || operation == Type::kWithdraw ||
         (operation == Type::kTransfer && event.target == 0);
}

}  // namespace

std::string_view Ledger::replay(const LedgerEvent& event) {
  if (event.id != journal_.size() + 1) return "its id does not follow that of the event before";
  if (event.at < journal_.last_at()) return "it is earlier than the event before";
  const bool in_full = event.type == Type::kRefused && event.refused == Type::kSettle;
  if (event.amount < (in_full ? kInFull : 0)) return "its amount is negative";
  std::string_view problem = replay_linked(event);
  if (!problem.empty()) return problem;
  if (event.type == Type::kOpen) {
    problem = replay_open(event);
  } else if (event.type == Type::kRefused) {
    problem = replay_refused(event);
  } else {
    problem = replay_decided(event);
  }
  if (problem.empty()) {
    replayed_linked_ = event.linked;
    replayed_refused_ = event.type == Type::kRefused;
  }
  return problem;
}

std::string_view Ledger::replay_end() const {
  return replayed_linked_ == 0 ? "" : "it ends in the middle of linked transfers";
}

// Linked events are consecutive, all made or all refused, and only the first has the key.
std::string_view Ledger::replay_linked(const LedgerEvent& event) {
  const bool follows = replayed_linked_ > 0;
  if (event.linked > 0 && !can_be_linked(event)) return "it cannot be linked";
  if (!follows) return {};
  const bool fits = event.linked + 1 == replayed_linked_ && event.at == journal_.last_at() &&
                    event.key.empty() && can_be_linked(event) &&
                    (event.type == Type::kRefused) == replayed_refused_;
  return fits ? "" : "it does not belong to the linked transfers before it";
}

std::string_view Ledger::replay_open(const LedgerEvent& event) {
  if (event.from.empty() || is_own_account(event.from)) return "it opens no account";
  if (!has_fitting_due(event)) return "it is due when it cannot be";
  if (!event.key.empty()) return "it has a key";
  if (event.code != LedgerCode::kOk) return "it has a code that it cannot have";
  std::unique_lock<std::mutex> lock;
  LedgerAccount* const opened = accounts_.open(event.from, event.amount, lock);
  if (opened == nullptr) return "its account is open";
  commit(event, {opened, opened, nullptr});
  return {};
}

std::string_view Ledger::replay_refused(const LedgerEvent& event) {
  const bool follows = replayed_linked_ > 0;
  if (event.key.empty() != follows || !is_request(event.refused) || event.code == LedgerCode::kOk) {
    return "it refuses nothing";
  }
  std::optional<LedgerKeys::Use> use;
  if (!follows) use.emplace(keys_.use(event.key));
  if (use && use->answer() != 0) return "its key was used before";
  const LedgerRequest request = request_of(event);
  LedgerEvent draft = event;
  draft.type = event.refused;
  Parties parties;
  if (locate(request, draft, parties) != LedgerCode::kOk) parties = {};
  const JournalEntry& entry = refuse(request, event.code, parties, event.at, event.linked);
  if (use) use->answer_with(entry.event.key, entry.event.id);
  return {};
}

std::string_view Ledger::replay_decided(const LedgerEvent& event) {
  if (!has_fitting_accounts(event)) return "it has the ledger's own accounts where they cannot be";
  if (!has_fitting_due(event)) return "it is due when it cannot be";
  const bool failed = event.type == Type::kScheduleFailed;
  if (failed != (event.code != LedgerCode::kOk)) return "it has a code that it cannot have";
  LedgerEvent draft = event;
  Parties parties;
  const bool by_itself = comes_about(event);
  const bool keyless = by_itself || replayed_linked_ > 0;
  if (keyless != event.key.empty()) return keyless ? "it has a key" : "it has no key";
  if (by_itself) {
    const Type wanted = event.type == Type::kHoldExpired ? Type::kHold : Type::kSchedule;
    JournalEntry* const entry = journal_.find(event.target);
    if (entry == nullptr || entry->event.type != wanted) return "what it ends does not exist";
    parties = draft_due(*entry, draft);
    draft.type = event.type;
  } else if (locate(request_of(event), draft, parties) != LedgerCode::kOk) {
    return "what it is about does not exist";
  }
  if (draft.from != event.from || draft.to != event.to || draft.amount != event.amount) {
    return "it does not fit what it is about";
  }
  if (judge(draft, parties) != LedgerCode::kOk) return "it cannot have happened";
  std::optional<LedgerKeys::Use> use;
  if (!keyless) use.emplace(keys_.use(event.key));
  if (use && use->answer() != 0) return "its key was used before";
  const JournalEntry& entry = commit(event, parties);
  if (use) use->answer_with(entry.event.key, entry.event.id);
  return {};
}

}  // namespace sluice
