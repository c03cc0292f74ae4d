// Linked transfers, closed accounts, settlements in full, metadata, and erased names.
#include <random>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

using Code = LedgerCode;
using Type = LedgerEventType;

class LedgerLinkedTest : public ::testing::Test, protected LedgerFixture {
 protected:
  LedgerLinkedTest() {
    for (const char* name : {"a", "b", "c"}) open(name);
    deposit("a", 100);
  }
  ~LedgerLinkedTest() override {
    EXPECT_EQ(sum_of(ledger, now), 0);
    expect_replays(ledger, now);
  }

  std::vector<LedgerResult> linked(std::vector<LedgerRequest> requests) {
    requests.front().key = key();
    return ledger.execute_linked(requests, now);
  }
  static LedgerRequest move(const std::string& from, const std::string& to, Amount amount) {
    return transfer_request("", from, to, amount);
  }
  std::vector<Amount> posted() {
    return {balance("a").posted, balance("b").posted, balance("c").posted};
  }
};

TEST_F(LedgerLinkedTest, MovesAllInOrder) {
  const auto results = linked({move("a", "b", 60), move("b", "c", 50), deposit_request("", "b", 5),
                               withdraw_request("", "c", 20)});
  ASSERT_EQ(results.size(), 4u);
  std::uint32_t left = 4;
  for (const LedgerResult& result : results) {
    EXPECT_EQ(result.code, Code::kOk);
    EXPECT_EQ(result.event.linked, --left);
    EXPECT_EQ(result.event.id, results[0].event.id + 3 - left);
    EXPECT_EQ(result.event.key.empty(), left != 3);
  }
  EXPECT_EQ(results[0].balance.posted, 40);
  EXPECT_EQ(results[1].balance.posted, 10);
  EXPECT_EQ(results[2].balance.posted, 15);
  EXPECT_EQ(posted(), (std::vector<Amount>{40, 15, 30}));
}

TEST_F(LedgerLinkedTest, MovesNothingWhereOneIsRefused) {
  const std::vector<Amount> before = posted();
  const auto results = linked({move("a", "b", 60), move("b", "c", 61), move("a", "c", 1)});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].code, Code::kLinkedFailed);
  EXPECT_EQ(results[1].code, Code::kInsufficientFunds);
  EXPECT_EQ(results[2].code, Code::kLinkedFailed);
  EXPECT_EQ(posted(), before);
  EXPECT_EQ(linked({move("a", "b", 1), move("a", "nobody", 1)})[1].code, Code::kNoSuchAccount);
  EXPECT_EQ(linked({move("b", "b", 1), move("a", "b", 1)})[0].code, Code::kSameAccount);
  EXPECT_EQ(posted(), before);
  const auto events = ledger.events("a", 0, 100, now);
  EXPECT_EQ(events->size(), 2u) << "refusals concern no account";
}

TEST_F(LedgerLinkedTest, GivesItsFirstAnswerAgain) {
  std::vector<LedgerRequest> requests{transfer_request("k", "a", "b", 60), move("b", "c", 10)};
  const auto first = ledger.execute_linked(requests, now);
  transfer("a", "c", 40);
  const auto again = ledger.execute_linked(requests, now);
  ASSERT_EQ(again.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again[i].event.id, first[i].event.id);
    EXPECT_EQ(again[i].balance, first[i].balance);
  }
  const auto conflicts = [&](const std::vector<LedgerRequest>& other) {
    const auto answer = ledger.execute_linked(other, now);
    return answer.size() == 1 && answer[0].code == Code::kIdempotencyConflict;
  };
  EXPECT_TRUE(conflicts({requests[0]})) << "only the first";
  EXPECT_TRUE(conflicts({requests[0], move("b", "c", 11)}));
  EXPECT_TRUE(conflicts({requests[0], requests[1], move("b", "c", 1)}));
  EXPECT_EQ(run(requests[0]).code, Code::kIdempotencyConflict) << "not linked";
  run(transfer_request("single", "a", "b", 0));
  EXPECT_TRUE(conflicts({transfer_request("single", "a", "b", 0), move("b", "c", 1)}));
  const std::vector<LedgerRequest> refused{transfer_request("r", "b", "a", 1), move("c", "a", 999)};
  EXPECT_EQ(ledger.execute_linked(refused, now)[1].code, Code::kInsufficientFunds);
  deposit("c", 2000);
  EXPECT_EQ(ledger.execute_linked(refused, now)[1].code, Code::kInsufficientFunds);
}

