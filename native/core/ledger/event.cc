#include "core/ledger/event.h"

#include <utility>

namespace sluice {

using Type = LedgerEventType;

LedgerRequest deposit_request(std::string key, std::string account, Amount amount) {
  return {Type::kDeposit,
          std::move(key),
          std::string(kExternalAccount),
          std::move(account),
          amount,
          0,
          0,
          false};
}

LedgerRequest withdraw_request(std::string key, std::string account, Amount amount) {
  return {Type::kWithdraw,
          std::move(key),
          std::move(account),
          std::string(kExternalAccount),
          amount,
          0,
          0,
          false};
}

LedgerRequest transfer_request(std::string key, std::string from, std::string to, Amount amount) {
  return {Type::kTransfer, std::move(key), std::move(from), std::move(to), amount, 0, 0, false};
}

LedgerRequest hold_request(std::string key, std::string account, Amount amount, Nanos timeout) {
  return {Type::kHold, std::move(key), std::move(account), std::string(kUsageAccount), amount, 0,
          timeout,     false};
}

LedgerRequest settle_request(std::string key, LedgerId hold, Amount amount) {
  return {Type::kSettle, std::move(key), {}, {}, amount, hold, 0, false};
}

LedgerRequest void_request(std::string key, LedgerId hold) {
  return {Type::kVoid, std::move(key), {}, {}, 0, hold, 0, false};
}

LedgerRequest reverse_request(std::string key, LedgerId event, bool force) {
  return {Type::kReverse, std::move(key), {}, {}, 0, event, 0, force};
}

LedgerRequest schedule_request(std::string key, Nanos at, std::string from, std::string to,
                               Amount amount) {
  return {Type::kSchedule, std::move(key), std::move(from), std::move(to), amount, 0, at, false};
}

LedgerRequest close_request(std::string key, std::string account) {
  return {Type::kClose, std::move(key), std::move(account), {}, 0, 0, 0, false};
}

LedgerRequest cancel_request(std::string key, LedgerId scheduled) {
  return {Type::kCancelScheduled, std::move(key), {}, {}, 0, scheduled, 0, false};
}

bool same_request(const LedgerRequest& request, const LedgerEvent& event) {
  const Type operation = event.type == Type::kRefused ? event.refused : event.type;
  if (operation != request.operation || request.metadata != event.metadata) return false;
  switch (operation) {
    case Type::kVoid:
    case Type::kCancelScheduled:
      return request.target == event.target;
    case Type::kSettle:
      return request.target == event.target && request.amount == event.amount;
    case Type::kReverse:
      return request.target == event.target && request.force == event.force;
    default:
      return request.from == event.from && request.to == event.to &&
             request.amount == event.amount && request.time == event.time;
  }
}

}  // namespace sluice
