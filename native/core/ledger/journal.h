// The events of a ledger, in order, and the event that answers each key.
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
  /// or decided it (of a scheduled transfer: executed, failed, cancelled); at most one.
  /// Guarded by the mutexes of the event's accounts.
  LedgerId closed_by = 0;
};

/// The journal numbers events. Only Ledger::rename changes one later.
///
/// An event is appended while the mutexes of its accounts are locked, so that the journal's order
/// is also the order of each account's events. Therefore a replay yields the same balances. Any
/// thread. Entries keep their address for the life of the journal.
class LedgerJournal {
 public:
  using Observer = std::function<void(std::span<const LedgerEvent* const>)>;

  /// Calls `observer` with every event from now on, in order, with linked ones together. It runs on
  /// the thread that makes the event, with locks held: it must be brief and must not call the
  /// ledger.
  void observe(Observer observer);

  /// Appends an event and numbers it. An earlier time than that of the last event is raised to
  /// that.
  JournalEntry& append(LedgerEvent event, const LedgerBalance& balance);

  /// Appends events without others in between.
  std::vector<JournalEntry*> append_linked(std::vector<LedgerEvent> events,
                                           const std::vector<LedgerBalance>& balances);

  /// The numbers of the events of an account.
  [[nodiscard]] std::vector<LedgerId> of(std::string_view account) const;

  /// The entry of an event; nullptr when there is no such event.
  [[nodiscard]] JournalEntry* find(LedgerId id);

  /// Up to `limit` events after the one with the number `after`.
  [[nodiscard]] std::vector<LedgerEvent> after(LedgerId after, std::size_t limit) const;
  /// The events with these numbers.
  [[nodiscard]] std::vector<LedgerEvent> copy(const std::vector<LedgerId>& ids) const;

  /// The number of events, which is the number of the last one.
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

/// Maps each key to the event that answers it. Requests with the same key are serialized; those
/// with different keys usually run in parallel.
class LedgerKeys {
 public:
  /// Locks a key from its lookup until its answer is stored.
  class Use {
   public:
    /// The event that answers the key; 0: none yet.
    [[nodiscard]] LedgerId answer() const;
    /// Stores the answer; once, and only while there is none. `key` is the entry's, which outlives
    /// this.
    void answer_with(std::string_view key, LedgerId event);
    /// Removes the answer: the entry's key is about to be erased.
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
