// The ledger against a plain model, over random histories.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "core/ledger/fixture.h"

namespace sluice {
namespace {

using Type = LedgerEventType;
using Code = LedgerCode;

// A plain model of a ledger: one list of events, walked
// through for each query. It numbers its own events in the same order.
class Model {
 public:
  struct Thing {
    Type type;
    std::string from, to;
    Amount amount = 0;
    Nanos due = kNever;
    Code closed = Code::kOk;  // the result of an attempt to close it
  };
  struct Answer {
    Code code;
    LedgerId id;  // 0: none
    friend bool operator==(const Answer&, const Answer&) = default;
  };

  Code open(const std::string& name, Amount overdraft) {
    if (overdrafts_.count(name) != 0) return Code::kAccountExists;
    overdrafts_[name] = overdraft;
    add({Type::kOpen, name, name});
    return Code::kOk;
  }

  Answer execute(const LedgerRequest& request, Nanos now) {
    run_due(now);
    const auto parameters = std::tuple(request.operation, request.from, request.to, request.amount,
                                       request.target, request.time, request.force);
    if (const auto known = answers_.find(request.key); known != answers_.end()) {
      if (known->second.first == parameters) return known->second.second;
      return {Code::kIdempotencyConflict, 0};
    }
    const Code code = perform(request, now);
    if (code != Code::kOk) add({Type::kRefused, "", ""});
    const Answer answer{code, things_.size()};
    answers_.emplace(request.key, std::pair(parameters, answer));
    run_due(now);
    return answer;
  }

  void run_due(Nanos now) {
    for (;;) {
      std::optional<std::size_t> first;
      for (std::size_t i = 0; i < things_.size(); ++i) {
        if (things_[i].due > now || things_[i].closed != Code::kOk) continue;
        if (!first || things_[i].due < things_[*first].due) first = i;
      }
      if (!first) return;
      Thing due = things_[*first];
      if (due.type == Type::kHold) {
        things_[*first].closed = Code::kHoldExpired;
        held[due.from] -= due.amount;
        add({Type::kHoldExpired, due.from, due.to});
      } else {
        things_[*first].closed = Code::kAlreadyExecuted;
        const bool can = can_pay(due.from, due.amount);
        if (can) move(due.from, due.to, due.amount);
        add({can ? Type::kTransfer : Type::kScheduleFailed, due.from, due.to, due.amount});
      }
    }
  }

  [[nodiscard]] std::size_t size() const { return things_.size(); }

  std::map<std::string, Amount> posted, held;

 private:
  void add(Thing thing) { things_.push_back(std::move(thing)); }
  void move(const std::string& from, const std::string& to, Amount amount) {
    posted[from] -= amount;
    posted[to] += amount;
  }
  bool can_pay(const std::string& name, Amount amount) {
    if (name[0] == '@') return true;
    const Amount overdraft = overdrafts_[name];
    return overdraft == kUnlimited || posted[name] - held[name] - amount >= -overdraft;
  }
  bool knows(const std::string& name) { return name[0] == '@' || overdrafts_.count(name) != 0; }

  Code perform(const LedgerRequest& request, Nanos now) {
    switch (request.operation) {
      case Type::kSettle:
      case Type::kVoid:
        return end_hold(request);
      case Type::kReverse:
        return reverse(request);
      case Type::kCancelScheduled:
        return cancel(request);
      default:
        break;
    }
    if (request.from == request.to) return Code::kSameAccount;
    if (!knows(request.from) || !knows(request.to)) return Code::kNoSuchAccount;
    Thing thing{request.operation, request.from, request.to, request.amount};
    if (request.operation == Type::kSchedule) {
      thing.due = request.time;
    } else {
      if (!can_pay(request.from, request.amount)) return Code::kInsufficientFunds;
      if (request.operation == Type::kHold) {
        held[request.from] += request.amount;
        if (request.time != kNever) thing.due = now + request.time;
      } else {
        move(request.from, request.to, request.amount);
      }
    }
    add(thing);
    return Code::kOk;
  }

  Thing* find(LedgerId id) { return id == 0 || id > things_.size() ? nullptr : &things_[id - 1]; }

  Code end_hold(const LedgerRequest& request) {
    Thing* const hold = find(request.target);
    if (hold == nullptr || hold->type != Type::kHold) return Code::kNoSuchHold;
    if (hold->closed != Code::kOk) return hold->closed;
    const bool settles = request.operation == Type::kSettle;
    if (settles && request.amount > hold->amount) return Code::kExceedsHold;
    hold->closed = Code::kHoldClosed;
    held[hold->from] -= hold->amount;
    const Thing done{request.operation, hold->from, hold->to, settles ? request.amount : 0};
    move(done.from, done.to, done.amount);
    add(done);
    return Code::kOk;
  }

