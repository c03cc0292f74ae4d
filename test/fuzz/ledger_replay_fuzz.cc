// Fuzzes the replay of a ledger's journal: accepted events keep the sum of all balances at zero,
// and can be replayed again to the same balances.
//
// The input is a list of events, a dozen bytes each.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ledger/ledger.h"
#include "fuzz.h"

namespace {

using namespace sluice;

constexpr std::array<const char*, 6> kAccounts = {"a", "b", "c", "@external", "@usage", ""};
constexpr std::array<Amount, 8> kAmounts = {0, 1, 5, 100, kAmountMax, kAmountMax - 1, kInFull, -5};
constexpr std::array<Nanos, 6> kTimes = {0, 1, 10, 1'000'000, kNever - 1, kNever};

LedgerEvent event_from(FuzzInput& input, LedgerId next) {
  LedgerEvent event;
  const std::uint8_t strange = input.byte();
  event.id = strange % 32 == 1 ? input.byte() : next;
  event.type = static_cast<LedgerEventType>(input.below(14));
  event.at = strange % 16 == 2 ? kTimes[input.below(kTimes.size())] : 0;
  const std::uint8_t key = input.byte();
  if (key % 4 != 0) event.key = "k" + std::to_string(key % 64);
  event.from = kAccounts[input.below(kAccounts.size())];
  event.to = kAccounts[input.below(kAccounts.size())];
  event.amount = kAmounts[input.below(kAmounts.size())];
  event.target = input.below(16);
  event.time = kTimes[input.below(kTimes.size())];
  event.force = strange % 2 == 1;
  event.due = kTimes[input.below(kTimes.size())];
  event.code = static_cast<LedgerCode>(strange % 8 == 3 ? input.below(20) : 0);
  event.refused = static_cast<LedgerEventType>(input.below(14));
  event.linked = strange % 8 == 5 ? static_cast<std::uint32_t>(input.below(4)) : 0;
  return event;
}

// Partial sums of balances may exceed 64 bits.
__extension__ using Sum = __int128;
using Balances = std::vector<std::pair<std::string, LedgerBalance>>;

Balances balances_of(Ledger& ledger, Nanos now) {
  Balances balances;
  Sum sum = 0;
  for (const std::string& name : ledger.accounts()) {
    const LedgerBalance balance = *ledger.balance(name, now);
    require(balance.held >= 0, "nothing negative is held");
    sum += balance.posted;
    balances.emplace_back(name, balance);
  }
  require(sum == 0, "all balances sum to zero");
  return balances;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  Ledger ledger;
  while (!input.empty()) {
    const LedgerId before = ledger.last_event();
    const std::string_view problem = ledger.replay(event_from(input, before + 1));
    require(ledger.last_event() == before + (problem.empty() ? 1 : 0), "a refusal has no effect");
  }
  if (!ledger.replay_end().empty()) return 0;
  // Nothing falls due at the time of the last event.
  const Nanos now = ledger.last_at();
  const auto journal = ledger.journal(0, SIZE_MAX, now);
  Ledger copy;
  for (const LedgerEvent& event : journal) require(copy.replay(event).empty(), "it replays again");
  require(copy.replay_end().empty(), "to its end");
  require(balances_of(copy, now) == balances_of(ledger, now), "to the same balances");
  return 0;
}
