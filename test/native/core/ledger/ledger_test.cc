// The rules of a ledger, one by one.
#include <gtest/gtest.h>

#include <vector>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

class LedgerTest : public testing::Test, public LedgerFixture {
 protected:
  void TearDown() override {
    EXPECT_EQ(sum_of(ledger, now), 0);
    expect_replays(ledger, now);
  }

  static std::vector<Type> types(const std::vector<LedgerEvent>& events) {
    std::vector<Type> result;
    for (const LedgerEvent& event : events) result.push_back(event.type);
    return result;
  }
};

TEST_F(LedgerTest, MoneyComesFromOutsideAndGoesThere) {
  EXPECT_EQ(open("alice").code, LedgerCode::kOk);
  const LedgerResult deposited = deposit("alice", 100);
  EXPECT_EQ(deposited.code, LedgerCode::kOk);
  EXPECT_EQ(deposited.balance, (LedgerBalance{100, 0}));
  EXPECT_EQ(deposited.event.from, kExternalAccount);
  EXPECT_EQ(deposited.event.to, "alice");
  EXPECT_EQ(balance("@external"), (LedgerBalance{-100, 0}));
  EXPECT_EQ(withdraw("alice", 40).balance, (LedgerBalance{60, 0}));
  EXPECT_EQ(balance("@external"), (LedgerBalance{-60, 0}));
}

TEST_F(LedgerTest, ATransferMovesWhatOnePaysToTheOther) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  const LedgerResult moved = transfer("alice", "bob", 30);
  EXPECT_EQ(moved.balance, (LedgerBalance{70, 0}));
  EXPECT_EQ(balance("bob"), (LedgerBalance{30, 0}));
  EXPECT_EQ(transfer("alice", "alice", 1).code, LedgerCode::kSameAccount);
}

TEST_F(LedgerTest, NoAccountOpensTwiceAndNoneIsMadeUp) {
  EXPECT_EQ(open("alice", 5).code, LedgerCode::kOk);
  EXPECT_EQ(open("alice", 7).code, LedgerCode::kAccountExists);
  EXPECT_EQ(withdraw("alice", 6).code, LedgerCode::kInsufficientFunds);
  for (const LedgerResult& result :
       {deposit("bob", 1), withdraw("bob", 1), transfer("alice", "bob", 1),
        transfer("bob", "alice", 1), hold("bob", 1), schedule(5, "alice", "bob", 1)}) {
    EXPECT_EQ(result.code, LedgerCode::kNoSuchAccount);
  }
  EXPECT_FALSE(ledger.balance("bob", now).has_value());
  EXPECT_FALSE(ledger.events("bob", 0, 10, now).has_value());
}