TEST_F(LedgerLinkedTest, AgreesWithMovingCopies) {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<Amount>(random() % n); };
  const char* const names[] = {"a", "b", "c", "@external"};
  for (int round = 0; round < 2000; ++round) {
    std::vector<LedgerRequest> requests;
    std::map<std::string, Amount> copy{
        {"a", balance("a").posted}, {"b", balance("b").posted}, {"c", balance("c").posted}};
    const auto before = copy;
    bool possible = true;
    for (Amount left = 1 + below(5); left > 0; --left) {
      const std::string from = names[below(4)];
      const std::string to = names[from[0] == '@' ? below(3) : below(4)];
      if (from == to) continue;
      const Amount amount = below(60);
      requests.push_back(transfer_request("", from, to, amount));
      if (from[0] == '@') requests.back().operation = Type::kDeposit;
      if (to[0] == '@') requests.back().operation = Type::kWithdraw;
      copy[from] -= amount;
      copy[to] += amount;
      possible = possible && (from[0] == '@' || copy[from] >= 0);
    }
    if (requests.empty()) continue;
    const auto results = linked(requests);
    bool done = true;
    for (const LedgerResult& result : results) done = done && result.code == Code::kOk;
    ASSERT_EQ(done, possible);
    const auto& expected = possible ? copy : before;
    for (const char* name : {"a", "b", "c"}) ASSERT_EQ(balance(name).posted, expected.at(name));
  }
}

TEST_F(LedgerLinkedTest, IsReplayedWholeOrNotAtAll) {
  linked({move("a", "b", 60), move("b", "c", 50)});
  const std::vector<LedgerEvent> events = journal();
  const auto replay = [](std::vector<LedgerEvent> of) {
    Ledger copy;
    for (const LedgerEvent& event : of) {
      if (const std::string_view problem = copy.replay(event); !problem.empty()) return problem;
    }
    return copy.replay_end();
  };
  EXPECT_EQ(replay(events), "");
  EXPECT_NE(replay({events.begin(), events.end() - 1}), "");
  const auto changed = [&](auto change) {
    std::vector<LedgerEvent> of = events;
    change(of);
    return replay(of);
  };
  EXPECT_NE(changed([](auto& of) { of.back().key = "own"; }), "");
  EXPECT_NE(changed([](auto& of) { of.back().linked = 1; }), "");
  EXPECT_NE(changed([](auto& of) { of[of.size() - 2].linked = 2; }), "");
  EXPECT_NE(changed([](auto& of) { of[0].linked = 1; }), "");
  EXPECT_NE(changed([](auto& of) { of.back().at += 1; }), "");
}

TEST_F(LedgerLinkedTest, SettlesInFull) {
  const LedgerId held = hold("a", 70).event.id;
  const LedgerRequest settle = settle_request("s", held, kInFull);
  const LedgerResult result = run(settle);
  EXPECT_EQ(result.code, Code::kOk);
  EXPECT_EQ(result.event.amount, 70);
  EXPECT_EQ(balance("a"), (LedgerBalance{30, 0}));
  EXPECT_EQ(run(settle).event.id, result.event.id);
  EXPECT_EQ(run(settle_request("s", held, 70)).event.id, result.event.id);
  EXPECT_EQ(run(settle_request("s", held, 69)).code, Code::kIdempotencyConflict);
  EXPECT_EQ(run(settle_request("s2", held, kInFull)).code, Code::kHoldClosed);
  // Refused before the hold exists, and requested again once it does.
  const LedgerId next = ledger.last_event() + 2;
  const LedgerRequest early = settle_request("early", next, kInFull);
  EXPECT_EQ(run(early).code, Code::kNoSuchHold);
  EXPECT_EQ(hold("a", 1).event.id, next);
  EXPECT_EQ(run(early).code, Code::kNoSuchHold);
}

