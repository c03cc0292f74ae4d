// A ledger's requests, events and results. Plain values; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "core/base/time.h"

namespace sluice {

/// Micro-credits. Every balance and every sum of held amounts stays within +-kAmountMax.
using Amount = std::int64_t;
inline constexpr Amount kAmountMax = std::numeric_limits<Amount>::max();

/// As the amount of a settlement: the whole held amount.
inline constexpr Amount kInFull = -1;

/// As an account's overdraft: no limit.
inline constexpr Amount kUnlimited = kAmountMax;

/// The number of an event, and of the hold or scheduled transfer that it created; 0: none.
using LedgerId = std::uint64_t;

/// The ledger's own accounts, without a limit. Deposits come from the first and withdrawals go to
/// it; settled amounts go to the second. So the balances of all accounts always sum to zero.
inline constexpr std::string_view kExternalAccount = "@external";
inline constexpr std::string_view kUsageAccount = "@usage";

/// Whether a name is that of one of the ledger's own accounts.
constexpr bool is_own_account(std::string_view name) {
  return name.starts_with('@');
}

/// The result of a request. Data files contain the numbers: append new codes at the end.
enum class LedgerCode : std::uint8_t {
  kOk = 0,
  kInsufficientFunds,
  kNoSuchAccount,
  kNoSuchEvent,
  kNoSuchHold,
  kNoSuchScheduled,
  kAccountExists,
  kSameAccount,
  kHoldExpired,
  kHoldClosed,
  kExceedsHold,
  kAlreadyReversed,
  kNotReversible,
  kAlreadyExecuted,
  kAlreadyCancelled,
  kAmountOverflow,       ///< a balance would leave the range of Amount
  kIdempotencyConflict,  ///< the key belongs to another request; leaves no event
  kAccountClosed,
  kAccountNotEmpty,  ///< it has a balance or holds
  kLinkedFailed,     ///< another of the linked transfers was refused
};

/// The type of an event, numbered like LedgerCode. Callers request the types up to
/// kCancelScheduled, and kClose; the ledger makes the others.
enum class LedgerEventType : std::uint8_t {
  kOpen = 0,
  kDeposit,
  kWithdraw,
  kTransfer,  ///< without a key: an executed scheduled transfer
  kHold,
  kSettle,
  kVoid,
  kReverse,
  kSchedule,
  kCancelScheduled,
  kHoldExpired,
  kScheduleFailed,  ///< a due scheduled transfer that was refused; it is not retried
  kRefused,         ///< a refused request, kept for its key; moves nothing
  kClose,           ///< closes an account; later transfers are refused
};

/// A request with a key. The functions that make one determine which fields apply.
struct LedgerRequest {
  LedgerEventType operation = LedgerEventType::kDeposit;
  std::string key;
  std::string from;
  std::string to;
  Amount amount = 0;
  LedgerId target = 0;  ///< the event, hold or scheduled transfer that it refers to
  Nanos time = 0;       ///< of a hold: its timeout; of a scheduled transfer: when it is due
  bool force = false;
  std::string metadata{};  ///< of the caller, stored with the event
};

/// One entry of the journal: the fields of a request, completed from the event it refers to, and
/// the result. Events are numbered from 1 without gaps, in an order in which they can be replayed.
/// A refused request is an event too.
struct LedgerEvent {
  LedgerId id = 0;
  LedgerEventType type = LedgerEventType::kOpen;
  Nanos at = 0;         ///< not before the time of the previous event
  std::string key;      ///< empty for kOpen, the ledger's own, and linked ones but the first
  std::string from;     ///< the payer; for kOpen and kClose the account
  std::string to;       ///< the payee; empty for kClose
  Amount amount = 0;    ///< moved, held or scheduled; for kOpen the overdraft
  LedgerId target = 0;  ///< the event that this one closes, see JournalEntry
  Nanos time = 0;
  bool force = false;
  Nanos due = kNever;                                ///< of a hold or a scheduled transfer
  LedgerCode code = LedgerCode::kOk;                 ///< of a refusal or a failure
  LedgerEventType refused = LedgerEventType::kOpen;  ///< of a refusal: the operation
  std::uint32_t linked = 0;  ///< the number of events after this one that are linked to it
  std::string metadata{};
};

struct LedgerBalance {
  Amount posted = 0;
  Amount held = 0;  ///< the part of `posted` under holds; at least 0

  [[nodiscard]] Amount available() const { return posted - held; }
  friend bool operator==(const LedgerBalance&, const LedgerBalance&) = default;
};

/// The result of a request. The same key and request always get the same result.
struct LedgerResult {
  LedgerCode code = LedgerCode::kOk;
  LedgerEvent event;      ///< the refusal, when refused; none (id 0) for a conflict
  LedgerBalance balance;  ///< right after the event: of `from`, or of `to` where that is the
                          ///< ledger's own
};

LedgerRequest deposit_request(std::string key, std::string account, Amount amount);
LedgerRequest withdraw_request(std::string key, std::string account, Amount amount);
LedgerRequest transfer_request(std::string key, std::string from, std::string to, Amount amount);
/// kNever as a timeout: held until it is settled or voided.
LedgerRequest hold_request(std::string key, std::string account, Amount amount, Nanos timeout);
/// `amount` may be kInFull.
LedgerRequest settle_request(std::string key, LedgerId hold, Amount amount);
LedgerRequest void_request(std::string key, LedgerId hold);
LedgerRequest reverse_request(std::string key, LedgerId event, bool force);
LedgerRequest schedule_request(std::string key, Nanos at, std::string from, std::string to,
                               Amount amount);
LedgerRequest close_request(std::string key, std::string account);
LedgerRequest cancel_request(std::string key, LedgerId scheduled);

/// Whether a request equals the one that made `event`, which is not linked.
bool same_request(const LedgerRequest& request, const LedgerEvent& event);

}  // namespace sluice