TEST_F(LedgerTest, NothingGoesBelowItsLimitHeldAmountsCounted) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  EXPECT_EQ(hold("alice", 60).code, LedgerCode::kOk);
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 60}));
  EXPECT_EQ(balance("alice").available(), 40);
  EXPECT_EQ(withdraw("alice", 41).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(transfer("alice", "bob", 41).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(hold("alice", 41).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(hold("alice", 40).code, LedgerCode::kOk);
  EXPECT_EQ(balance("alice").available(), 0);
}

TEST_F(LedgerTest, AnOverdraftIsALimitOrNone) {
  open("limited", 50);
  open("unlimited", kUnlimited);
  EXPECT_EQ(withdraw("limited", 51).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(withdraw("limited", 30).balance, (LedgerBalance{-30, 0}));
  EXPECT_EQ(hold("limited", 21).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(hold("limited", 20).code, LedgerCode::kOk);
  EXPECT_EQ(transfer("unlimited", "limited", 1'000'000).balance, (LedgerBalance{-1'000'000, 0}));
}

TEST_F(LedgerTest, ASumThatDoesNotFitIsRefused) {
  open("rich");
  open("poor", kUnlimited);
  open("other", kUnlimited);
  EXPECT_EQ(deposit("rich", kAmountMax).code, LedgerCode::kOk);
  EXPECT_EQ(deposit("rich", 1).code, LedgerCode::kAmountOverflow);
  EXPECT_EQ(deposit("poor", 1).code, LedgerCode::kAmountOverflow) << "of the other side";
  EXPECT_EQ(transfer("poor", "other", kAmountMax).code, LedgerCode::kOk);
  EXPECT_EQ(transfer("poor", "other", 1).code, LedgerCode::kAmountOverflow) << "of who pays";
  open("another", kUnlimited);
  EXPECT_EQ(transfer("another", "rich", 1).code, LedgerCode::kAmountOverflow) << "of who is paid";
  EXPECT_EQ(hold("poor", 1).code, LedgerCode::kAmountOverflow);
  EXPECT_EQ(hold("rich", kAmountMax).code, LedgerCode::kOk);
  EXPECT_EQ(balance("rich").available(), 0);
}

TEST_F(LedgerTest, TheSumOfHoldsFitsToo) {
  open("alice", kAmountMax - 1);
  deposit("alice", kAmountMax);
  EXPECT_EQ(hold("alice", kAmountMax).code, LedgerCode::kOk);
  EXPECT_EQ(hold("alice", 1).code, LedgerCode::kAmountOverflow);
}

TEST_F(LedgerTest, AKeyGivesTheFirstAnswerAgain) {
  open("alice");
  const LedgerResult first = run(deposit_request("k", "alice", 100));
  withdraw("alice", 30);
  const LedgerResult again = run(deposit_request("k", "alice", 100));
  EXPECT_EQ(again.code, LedgerCode::kOk);
  EXPECT_EQ(again.event.id, first.event.id);
  EXPECT_EQ(again.balance, (LedgerBalance{100, 0})) << "as it was then";
  EXPECT_EQ(balance("alice"), (LedgerBalance{70, 0}));
}

TEST_F(LedgerTest, ADepositDoesNotTurnYesterdaysRefusalIntoASuccess) {
  open("alice");
  const LedgerResult refused = run(withdraw_request("k", "alice", 50));
  EXPECT_EQ(refused.code, LedgerCode::kInsufficientFunds);
  deposit("alice", 100);
  const LedgerResult again = run(withdraw_request("k", "alice", 50));
  EXPECT_EQ(again.code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(again.event.id, refused.event.id);
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
  EXPECT_EQ(run(transfer_request("j", "alice", "bob", 1)).code, LedgerCode::kNoSuchAccount);
  open("bob");
  EXPECT_EQ(run(transfer_request("j", "alice", "bob", 1)).code, LedgerCode::kNoSuchAccount);
}

TEST_F(LedgerTest, AKeyWithOtherParametersIsAConflictWithoutAnEffect) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  run(transfer_request("k", "alice", "bob", 10));
  const LedgerId before = ledger.last_event();
  for (const LedgerRequest& other :
       {transfer_request("k", "alice", "bob", 11), transfer_request("k", "bob", "alice", 10),
        deposit_request("k", "alice", 10), withdraw_request("k", "alice", 10),
        hold_request("k", "alice", 10, kSecond), settle_request("k", 1, 10), void_request("k", 1),
        reverse_request("k", 1, false), cancel_request("k", 1),
        schedule_request("k", 0, "alice", "bob", 10)}) {
    const LedgerResult result = run(other);
    EXPECT_EQ(result.code, LedgerCode::kIdempotencyConflict);
    EXPECT_EQ(result.event.id, 0u);
  }
  EXPECT_EQ(ledger.last_event(), before);
  EXPECT_EQ(run(withdraw_request("refused", "alice", 1000)).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(run(withdraw_request("refused", "alice", 1)).code, LedgerCode::kIdempotencyConflict);
}

TEST_F(LedgerTest, EachParameterDistinguishesRequests) {
  open("alice");
  deposit("alice", 100);
  const LedgerId one = run(hold_request("hold", "alice", 10, kSecond)).event.id;
  const LedgerId two = hold("alice", 10).event.id;
  EXPECT_EQ(run(hold_request("hold", "alice", 10, 2 * kSecond)).code,
            LedgerCode::kIdempotencyConflict);
  run(settle_request("settle", one, 4));
  EXPECT_EQ(run(settle_request("settle", one, 4)).code, LedgerCode::kOk);
  EXPECT_EQ(run(settle_request("settle", one, 5)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("settle", two, 4)).code, LedgerCode::kIdempotencyConflict);
  run(void_request("void", two));
  EXPECT_EQ(run(void_request("void", two)).code, LedgerCode::kOk);
  EXPECT_EQ(run(void_request("void", one)).code, LedgerCode::kIdempotencyConflict);
  const LedgerId given = deposit("alice", 1).event.id;
  run(reverse_request("reverse", given, true));
  EXPECT_EQ(run(reverse_request("reverse", given, true)).code, LedgerCode::kOk);
  EXPECT_EQ(run(reverse_request("reverse", given, false)).code, LedgerCode::kIdempotencyConflict);
}

TEST_F(LedgerTest, AReversalIsANewEventOnceOnly) {
  open("alice");
  open("bob");
  const LedgerId in = deposit("alice", 100).event.id;
  const LedgerId moved = transfer("alice", "bob", 40).event.id;
  const LedgerResult back = reverse(moved);
  EXPECT_EQ(back.code, LedgerCode::kOk);
  EXPECT_EQ(back.event.type, Type::kReverse);
  EXPECT_EQ(back.event.target, moved);
  EXPECT_EQ(back.event.from, "bob");
  EXPECT_EQ(back.event.amount, 40);
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
  EXPECT_EQ(balance("bob"), (LedgerBalance{0, 0}));
  EXPECT_EQ(reverse(moved).code, LedgerCode::kAlreadyReversed);
  EXPECT_EQ(reverse(moved, true).code, LedgerCode::kAlreadyReversed);
  const LedgerId out = withdraw("alice", 100).event.id;
  EXPECT_EQ(reverse(out).balance, (LedgerBalance{100, 0}));
  EXPECT_EQ(reverse(in).balance, (LedgerBalance{0, 0}));
}

TEST_F(LedgerTest, AReversalIsRefusedIfTheFundsAreSpentUnlessForced) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  const LedgerId moved = transfer("alice", "bob", 40).event.id;
  hold("bob", 30);
  EXPECT_EQ(reverse(moved).code, LedgerCode::kInsufficientFunds);
  const LedgerResult forced = reverse(moved, true);
  EXPECT_EQ(forced.code, LedgerCode::kOk);
  EXPECT_EQ(balance("bob"), (LedgerBalance{0, 30}));
  EXPECT_EQ(balance("bob").available(), -30);
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
}

TEST_F(LedgerTest, ASettlementCanBeReversedOtherEventsCannot) {
  open("alice");
  deposit("alice", 100);
  const LedgerId held = hold("alice", 50).event.id;
  const LedgerId settled = settle(held, 20).event.id;
  EXPECT_EQ(balance("@usage"), (LedgerBalance{20, 0}));
  const LedgerResult back = reverse(settled);
  EXPECT_EQ(back.balance, (LedgerBalance{100, 0}));
  EXPECT_EQ(balance("@usage"), (LedgerBalance{0, 0}));
  const LedgerId other = hold("alice", 5).event.id;
  const LedgerId refusal = withdraw("alice", 1000).event.id;
  open("bob");
  const LedgerId scheduled = schedule(kSecond, "alice", "bob", 1).event.id;
  for (const LedgerId event :
       {LedgerId{1}, held, back.event.id, void_hold(other).event.id, other, refusal, scheduled}) {
    EXPECT_EQ(reverse(event).code, LedgerCode::kNotReversible) << event;
  }
  EXPECT_EQ(reverse(0).code, LedgerCode::kNoSuchEvent);
  EXPECT_EQ(reverse(ledger.last_event() + 5).code, LedgerCode::kNoSuchEvent);
}

TEST_F(LedgerTest, ScheduledTransfersRunWhenTheyAreDueByDueAndId) {
  open("alice");
  open("bob");
  open("carol");
  deposit("alice", 100);
  const LedgerId second = schedule(2 * kSecond, "alice", "bob", 80).event.id;
  const LedgerId first = schedule(kSecond, "alice", "bob", 10).event.id;
  const LedgerId third = schedule(2 * kSecond, "alice", "carol", 90).event.id;
  EXPECT_EQ(ledger.next_deadline(), kSecond);
  now = kSecond - 1;
  EXPECT_EQ(balance("bob"), (LedgerBalance{0, 0}));
  now = 2 * kSecond;
  EXPECT_EQ(balance("bob"), (LedgerBalance{90, 0}));
  EXPECT_EQ(balance("carol"), (LedgerBalance{0, 0}));
  EXPECT_EQ(ledger.next_deadline(), kNever);
  const auto events = journal();
  const std::size_t from = events.size() - 3;
  EXPECT_EQ(types({events.begin() + static_cast<std::ptrdiff_t>(from), events.end()}),
            (std::vector{Type::kTransfer, Type::kTransfer, Type::kScheduleFailed}));
  EXPECT_EQ(events[from].target, first);
  EXPECT_EQ(events[from].key, "");
  EXPECT_EQ(events[from + 1].target, second);
  EXPECT_EQ(events[from + 2].target, third);
  EXPECT_EQ(events[from + 2].code, LedgerCode::kInsufficientFunds);
}

TEST_F(LedgerTest, AFailedScheduledTransferIsNotRetried) {
  open("alice");
  open("bob");
  const LedgerId scheduled = schedule(kSecond, "alice", "bob", 10).event.id;
  now = kSecond;
  ledger.advance(now);
  deposit("alice", 100);
  now = 10 * kSecond;
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
  EXPECT_EQ(cancel(scheduled).code, LedgerCode::kAlreadyExecuted);
}

TEST_F(LedgerTest, ATransferScheduledForThePastIsMadeAtOnce) {
  open("alice");
  open("bob");
  deposit("alice", 10);
  now = 5 * kSecond;
  const LedgerEvent scheduled = schedule(kSecond, "alice", "bob", 10).event;
  EXPECT_EQ(scheduled.type, Type::kSchedule);
  EXPECT_EQ(ledger.last_event(), scheduled.id + 1) << "before anybody asks";
  EXPECT_EQ(journal().back().type, Type::kTransfer);
  EXPECT_EQ(journal().back().at, now);
}

TEST_F(LedgerTest, AScheduledTransferIsCancelledBeforeItIsExecuted) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  const LedgerId one = schedule(kSecond, "alice", "bob", 10).event.id;
  const LedgerId two = schedule(2 * kSecond, "alice", "bob", 20).event.id;
  EXPECT_EQ(cancel(one).code, LedgerCode::kOk);
  EXPECT_EQ(cancel(one).code, LedgerCode::kAlreadyCancelled);
  now = 2 * kSecond;
  EXPECT_EQ(cancel(two).code, LedgerCode::kAlreadyExecuted) << "at its time it is executed";
  EXPECT_EQ(balance("bob"), (LedgerBalance{20, 0}));
  EXPECT_EQ(cancel(1).code, LedgerCode::kNoSuchScheduled);
  EXPECT_EQ(cancel(99).code, LedgerCode::kNoSuchScheduled);
}

TEST_F(LedgerTest, AnExecutedTransferCanBeReversed) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  schedule(kSecond, "alice", "bob", 10);
  now = kSecond;
  ledger.advance(now);
  EXPECT_EQ(reverse(ledger.last_event()).code, LedgerCode::kOk);
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
}

TEST_F(LedgerTest, HoldsExpireBeforeATransferThatIsDueLater) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  schedule(2 * kSecond, "alice", "bob", 100);
  hold("alice", 100, kSecond);
  now = 3 * kSecond;
  EXPECT_EQ(balance("bob"), (LedgerBalance{100, 0}));
}

TEST_F(LedgerTest, DueEventsHappenInTheOrderOfTheirIds) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  schedule(kSecond, "alice", "bob", 100);
  hold("alice", 100, kSecond);
  now = kSecond;
  EXPECT_EQ(balance("bob"), (LedgerBalance{0, 0})) << "the hold was still there";
  EXPECT_EQ(balance("alice"), (LedgerBalance{100, 0}));
}