TEST_F(LedgerLinkedTest, ClosesAnEmptyAccountForGood) {
  const LedgerResult moved = transfer("a", "b", 100);
  EXPECT_EQ(run(close_request(key(), "b")).code, Code::kAccountNotEmpty);
  EXPECT_EQ(run(close_request(key(), "nobody")).code, Code::kNoSuchAccount);
  const LedgerId held = hold("a", 0).event.id;
  schedule(now + 10, "b", "a", 1);
  const LedgerId cancelled = schedule(now + 11, "b", "a", 1).event.id;
  const LedgerRequest closing = close_request("close", "a");
  EXPECT_EQ(run(closing).code, Code::kOk);
  EXPECT_EQ(run(closing).code, Code::kOk) << "the first answer again";
  EXPECT_EQ(ledger.is_closed("a"), true);
  EXPECT_EQ(ledger.is_closed("b"), false);
  EXPECT_EQ(ledger.is_closed("nobody"), std::nullopt);
  EXPECT_EQ(run(close_request(key(), "a")).code, Code::kAccountClosed);
  EXPECT_EQ(open("a").code, Code::kAccountExists);
  EXPECT_EQ(deposit("a", 1).code, Code::kAccountClosed);
  EXPECT_EQ(withdraw("a", 0).code, Code::kAccountClosed);
  EXPECT_EQ(transfer("b", "a", 1).code, Code::kAccountClosed);
  EXPECT_EQ(hold("a", 0).code, Code::kAccountClosed);
  EXPECT_EQ(schedule(now + 1, "b", "a", 1).code, Code::kAccountClosed);
  EXPECT_EQ(reverse(moved.event.id, true).code, Code::kAccountClosed);
  EXPECT_EQ(linked({move("b", "c", 1), move("b", "a", 1)})[1].code, Code::kAccountClosed);
  EXPECT_EQ(void_hold(held).code, Code::kOk);
  EXPECT_EQ(cancel(cancelled).code, Code::kOk);
  now += 10;
  ledger.advance(now);
  const LedgerEvent last = journal().back();
  EXPECT_EQ(last.type, Type::kScheduleFailed);
  EXPECT_EQ(last.code, Code::kAccountClosed);
  EXPECT_EQ(posted(), (std::vector<Amount>{0, 100, 0}));
}

TEST_F(LedgerLinkedTest, MetadataBelongsToTheRequest) {
  LedgerRequest request = transfer_request("k", "a", "b", 1);
  request.metadata = "{\"order\":1}";
  EXPECT_EQ(run(request).event.metadata, request.metadata);
  EXPECT_EQ(run(request).code, Code::kOk);
  request.metadata = "{\"order\":2}";
  EXPECT_EQ(run(request).code, Code::kIdempotencyConflict);
}

TEST_F(LedgerLinkedTest, LosesANameAndKeepsItsAmounts) {
  LedgerRequest request = transfer_request("for a", "a", "b", 30);
  request.metadata = "{}";
  run(request);
  run(transfer_request("of others", "b", "c", 10));
  const LedgerId held = hold("a", 20).event.id;
  run(withdraw_request("too much", "a", 999));
  linked({move("a", "c", 1), move("c", "b", 1)});
  const std::vector<LedgerEvent> before = journal();
  const auto changed = ledger.rename("a", "erased");
  for (const LedgerEvent& event : journal()) {
    const LedgerEvent& former = before[event.id - 1];
    const bool its = former.from == "a" || former.to == "a";
    EXPECT_EQ(event.amount, former.amount);
    EXPECT_EQ(event.from, former.from == "a" ? "erased" : former.from);
    EXPECT_EQ(event.to, former.to == "a" ? "erased" : former.to);
    EXPECT_EQ(event.key == former.key, !its || former.key.empty());
    EXPECT_EQ(event.metadata, its ? "" : former.metadata);
  }
  EXPECT_FALSE(ledger.balance("a", now));
  EXPECT_EQ(balance("erased"), (LedgerBalance{69, 20}));
  EXPECT_EQ(settle(held, 20).code, Code::kOk);
  EXPECT_EQ(run(transfer_request("of others", "b", "c", 10)).event.amount, 10) << "as before";
  EXPECT_EQ(run(transfer_request("for a", "b", "c", 1)).code, Code::kOk) << "the key is free";
  EXPECT_EQ(open("a").code, Code::kOk) << "so is the name";
  EXPECT_GT(changed.size(), 4u);
}

}  // namespace
}  // namespace sluice
