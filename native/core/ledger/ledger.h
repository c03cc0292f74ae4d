// A ledger: accounts in micro-credits, double entry, an append-only journal.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ledger/accounts.h"
#include "core/ledger/event.h"
#include "core/ledger/journal.h"
#include "core/ledger/schedule.h"

namespace sluice {

/// Accounts in micro-credits with double entry and an append-only journal.
///
/// Every amount moves from one account to another, so all balances sum to zero (see
/// kExternalAccount). The result of a request, refusals included, is kept under its key: a repeated
/// request with the same key gets the same result, whatever has happened since. A hold reserves an
/// amount until it is settled (at most that amount; the rest returns), voided, or expired; it is
/// active while now < its expiry. A scheduled transfer is executed, or fails permanently, when it
/// is due. Each call first processes everything due by its `now`, by (due, id).
///
/// Deposits, withdrawals, transfers and settlements can be reversed, once, by a new event.
///
/// Any thread may call any function, except where noted. A call locks, in this order: the agenda's
/// runner, which it releases again; its key; its accounts, sorted by name; then, one at a time, the
/// journal and the agenda. Times are of one clock and at least 0.
class Ledger {
 public:
  Ledger() = default;
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// See LedgerJournal::observe.
  void observe(LedgerJournal::Observer observer) { journal_.observe(std::move(observer)); }

  /// Opens an account whose name is not empty and not the ledger's own. `overdraft`: how far its
  /// available balance may go below zero; kUnlimited. kOk or kAccountExists, which leaves no event.
  LedgerResult open(std::string_view account, Amount overdraft, Nanos now,
                    std::string metadata = {});

  /// Executes a request, once per key. Amounts are at least 0.
  LedgerResult execute(const LedgerRequest& request, Nanos now);

  /// Makes one or more deposits, withdrawals and transfers in their order: all of them, or none.
  /// Each sees the balances after the previous one. The key is that of the first. Returns a result
  /// for each, or a single kIdempotencyConflict. If one is refused, the others are kLinkedFailed.
  std::vector<LedgerResult> execute_linked(const std::vector<LedgerRequest>& requests, Nanos now);

  /// Renames an account, also in all of its events, and erases the keys and metadata of those.
  /// Amounts and balances stay. Returns the changed events. Must not be called concurrently with
  /// other calls.
  std::vector<LedgerEvent> rename(std::string_view account, std::string_view name);

  /// None when there is no such account.
  std::optional<bool> is_closed(std::string_view account);

  /// Expires holds and executes scheduled transfers that are due by `now`.
  void advance(Nanos now);
  /// The time of the next expiry or scheduled transfer; kNever: none.
  [[nodiscard]] Nanos next_deadline() const { return agenda_.next(); }

  /// None when there is no such account.
  std::optional<LedgerBalance> balance(std::string_view account, Nanos now);

  /// Up to `limit` events of an account after number `after`: holds of its own, and other events of
  /// which it is payer or payee. Refusals belong to no account. Empty optional for an unknown
  /// account.
  std::optional<std::vector<LedgerEvent>> events(std::string_view account, LedgerId after,
                                                 std::size_t limit, Nanos now);

  /// The active holds that have an expiry, by (expiry, id).
  std::vector<LedgerEvent> open_holds(Nanos now);

  /// All events, as above.
  std::vector<LedgerEvent> journal(LedgerId after, std::size_t limit, Nanos now);

  /// The names of all accounts, the ledger's own included, sorted.
  [[nodiscard]] std::vector<std::string> accounts() const { return accounts_.names(); }

  /// Number and time of the last event.
  [[nodiscard]] LedgerId last_event() const { return journal_.size(); }
  [[nodiscard]] Nanos last_at() const { return journal_.last_at(); }

  /// Applies an event of a journal. A new ledger replays all events, in order, before any other
  /// call and before `observe`. Returns empty on success, else the reason for refusal, with
  /// no effect.
  std::string_view replay(const LedgerEvent& event);

  /// Call it after the last `replay`. Returns empty if the journal may end there, else
  /// the reason why it may not.
  [[nodiscard]] std::string_view replay_end() const;

 private:
  // The accounts and the entry that a request refers to.
  struct Parties {
    LedgerAccount* from = nullptr;
    LedgerAccount* to = nullptr;
    JournalEntry* target = nullptr;
  };

  LedgerCode locate(const LedgerRequest& request, LedgerEvent& event, Parties& parties);
  LedgerCode locate_target(const LedgerRequest& request, LedgerEvent& event, Parties& parties);
  LedgerCode judge(const LedgerEvent& event, const Parties& parties);
  LedgerCode code_of_closed(const JournalEntry& target);
  const JournalEntry& commit(LedgerEvent event, const Parties& parties);
  const JournalEntry& refuse(const LedgerRequest& request, LedgerCode code, const Parties& parties,
                             Nanos now, std::uint32_t linked = 0);
  std::vector<LedgerResult> perform_linked(const std::vector<LedgerRequest>& requests, Nanos now);
  std::vector<LedgerResult> refuse_linked(const std::vector<LedgerRequest>& requests,
                                          const std::vector<Parties>& parties, std::size_t failed,
                                          LedgerCode code, Nanos now);
  std::optional<std::vector<LedgerResult>> linked_answer(const std::vector<LedgerRequest>& requests,
                                                         LedgerId first);
  void note(const LedgerEvent& done, const Parties& parties);
  const JournalEntry& perform(const LedgerRequest& request, Nanos now);
  void carry_out(LedgerId id, Nanos now);
  Parties draft_due(JournalEntry& entry, LedgerEvent& event);
  std::string_view replay_linked(const LedgerEvent& event);
  std::string_view replay_open(const LedgerEvent& event);
  std::string_view replay_refused(const LedgerEvent& event);
  std::string_view replay_decided(const LedgerEvent& event);

  LedgerAccounts accounts_;
  LedgerJournal journal_;
  LedgerKeys keys_;
  LedgerAgenda agenda_;
  std::mutex runner_mutex_;  // held while due events are made
  // The last replayed event.
  std::uint32_t replayed_linked_ = 0;
  bool replayed_refused_ = false;
};

/// The event of a request, before its result is known.
LedgerEvent event_of(const LedgerRequest& request, Nanos now);

}  // namespace sluice
