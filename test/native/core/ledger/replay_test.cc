// Accepted and refused journals.
#include <gtest/gtest.h>

#include <functional>
#include <string_view>
#include <vector>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

class LedgerReplayTest : public testing::Test, public LedgerFixture {
 protected:
  // Events of every kind; the comments have their ids.
  void SetUp() override {
    open("alice");                                     // 1
    open("bob", 10);                                   // 2
    run(deposit_request("in", "alice", 100));          // 3
    held_ = hold("alice", 30, 5 * kSecond).event.id;   // 4
    run(withdraw_request("refused", "alice", 500));    // 5
    schedule(9 * kSecond, "alice", "bob", 20);         // 6
    run(transfer_request("move", "alice", "bob", 5));  // 7
    now = kSecond;
  }

  static void take_in(Ledger& ledger, const std::vector<LedgerEvent>& journal) {
    for (const LedgerEvent& event : journal) ASSERT_EQ(ledger.replay(event), "");
  }

  // The refusal of the journal after a change of one of its events.
  std::string_view refusal_of(LedgerId id, const std::function<void(LedgerEvent&)>& change) {
    auto events = journal();
    change(events[id - 1]);
    Ledger copy;
    std::string_view refusal;
    for (std::size_t i = 0; i < events.size() && refusal.empty(); ++i) {
      refusal = copy.replay(events[i]);
      if (!refusal.empty()) {
        EXPECT_EQ(i + 1, id);
        EXPECT_EQ(copy.last_event(), i) << "it was taken in all the same";
      }
    }
    return refusal;
  }

  LedgerId held_ = 0;
};

TEST_F(LedgerReplayTest, ItContinuesAtThePositionOfTheOther) {
  Ledger copy;
  take_in(copy, journal());
  EXPECT_EQ(copy.next_deadline(), 5 * kSecond);
  for (Ledger* each : {&ledger, &copy}) {
    EXPECT_EQ(each->execute(settle_request("settle", held_, 10), now).code, LedgerCode::kOk);
    EXPECT_EQ(each->balance("bob", 9 * kSecond)->posted, 25) << "what was scheduled is executed";
  }
  EXPECT_EQ(balances_of(copy, 9 * kSecond), balances_of(ledger, 9 * kSecond));
}

TEST_F(LedgerReplayTest, KeysKeepTheirAnswers) {
  Ledger copy;
  take_in(copy, journal());
  EXPECT_EQ(copy.execute(deposit_request("in", "alice", 100), now).balance,
            (LedgerBalance{100, 0}));
  EXPECT_EQ(copy.execute(deposit_request("new", "alice", 1000), now).code, LedgerCode::kOk);
  const LedgerResult refused = copy.execute(withdraw_request("refused", "alice", 500), now);
  EXPECT_EQ(refused.code, LedgerCode::kInsufficientFunds);
  EXPECT_EQ(refused.balance, (LedgerBalance{100, 30}));
  EXPECT_EQ(copy.execute(deposit_request("in", "alice", 101), now).code,
            LedgerCode::kIdempotencyConflict);
}

TEST_F(LedgerReplayTest, AnExpiredHoldExpiresInTheCopyAsWell) {
  Ledger copy;
  take_in(copy, journal());
  EXPECT_EQ(copy.balance("alice", 5 * kSecond)->held, 0);
  EXPECT_EQ(copy.execute(settle_request("late", held_, 10), 5 * kSecond).code,
            LedgerCode::kHoldExpired);
}

TEST_F(LedgerReplayTest, ImpossibleEventsAreRefused) {
  settle(held_, 30);                      // 8
  cancel(6);                              // 9
  reverse(7);                             // 10
  hold("bob", 10, kSecond);               // 11
  schedule(now + 1, "bob", "alice", 30);  // 12
  now += kSecond;
  ledger.advance(now);  // 13: the schedule failed; 14: the hold expired
  ASSERT_EQ(ledger.last_event(), 14u);
  const auto refusal = [this](LedgerId id, auto&& change) { return refusal_of(id, change); };
  EXPECT_EQ(refusal(1, [](LedgerEvent&) {}), "");

  EXPECT_NE(refusal(1, [](LedgerEvent& e) { e.due = 0; }), "") << "nothing of it may fall due";
  EXPECT_NE(refusal(1, [](LedgerEvent& e) { e.key = "new"; }), "");
  EXPECT_NE(refusal(1, [](LedgerEvent& e) { e.code = LedgerCode::kSameAccount; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.id = 4; }), "");
  EXPECT_NE(refusal(9, [](LedgerEvent& e) { e.at = 0; }), "");
  EXPECT_NE(refusal(2, [](LedgerEvent& e) { e.from = "alice"; }), "") << "open twice";
  EXPECT_NE(refusal(2, [](LedgerEvent& e) { e.from = "@mine"; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.amount = -1; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.from = "bob"; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.to = "nobody"; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.key.clear(); }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.due = 5; }), "");
  EXPECT_NE(refusal(3, [](LedgerEvent& e) { e.code = LedgerCode::kSameAccount; }), "");
  EXPECT_NE(refusal(4, [](LedgerEvent& e) { e.time = e.due + 1; }), "");
  EXPECT_NE(refusal(4, [](LedgerEvent& e) { e.amount = 101; }), "") << "more than there is";
  EXPECT_NE(refusal(5, [](LedgerEvent& e) { e.code = LedgerCode::kOk; }), "");
  EXPECT_NE(refusal(5, [](LedgerEvent& e) { e.key = "in"; }), "") << "a key twice";
  EXPECT_NE(refusal(5, [](LedgerEvent& e) { e.refused = Type::kOpen; }), "");
  EXPECT_NE(refusal(6, [](LedgerEvent& e) { e.due += 1; }), "");
  EXPECT_NE(refusal(7, [](LedgerEvent& e) { e.key = "in"; }), "") << "a key twice";
  EXPECT_NE(refusal(7, [](LedgerEvent& e) { e.target = 3; }), "");
  EXPECT_NE(refusal(7, [](LedgerEvent& e) { e.to = "@usage"; }), "");
  EXPECT_NE(refusal(8, [](LedgerEvent& e) { e.target = 7; }), "") << "no hold";
  EXPECT_NE(refusal(8, [](LedgerEvent& e) { e.amount = 31; }), "");
  EXPECT_NE(refusal(8, [](LedgerEvent& e) { e.to = "bob"; }), "");
  EXPECT_NE(refusal(9, [](LedgerEvent& e) { e.target = 99; }), "");
  EXPECT_NE(refusal(10, [](LedgerEvent& e) { e.target = 4; }), "") << "not reversible";
  EXPECT_NE(refusal(10, [](LedgerEvent& e) { e.amount = 4; }), "");
  EXPECT_NE(refusal(13, [](LedgerEvent& e) { e.code = LedgerCode::kOk; }), "");
  EXPECT_NE(refusal(13, [](LedgerEvent& e) { e.target = 6; }), "") << "cancelled before";
  EXPECT_NE(refusal(14, [](LedgerEvent& e) { e.target = 4; }), "") << "settled before";
  EXPECT_NE(refusal(14, [](LedgerEvent& e) { e.target = 12; }), "") << "no hold";
  EXPECT_NE(refusal(14, [](LedgerEvent& e) { e.key = "new"; }), "");
}

}  // namespace
}  // namespace sluice