  Code reverse(const LedgerRequest& request) {
    Thing* const thing = find(request.target);
    if (thing == nullptr) return Code::kNoSuchEvent;
    if (thing->type != Type::kDeposit && thing->type != Type::kWithdraw &&
        thing->type != Type::kTransfer && thing->type != Type::kSettle) {
      return Code::kNotReversible;
    }
    if (thing->closed != Code::kOk) return thing->closed;
    if (!request.force && !can_pay(thing->to, thing->amount)) return Code::kInsufficientFunds;
    thing->closed = Code::kAlreadyReversed;
    const Thing done{Type::kReverse, thing->to, thing->from, thing->amount};
    move(done.from, done.to, done.amount);
    add(done);
    return Code::kOk;
  }

  Code cancel(const LedgerRequest& request) {
    Thing* const scheduled = find(request.target);
    if (scheduled == nullptr || scheduled->type != Type::kSchedule) return Code::kNoSuchScheduled;
    if (scheduled->closed != Code::kOk) return scheduled->closed;
    scheduled->closed = Code::kAlreadyCancelled;
    add({Type::kCancelScheduled, scheduled->from, scheduled->to});
    return Code::kOk;
  }

  std::map<std::string, Amount> overdrafts_;
  std::vector<Thing> things_;
  std::map<
      std::string,
      std::pair<std::tuple<Type, std::string, std::string, Amount, LedgerId, Nanos, bool>, Answer>>
      answers_;
};

class RandomRequests {
 public:
  explicit RandomRequests(unsigned seed) : random_(seed) {}

  Amount pick(Amount low, Amount high) {
    return std::uniform_int_distribution<Amount>(low, high)(random_);
  }
  std::string account() { return kNames[static_cast<std::size_t>(pick(0, 4))]; }

  LedgerRequest next(LedgerId events, Nanos now) {
    const LedgerId target = static_cast<LedgerId>(pick(0, static_cast<Amount>(events) + 1));
    switch (pick(0, 10)) {
      case 0:
        return deposit_request(key(), account(), pick(1, 60));
      case 1:
        return withdraw_request(key(), account(), pick(1, 40));
      case 2:
      case 3:
        return transfer_request(key(), account(), account(), pick(1, 40));
      case 4:
      case 5:
        return hold_request(key(), account(), pick(0, 40), pick(0, 3) == 0 ? kNever : pick(1, 40));
      case 6:
        return settle_request(key(), target, pick(0, 40));
      case 7:
        return void_request(key(), target);
      case 8:
        return reverse_request(key(), target, pick(0, 3) == 0);
      case 9:
        return schedule_request(key(), std::max<Nanos>(0, now + pick(-5, 40)), account(), account(),
                                pick(1, 40));
      default:
        return cancel_request(key(), target);
    }
  }

 private:
  static constexpr std::array kNames{"a", "b", "c", "d", "nobody"};

  // Few enough to repeat.
  std::string key() { return std::to_string(pick(0, 1000)); }

  std::mt19937 random_;
};

TEST(LedgerModel, RandomHistoriesComeToTheSame) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    LedgerFixture fixture;
    Ledger& ledger = fixture.ledger;
    Model model;
    RandomRequests random(seed);
    std::vector<LedgerRequest> sent;
    Nanos now = 0;
    for (const auto& [name, overdraft] :
         {std::pair<const char*, Amount>{"a", 0}, {"b", 0}, {"c", 25}, {"d", kUnlimited}}) {
      ASSERT_EQ(ledger.open(name, overdraft, now).code, model.open(name, overdraft));
    }
    for (int step = 0; step < 250; ++step) {
      now += random.pick(0, 2) == 0 ? random.pick(1, 12) : 0;
      const bool again = !sent.empty() && random.pick(0, 9) == 0;
      const LedgerRequest request =
          again
              ? sent[static_cast<std::size_t>(random.pick(0, static_cast<Amount>(sent.size()) - 1))]
              : random.next(ledger.last_event(), now);
      sent.push_back(request);
      const LedgerResult result = ledger.execute(request, now);
      ASSERT_EQ((Model::Answer{result.code, result.event.id}), model.execute(request, now))
          << "seed " << seed << " step " << step;
      for (const std::string& name : ledger.accounts()) {
        ASSERT_EQ(*ledger.balance(name, now), (LedgerBalance{model.posted[name], model.held[name]}))
            << name << ", seed " << seed << " step " << step;
      }
    }
    now += 100;
    model.run_due(now);
    ledger.advance(now);
    ASSERT_EQ(ledger.last_event(), model.size());
    EXPECT_EQ(sum_of(ledger, now), 0);
    expect_replays(ledger, now);
  }
}

}  // namespace
}  // namespace sluice
