// Taking in a journal. Each event is decided anew by the rules that made it, which finds out a
// journal that no ledger can have written.
#include <utility>

#include "core/ledger/ledger.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

LedgerRequest request_of(const LedgerEvent& event) {
  const Type operation = event.type == Type::kRefused ? event.refused : event.type;
  return {operation,    event.key,    event.from, event.to,
          event.amount, event.target, event.time, event.force};
}

bool comes_about(const LedgerEvent& event) {
  return event.type == Type::kHoldExpired || event.type == Type::kScheduleFailed ||
         (event.type == Type::kTransfer && event.target != 0);
}

// Whether the ledger's own accounts are where the operation has them, and nowhere else.
bool has_fitting_accounts(const LedgerEvent& event) {
  switch (event.type) {
    case Type::kDeposit:
      return event.from == kExternalAccount && !is_own_account(event.to);
    case Type::kWithdraw:
      return !is_own_account(event.from) && event.to == kExternalAccount;
    case Type::kHold:
      return !is_own_account(event.from) && event.to == kUsageAccount;
    case Type::kTransfer:
    case Type::kSchedule:
      return !is_own_account(event.from) && !is_own_account(event.to);
    default:
      return true;  // they have those of the event that they are about
  }
}

bool has_fitting_due(const LedgerEvent& event) {
  if (event.type == Type::kHold) return event.time >= 0 && event.due >= event.time;
  return event.due == (event.type == Type::kSchedule ? event.time : kNever);
}

bool is_request(Type type) {
  return type > Type::kOpen && type <= Type::kCancelScheduled;
}

}  // namespace

std::string_view Ledger::replay(const LedgerEvent& event) {
  if (event.id != journal_.size() + 1) return "its id does not follow that of the event before";
  if (event.at < journal_.last_at()) return "it is earlier than the event before";
  if (event.amount < 0) return "its amount is negative";
  if (event.type == Type::kOpen) return replay_open(event);
  return event.type == Type::kRefused ? replay_refused(event) : replay_decided(event);
}

std::string_view Ledger::replay_open(const LedgerEvent& event) {
  if (event.from.empty() || is_own_account(event.from)) return "it opens no account";
  std::unique_lock<std::mutex> lock;
  LedgerAccount* const opened = accounts_.open(event.from, event.amount, lock);
  if (opened == nullptr) return "its account is open";
  commit(event, {opened, opened, nullptr});
  return {};
}

std::string_view Ledger::replay_refused(const LedgerEvent& event) {
  if (event.key.empty() || !is_request(event.refused) || event.code == LedgerCode::kOk) {
    return "it refuses nothing";
  }
  LedgerKeys::Use use = keys_.use(event.key);
  if (use.answer() != 0) return "its key was used before";
  const LedgerRequest request = request_of(event);
  LedgerEvent draft = event;
  draft.type = event.refused;
  Parties parties;
  if (locate(request, draft, parties) != LedgerCode::kOk) parties = {};
  const JournalEntry& entry = refuse(request, event.code, parties, event.at);
  use.answer_with(entry.event.key, entry.event.id);
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
  if (by_itself != event.key.empty()) return by_itself ? "it has a key" : "it has no key";
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
  if (!by_itself) use.emplace(keys_.use(event.key));
  if (use && use->answer() != 0) return "its key was used before";
  const JournalEntry& entry = commit(event, parties);
  if (use) use->answer_with(entry.event.key, entry.event.id);
  return {};
}

}  // namespace sluice
