// A ledger: accounts in micro-credits, double entry, an append-only journal.
//
// Every amount moves from one account to another, so the balances of all sum to zero (see
// kExternalAccount). A request has a key, under which its outcome is kept, refusals included: the
// same request with the same key gets it again, whatever has happened since. A hold sets an amount
// aside until it is settled (at most that amount; the rest returns), voided, or expires; it is
// alive while now < its expiry. A scheduled transfer is executed, or fails for good, when it is
// due. Whatever is due by `now` happens, by (due, id), before a call with that `now` does anything.
//
// Deposits, withdrawals, transfers and settlements can be reversed, once, by a new event.
//
// Any thread may call anything. A call locks, in this order: the agenda's runner, and lets go of
// it; its key; its accounts, sorted by name; then, one at a time, the journal and the agenda. Times
// come from one clock and are at least 0. Ends with its owner.
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

  /// Makes deposits, withdrawals and transfers, at least one, in their order: all of them, or none.
  /// Each sees the balances that those before it left. The key is the first one's. An answer each,
  /// or a single kIdempotencyConflict; where one is refused, the others are kLinkedFailed.
  std::vector<LedgerResult> execute_linked(const std::vector<LedgerRequest>& requests, Nanos now);

  /// Gives an account another name, in all events too, whose keys and metadata are erased. The
  /// events that it changed. Amounts and balances stay. Alone among the calls it must not be made
  /// beside others.
  std::vector<LedgerEvent> rename(std::string_view account, std::string_view name);

  /// None when there is no such account.
  std::optional<bool> is_closed(std::string_view account);

  /// Expires holds and executes scheduled transfers that are due by now.
  void advance(Nanos now);
  /// When there is next something to do.
  [[nodiscard]] Nanos next_deadline() const { return agenda_.next(); }

  /// None when there is no such account.
  std::optional<LedgerBalance> balance(std::string_view account, Nanos now);

  /// Up to `limit` events after the one with the number `after` that concern an account: of holds
  /// the holder, of all others payer and payee. Refusals concern no account. None when there
  /// is no such account.
  std::optional<std::vector<LedgerEvent>> events(std::string_view account, LedgerId after,
                                                 std::size_t limit, Nanos now);

  /// All events, as above.
  std::vector<LedgerEvent> journal(LedgerId after, std::size_t limit, Nanos now);

  /// The names of all accounts, the ledger's own among them, in order.
  [[nodiscard]] std::vector<std::string> accounts() const { return accounts_.names(); }

  /// Number and time of the last event.
  [[nodiscard]] LedgerId last_event() const { return journal_.size(); }
  [[nodiscard]] Nanos last_at() const { return journal_.last_at(); }

  /// Takes in an event of a journal: a new ledger takes in all of them, in order, before anything
  /// else, and before `observe`. An answer that is not empty says why no ledger
  /// can have written it, and then it was not taken in.
  std::string_view replay(const LedgerEvent& event);

  /// As `replay`: whether the journal may end where it does.
  [[nodiscard]] std::string_view replay_end() const;

 private:
  // What an event is about, found before it is decided.
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
  // Of the last event that was taken in.
  std::uint32_t replayed_linked_ = 0;
  bool replayed_refused_ = false;
};

}  // namespace sluice