TEST_F(LedgerTest, AnAccountsEventsComeInPages) {
  open("alice");
  open("bob");
  deposit("alice", 100);
  const LedgerId held = hold("alice", 10).event.id;
  transfer("alice", "bob", 5);
  withdraw("alice", 1000);
  settle(held, 10);
  const auto all = *ledger.events("alice", 0, 100, now);
  EXPECT_EQ(types(all), (std::vector{Type::kOpen, Type::kDeposit, Type::kHold, Type::kTransfer,
                                     Type::kSettle}));
  EXPECT_EQ(types(*ledger.events("alice", all[1].id, 2, now)),
            (std::vector{Type::kHold, Type::kTransfer}));
  EXPECT_EQ(types(*ledger.events("bob", 0, 100, now)), (std::vector{Type::kOpen, Type::kTransfer}));
  EXPECT_TRUE(ledger.events("alice", all.back().id, 100, now)->empty());
  EXPECT_EQ(types(*ledger.events("@usage", 0, 100, now)), (std::vector{Type::kSettle}));
  EXPECT_EQ(ledger.journal(2, 2, now).front().id, 3u);
  EXPECT_EQ(ledger.journal(2, 2, now).size(), 2u);
  EXPECT_TRUE(ledger.journal(99, 2, now).empty());
}

TEST_F(LedgerTest, AnObserverSeesEveryEventInOrder) {
  std::vector<LedgerId> seen;
  std::vector<Type> types;
  ledger.observe([&](auto events) {
    for (const LedgerEvent* event : events) {
      seen.push_back(event->id);
      types.push_back(event->type);
    }
  });
  open("alice");
  run(deposit_request("k", "alice", 10));
  run(deposit_request("k", "alice", 10));
  withdraw("alice", 11);
  hold("alice", 10, kSecond);
  now = kSecond;
  ledger.advance(now);
  EXPECT_EQ(seen, (std::vector<LedgerId>{1, 2, 3, 4, 5}));
  EXPECT_EQ(types, (std::vector{Type::kOpen, Type::kDeposit, Type::kRefused, Type::kHold,
                                Type::kHoldExpired}));
}

TEST_F(LedgerTest, TimeInTheJournalDoesNotGoBack) {
  open("alice");
  now = 10 * kSecond;
  deposit("alice", 1);
  now = 5 * kSecond;
  EXPECT_EQ(deposit("alice", 1).event.at, 10 * kSecond);
}

}  // namespace
}  // namespace sluice
