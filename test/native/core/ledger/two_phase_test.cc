// Holds, by TigerBeetle's tables for two-phase transfers (docs/coding/
// two-phase-transfers.md, and the two-phase and expiry tests of src/state_machine_tests.zig, in
// November 2026). A pending transfer is a hold, posting it is to settle, A1 the holder and A2 the
// account of the settlement.
//
// Two rules differ: a settlement always has an amount, and a closed hold is reported
// before an excessive amount.
#include <gtest/gtest.h>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

class TwoPhaseTest : public testing::Test, public LedgerFixture {
 protected:
  void SetUp() override { open("A1", kUnlimited); }
  void TearDown() override {
    EXPECT_EQ(sum_of(ledger, now), 0);
    expect_replays(ledger, now);
  }

  // Of A1: pending and posted debits. A2 must mirror the latter.
  void expect_debits(Amount pending, Amount posted) {
    EXPECT_EQ(balance("A1"), (LedgerBalance{-posted, pending}));
    EXPECT_EQ(balance("@usage").posted, posted - unpaid_);
  }

  Amount unpaid_ = 0;  // debits that did not come from a hold
};

TEST_F(TwoPhaseTest, PostFullAmount) {
  const LedgerId pending = hold("A1", 123).event.id;
  expect_debits(123, 0);
  EXPECT_EQ(settle(pending, 123).code, LedgerCode::kOk);
  expect_debits(0, 123);
}

TEST_F(TwoPhaseTest, PostPartOfTheAmountAndTheRestReturns) {
  const LedgerId pending = hold("A1", 123).event.id;
  EXPECT_EQ(settle(pending, 100).code, LedgerCode::kOk);
  expect_debits(0, 100);
}

TEST_F(TwoPhaseTest, Void) {
  const LedgerId pending = hold("A1", 123).event.id;
  EXPECT_EQ(void_hold(pending).code, LedgerCode::kOk);
  expect_debits(0, 0);
}

