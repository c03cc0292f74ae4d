// The events of a ledger, in order, and what each key was answered with.
//
// The journal numbers events and never changes one. An event that concerns accounts is appended
// while their mutexes are held, so that the order of the journal is each account's order as well:
// that is what makes a replay come to the same balances.
//
// Any thread. Entries stay where they are for as long as the journal lives.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/siphash.h"
#include "core/ledger/event.h"

namespace sluice {

struct JournalEntry {
  LedgerEvent event;
  LedgerBalance balance;  ///< see LedgerResult
  /// The event that undid this one (a reversal), resolved it (of a hold: settled, voided, expired)
  /// or decided it (of a scheduled transfer: executed, failed, cancelled); at most one ever does.
  /// Guarded by the mutexes of the event's accounts.
  LedgerId closed_by = 0;
};

class LedgerJournal {
 public:
  using Observer = std::function<void(std::span<const LedgerEvent* const>)>;

  /// Calls `observer` with every event from now on, in order and with linked ones at once, on the
  /// thread that makes it and with locks held: it must be brief and must not call the ledger.
  void observe(Observer observer);

  /// Adds an event and gives it its number; its time is put off to that of the last event if it is
  /// before.
  JournalEntry& append(LedgerEvent event, const LedgerBalance& balance);

  /// Adds events one directly after the other.
  std::vector<JournalEntry*> append_linked(std::vector<LedgerEvent> events,
                                           const std::vector<LedgerBalance>& balances);

  /// Calls `change` for each event of an account of that name. Not to be called beside other calls.
  void change(std::string_view account, const std::function<void(LedgerEvent&)>& change);

  /// nullptr when there is no such event.
  [[nodiscard]] JournalEntry* find(LedgerId id);

  /// Up to `limit` events after the one with the number `after`.
  [[nodiscard]] std::vector<LedgerEvent> after(LedgerId after, std::size_t limit) const;
  /// The events with these numbers.
  [[nodiscard]] std::vector<LedgerEvent> copy(const std::vector<LedgerId>& ids) const;

  /// How many events there are: the number of the last one.
  [[nodiscard]] LedgerId size() const;
  /// The time of the last event; 0 before the first.
  [[nodiscard]] Nanos last_at() const;

 private:
  JournalEntry& add(LedgerEvent event, const LedgerBalance& balance);

  mutable std::mutex mutex_;
  std::deque<JournalEntry> entries_;
  Nanos last_at_ = 0;
  Observer observer_;
};

/// Which event answers a key. Requests with the same key go one after the other; those with others
/// mostly side by side.
class LedgerKeys {
 public:
  /// Holds a key from before it is looked up until its answer is there.
  class Use {
   public:
    /// The event that answers the key; 0 when nothing does yet.
    [[nodiscard]] LedgerId answer() const;
    /// Called once, without an answer: `key` is the entry's own, which outlives this.
    void answer_with(std::string_view key, LedgerId event);
    /// Forgets the answer: the entry's key is about to go.
    void forget() { stripe_.answers.erase(key_); }

   private:
    friend class LedgerKeys;
    struct Hash {
      std::size_t operator()(std::string_view key) const {
        return static_cast<std::size_t>(keyed_hash(key, process_hash_secret()));
      }
    };
    struct Stripe {
      std::mutex mutex;
      std::unordered_map<std::string_view, LedgerId, Hash> answers;
    };
    Use(Stripe& stripe, std::string_view key) : stripe_(stripe), lock_(stripe.mutex), key_(key) {}

    Stripe& stripe_;
    std::unique_lock<std::mutex> lock_;
    std::string_view key_;
  };

  /// Waits while another thread uses the key. `key` outlives the use.
  Use use(std::string_view key);

 private:
  std::array<Use::Stripe, 64> stripes_;
};

}  // namespace sluice
