// What a ledger is asked, what it records, and what it answers.
//
// A request becomes one event, or a refusal, which is an event too. Events are numbered from 1
// without gaps, in an order in which they can be replayed from nothing. Amounts are integer
// micro-credits. Any thread; plain values.
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

/// As the amount of a settlement: all that is held.
inline constexpr Amount kInFull = -1;

/// As an account's overdraft: none that it could reach.
inline constexpr Amount kUnlimited = kAmountMax;

/// Names an event, and the hold or the scheduled transfer that it made; 0 names none.
using LedgerId = std::uint64_t;

/// The ledger's own accounts, without a limit. Money comes from and goes to the first one, and what
/// is settled goes to the second, so that the balances of all accounts always sum to zero.
inline constexpr std::string_view kExternalAccount = "@external";
inline constexpr std::string_view kUsageAccount = "@usage";

/// Whether an account is one of the ledger's own.
constexpr bool is_own_account(std::string_view name) {
  return name.starts_with('@');
}

/// Data files have the numbers of codes and types: new ones come at the end.
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
  kIdempotencyConflict,  ///< the key was used for something else; alone leaves no event
  kAccountClosed,
  kAccountNotEmpty,  ///< it has a balance, or something is held of it
  kLinkedFailed,     ///< another one of the linked transfers was refused
};

/// As above. Callers request the types up to kCancelScheduled, and kClose; the others follow from
/// these.
enum class LedgerEventType : std::uint8_t {
  kOpen = 0,
  kDeposit,
  kWithdraw,
  kTransfer,  ///< without a key: a scheduled one that was executed
  kHold,
  kSettle,
  kVoid,
  kReverse,
  kSchedule,
  kCancelScheduled,
  kHoldExpired,
  kScheduleFailed,  ///< a scheduled transfer that was due and could not be; it is not retried
  kRefused,         ///< the answer to a request, kept for its key; changes nothing
  kClose,           ///< of an account; nothing moves in or out any more
};

/// A request that has a key. Which fields count is said by the functions that make one.
struct LedgerRequest {
  LedgerEventType operation = LedgerEventType::kDeposit;
  std::string key;
  std::string from;
  std::string to;
  Amount amount = 0;
  LedgerId target = 0;  ///< the event, hold or scheduled transfer that it is about
  Nanos time = 0;       ///< of a hold: its timeout; of a scheduled transfer: when it is due
  bool force = false;
  std::string metadata{};  ///< the caller's, kept with the event
};

/// What has happened: the fields of a request, with those filled in that it takes from what it is
/// about, and more.
struct LedgerEvent {
  LedgerId id = 0;
  LedgerEventType type = LedgerEventType::kOpen;
  Nanos at = 0;       ///< never before that of the event before
  std::string key;    ///< empty for kOpen, what came about by itself, and linked ones but the first
  std::string from;   ///< who pays; for kOpen and kClose the account
  std::string to;     ///< who is paid; empty for kClose
  Amount amount = 0;  ///< what is moved, or (hold, schedule) would be; for kOpen the overdraft
  LedgerId target = 0;  ///< what this event closes, see JournalEntry
  Nanos time = 0;
  bool force = false;
  Nanos due = kNever;                                ///< of a hold or a scheduled transfer
  LedgerCode code = LedgerCode::kOk;                 ///< of a refusal or a failure
  LedgerEventType refused = LedgerEventType::kOpen;  ///< of a refusal: the operation
  std::uint32_t linked = 0;  ///< how many events after this one were made with it, all or none
  std::string metadata{};
};

struct LedgerBalance {
  Amount posted = 0;
  Amount held = 0;  ///< of what is posted, what is held; at least 0

  [[nodiscard]] Amount available() const { return posted - held; }
  friend bool operator==(const LedgerBalance&, const LedgerBalance&) = default;
};

/// The answer to a request. The same key and request get the same answer for ever.
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

/// Whether a request asks for what the one asked for that made `event`, which is not linked.
bool same_request(const LedgerRequest& request, const LedgerEvent& event);

}  // namespace sluice