TEST_F(TwoPhaseTest, APendingTransferFailsAtOnceIfItCannotBePosted) {
  open("A4");
  deposit("A4", 100);
  withdraw("A4", 70);
  EXPECT_EQ(hold("A4", 50).code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(hold("A4", 30).code, LedgerCode::kOk);
}

TEST_F(TwoPhaseTest, TheTableOfBothPhases) {
  const LedgerId t1 = withdraw("A1", 15).event.id;  // not pending
  unpaid_ = 15;
  const LedgerId t2 = hold("A1", 15, 1000 * kSecond).event.id;
  const LedgerId t3 = hold("A1", 15, 50 * kSecond).event.id;
  const LedgerId t4 = hold("A1", 15, 1 * kSecond).event.id;
  const LedgerId t5 = hold("A1", 7, 50 * kSecond).event.id;
  const LedgerId t6 = hold("A1", 1).event.id;
  const LedgerId t7 = hold("A1", 1).event.id;
  expect_debits(54, 15);

  now += kSecond;
  EXPECT_EQ(run(settle_request("T101", t2, 13)).code, LedgerCode::kOk);
  EXPECT_EQ(run(void_request("T101", t3)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("T101", t2, 14)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("T101", t3, 13)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("T101", t2, 13)).event.amount, 13) << "exists";

  EXPECT_EQ(run(void_request("T102", 1030)).code, LedgerCode::kNoSuchHold);
  EXPECT_EQ(run(withdraw_request("T102", "A1", 13)).code, LedgerCode::kIdempotencyConflict)
      << "an id that has failed cannot be used again";
  EXPECT_EQ(void_hold(t1).code, LedgerCode::kNoSuchHold) << "not pending";
  EXPECT_EQ(settle(t3, 16).code, LedgerCode::kExceedsHold);
  EXPECT_EQ(settle(t2, 13).code, LedgerCode::kHoldClosed) << "posted";
  EXPECT_EQ(void_hold(t3).code, LedgerCode::kOk);
  EXPECT_EQ(settle(t3, 13).code, LedgerCode::kHoldClosed) << "voided";
  EXPECT_EQ(void_hold(t4).code, LedgerCode::kHoldExpired);

  EXPECT_EQ(run(settle_request("T105", t5, 8)).code, LedgerCode::kExceedsHold);
  EXPECT_EQ(run(settle_request("T105b", t5, 7)).code, LedgerCode::kOk);
  EXPECT_EQ(run(settle_request("T105b", t5, 7)).code, LedgerCode::kOk);
  EXPECT_EQ(run(settle_request("T105b", t5, 6)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("T105b", t5, 0)).code, LedgerCode::kIdempotencyConflict);
  EXPECT_EQ(settle(t6, kAmountMax).code, LedgerCode::kExceedsHold);
  EXPECT_EQ(settle(t6, 1).code, LedgerCode::kOk);
  EXPECT_EQ(settle(t7, 0).code, LedgerCode::kOk);
  expect_debits(0, 36);
}

TEST_F(TwoPhaseTest, TheLargestAmount) {
  const LedgerId pending = hold("A1", kAmountMax).event.id;
  EXPECT_EQ(run(settle_request("T2", pending, kAmountMax)).code, LedgerCode::kOk);
  EXPECT_EQ(run(settle_request("T2", pending, kAmountMax)).code, LedgerCode::kOk);
  expect_debits(0, kAmountMax);
}

TEST_F(TwoPhaseTest, APostedSumThatDoesNotFitIsRefusedAndTheHoldStays) {
  settle(hold("A1", kAmountMax).event.id, kAmountMax);
  open("B1", kUnlimited);
  const LedgerId pending = hold("B1", 2).event.id;
  EXPECT_EQ(settle(pending, 1).code, LedgerCode::kAmountOverflow);
  EXPECT_EQ(balance("B1"), (LedgerBalance{0, 2}));
  EXPECT_EQ(settle(pending, 0).code, LedgerCode::kOk);
}

TEST_F(TwoPhaseTest, TheTableOfExpiry) {
  const LedgerId t1 = hold("A1", 10).event.id;  // never expires
  const LedgerId t2 = hold("A1", 11, 1 * kSecond).event.id;
  const LedgerId t3 = hold("A1", 12, 2 * kSecond).event.id;
  const LedgerId t4 = hold("A1", 13, 3 * kSecond).event.id;
  expect_debits(46, 0);
  for (const Amount left : {35, 23, 10}) {
    now += kSecond;
    expect_debits(left, 0);
  }
  EXPECT_EQ(settle(t1, 10).code, LedgerCode::kOk);
  EXPECT_EQ(settle(t2, 11).code, LedgerCode::kHoldExpired);
  EXPECT_EQ(settle(t3, 12).code, LedgerCode::kHoldExpired);
  EXPECT_EQ(settle(t4, 13).code, LedgerCode::kHoldExpired);
  expect_debits(0, 10);
}

TEST_F(TwoPhaseTest, AHoldIsAliveUntilTheNanosecondOfItsExpiry) {
  const LedgerId one = hold("A1", 5, kSecond).event.id;
  const LedgerId two = hold("A1", 5, kSecond).event.id;
  EXPECT_EQ(ledger.next_deadline(), kSecond);
  now = kSecond - 1;
  EXPECT_EQ(settle(one, 5).code, LedgerCode::kOk);
  now = kSecond;
  EXPECT_EQ(settle(two, 5).code, LedgerCode::kHoldExpired);
  EXPECT_EQ(ledger.next_deadline(), kNever);
}

TEST_F(TwoPhaseTest, ExpiryIsAnEvent) {
  const LedgerId held = hold("A1", 5, kSecond).event.id;
  now = 3 * kSecond;
  ledger.advance(now);
  const LedgerEvent last = ledger.events("A1", 0, 100, now)->back();
  EXPECT_EQ(last.type, LedgerEventType::kHoldExpired);
  EXPECT_EQ(last.target, held);
  EXPECT_EQ(last.amount, 5);
  EXPECT_EQ(last.at, 3 * kSecond);
}

TEST_F(TwoPhaseTest, OpenHoldsAreActiveHoldsWithATimeout) {
  const auto ids = [this] {
    std::vector<LedgerId> found;
    for (const LedgerEvent& each : ledger.open_holds(now)) found.push_back(each.id);
    return found;
  };
  const LedgerId later = hold("A1", 1, 20).event.id;
  const LedgerId sooner = hold("A1", 2, 10).event.id;
  const LedgerId settled = hold("A1", 3, 10).event.id;
  const LedgerId voided = hold("A1", 4, 10).event.id;
  hold("A1", 5, kNever);
  ASSERT_EQ(settle(settled, 0).code, LedgerCode::kOk);
  ASSERT_EQ(void_hold(voided).code, LedgerCode::kOk);
  EXPECT_EQ(ids(), (std::vector{sooner, later}));
  now += 10;
  EXPECT_EQ(ids(), std::vector{later});
}

}  // namespace
}  // namespace sluice
