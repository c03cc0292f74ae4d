// One connection: attempts and their pauses, the greeting, silence, and changes of address.
#include "core/redis/connection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/redis/scripted_transport.h"
#include "milliseconds.h"

namespace sluice::redis {
namespace {

const Address kAddress4{"127.0.0.1", 6379};
const Address kAddress6{"::1", 6379};

class RedisConnection : public testing::Test, protected Connection::Owner {
 protected:
  void SetUp() override {
    if (!ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  }

  // Advances time; the connection handles its deadlines.
  void pass_to(Nanos time) {
    while (connection_.next_deadline() <= time) {
      now_ = std::max(now_, connection_.next_deadline());
      connection_.advance(now_);
    }
    now_ = time;
  }
  void pass(Nanos span) { pass_to(now_ + span); }

  void connect() {
    connection_.set_addresses({kAddress4}, now_);
    pass(0);
    transport_.accept(now_);
    pass(0);
    transport_.reply("+PONG\r\n", now_);
  }

  // The pause of the connection until it opens again.
  Nanos wait_for_attempt() {
    const std::size_t attempts = transport_.opened.size();
    const Nanos since = now_;
    while (transport_.opened.size() == attempts) pass_to(connection_.next_deadline());
    return now_ - since;
  }

  Nanos now_ = kSecond;
  double random_ = 0;
  ScriptedTransport transport_;
  Connection connection_{transport_, *this, ms(2000), [this] { return random_; }};
  int ready_ = 0;
  std::vector<std::string> replies_;
  std::vector<Failure> failures_;
  std::vector<bool> were_ready_;
  Failure verdict_;  // on the greeting

 private:
  std::vector<Command> greeting() override { return {{"PING"}}; }
  Failure check_greeting(const std::vector<Reply>& replies) override {
    if (replies.front().kind == Reply::Kind::kError) return {State::kRefused, replies[0].text};
    return verdict_;
  }
  void on_ready(Nanos /*now*/) override { ++ready_; }
  bool on_reply(Reply reply, Nanos now) override {
    replies_.push_back(reply.text);
    if (reply.text == "give up") connection_.give_up({State::kReadonly, "told to"}, now);
    return reply.text != "message";
  }
  void on_down(const Failure& failure, bool was_ready, Nanos /*now*/) override {
    failures_.push_back(failure);
    were_ready_.push_back(was_ready);
  }
};

TEST_F(RedisConnection, IsIdleWithoutAnAddress) {
  EXPECT_EQ(connection_.next_deadline(), kNever);
}

TEST_F(RedisConnection, GreetsAndIsReadyWhenTheGreetingIsAnswered) {
  connection_.set_addresses({kAddress4}, now_);
  pass(0);
  EXPECT_EQ(transport_.opened, (std::vector<Address>{kAddress4}));
  transport_.accept(now_);
  pass(0);
  EXPECT_EQ(transport_.take_commands(), (std::vector<Command>{{"PING"}}));
  EXPECT_FALSE(connection_.ready());
  transport_.reply("+PO", now_);
  EXPECT_FALSE(connection_.ready());
  transport_.reply("NG\r\n", now_);
  EXPECT_TRUE(connection_.ready());
  EXPECT_EQ(ready_, 1);
  EXPECT_EQ(connection_.next_deadline(), kNever);
}

TEST_F(RedisConnection, DoublesThePauseFrom50MsToASecond) {
  for (const double random : {0.0, 1.0}) {
    random_ = random;
    ScriptedTransport transport;
    Connection connection(transport, *this, ms(2000), [this] { return random_; });
    connection.set_addresses({kAddress4}, now_);
    std::vector<Nanos> pauses;
    for (int i = 0; i < 8; ++i) {
      connection.advance(now_);
      transport.drop("refused", now_);
      pauses.push_back(connection.next_deadline() - now_);
      now_ = connection.next_deadline();
    }
    // Half of each pause is random.
    const Nanos share = random == 0.0 ? 1 : 2;
    EXPECT_EQ(pauses, (std::vector<Nanos>{ms(25) * share, ms(50) * share, ms(100) * share,
                                          ms(200) * share, ms(400) * share, ms(500) * share,
                                          ms(500) * share, ms(500) * share}));
  }
}

TEST_F(RedisConnection, BeginsWithAShortPauseAfterAnAnswer) {
  connection_.set_addresses({kAddress4}, now_);
  for (int i = 0; i < 6; ++i) {
    pass(0);
    transport_.drop("refused", now_);
    pass_to(connection_.next_deadline());
  }
  transport_.accept(now_);
  pass(0);
  transport_.reply("+PONG\r\n", now_);
  // A server that only answers the greeting does not count as working.
  transport_.drop("gone", now_);
  EXPECT_EQ(wait_for_attempt(), ms(500));
  transport_.accept(now_);
  pass(0);
  transport_.reply("+PONG\r\n", now_);
  connection_.send({{"GET", "k"}}, 1);
  pass(0);
  transport_.reply("+v\r\n", now_);
  transport_.drop("gone", now_);
  EXPECT_EQ(wait_for_attempt(), ms(25));
  EXPECT_EQ(were_ready_, (std::vector<bool>{false, false, false, false, false, false, true, true}));
}

TEST_F(RedisConnection, ClosesAnUnansweredAttempt) {
  connection_.set_addresses({kAddress4}, now_);
  pass(ms(1999));
  EXPECT_TRUE(failures_.empty());
  pass(ms(1));
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].state, State::kUnreachable);
  EXPECT_EQ(failures_[0].detail, "no connection within 2000 ms");
  EXPECT_FALSE(transport_.is_open);
  // The time of a working connection counts: the next attempt is soon, after any number of
  // failures.
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(wait_for_attempt(), ms(25));
    pass(ms(2000));
  }
}

TEST_F(RedisConnection, ClosesAfterAnUnansweredGreeting) {
  connection_.set_addresses({kAddress4}, now_);
  pass(ms(500));
  transport_.accept(now_);
  pass(ms(1999));
  EXPECT_TRUE(failures_.empty());
  pass(ms(1));
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].detail, "no answer within 2000 ms");
}

TEST_F(RedisConnection, ClosesWhenAnAnswerIsOverdue) {
  connect();
  pass(ms(10'000));
  EXPECT_TRUE(connection_.ready()) << "nothing is owed";
  connection_.send({{"A"}, {"B"}}, 2);
  EXPECT_EQ(connection_.next_deadline(), 0) << "the bytes leave at once";
  pass(ms(1500));
  EXPECT_EQ(transport_.take_commands().size(), 3u);
  connection_.send({{"C"}}, 1);
  pass(ms(499));
  EXPECT_TRUE(connection_.ready()) << "later commands do not prolong it, nor shorten it";
  pass(ms(1));
  EXPECT_FALSE(connection_.ready());
  EXPECT_EQ(were_ready_, (std::vector<bool>{true}));
}

TEST_F(RedisConnection, CountsSilenceFromTheLastByteOfAnAnswer) {
  connect();
  connection_.send({{"A"}, {"B"}}, 2);
  pass(ms(1900));
  transport_.reply("+a\r\n$10\r\n012", now_);
  pass(ms(1900));
  transport_.reply("3456", now_);
  pass(ms(1900));
  EXPECT_TRUE(connection_.ready());
  transport_.reply("789\r\n", now_);
  EXPECT_EQ(replies_, (std::vector<std::string>{"a", "0123456789"}));
  EXPECT_EQ(connection_.next_deadline(), kNever);
}

TEST_F(RedisConnection, CountsBytesThatLeaveAsProgress) {
  connect();
  connection_.send({{"LONG", std::string(1 << 20, 'x')}}, 1);
  for (int i = 0; i < 5; ++i) {
    pass(ms(1900));
    transport_.progress(now_);
  }
  EXPECT_TRUE(connection_.ready());
  pass(ms(2000));
  EXPECT_FALSE(connection_.ready());
}

TEST_F(RedisConnection, DoesNotTakeMessagesForAnswers) {
  connect();
  connection_.send({{"PING"}}, 1);
  pass(ms(100));
  transport_.reply("+message\r\n", now_);
  EXPECT_NE(connection_.next_deadline(), kNever);
  transport_.reply("+PONG\r\n+message\r\n", now_);
  EXPECT_EQ(connection_.next_deadline(), kNever);
}

TEST_F(RedisConnection, IsRefusedByAnErrorToTheGreeting) {
  connection_.set_addresses({kAddress4}, now_);
  pass(0);
  transport_.accept(now_);
  pass(0);
  transport_.reply("-NOAUTH Authentication required.\r\n", now_);
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].state, State::kRefused);
  EXPECT_EQ(ready_, 0);
  // It is tried again: the password may be corrected.
  wait_for_attempt();
}

TEST_F(RedisConnection, DistinguishesAnotherKindOfServerFromABrokenStream) {
  connection_.set_addresses({kAddress4}, now_);
  pass(0);
  transport_.accept(now_);
  transport_.reply("HTTP/1.1 400 Bad Request\r\n", now_);
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].state, State::kRefused);
  wait_for_attempt();
  transport_.accept(now_);
  transport_.reply("+PONG\r\n", now_);
  transport_.reply("?\r\n", now_);
  ASSERT_EQ(failures_.size(), 2u);
  EXPECT_EQ(failures_[1].state, State::kUnreachable);
}

TEST_F(RedisConnection, ReadsNothingBehindAReplyAtWhichItsOwnerGaveUp) {
  connect();
  connection_.send({{"A"}, {"B"}, {"C"}}, 3);
  pass(0);
  transport_.reply("+a\r\n+give up\r\n+c\r\n", now_);
  EXPECT_EQ(replies_, (std::vector<std::string>{"a", "give up"}));
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].state, State::kReadonly);
  EXPECT_FALSE(transport_.is_open);
  // The new stream has no rest of the old one.
  wait_for_attempt();
  transport_.accept(now_);
  pass(0);
  EXPECT_EQ(transport_.take_commands(), (std::vector<Command>{{"PING"}}));
}

TEST_F(RedisConnection, TriesItsAddressesInTurn) {
  connection_.set_addresses({kAddress4, kAddress6}, now_);
  for (int i = 0; i < 3; ++i) {
    pass(0);
    transport_.drop("refused", now_);
    pass_to(connection_.next_deadline());
  }
  EXPECT_EQ(transport_.opened, (std::vector<Address>{kAddress4, kAddress6, kAddress4, kAddress6}));
  // An address that worked is tried first.
  transport_.accept(now_);
  pass(0);
  transport_.reply("+PONG\r\n", now_);
  transport_.drop("gone", now_);
  wait_for_attempt();
  EXPECT_EQ(transport_.opened.back(), kAddress6);
}

TEST_F(RedisConnection, DisconnectsFromAnAddressRemovedFromTheList) {
  connect();
  connection_.set_addresses({kAddress6, kAddress4}, now_);
  EXPECT_TRUE(connection_.ready()) << "the one in use is still among them";
  connection_.set_addresses({kAddress6}, now_);
  EXPECT_FALSE(connection_.ready());
  EXPECT_EQ(failures_.size(), 1u);
  pass(0);
  EXPECT_EQ(transport_.opened.back(), kAddress6) << "at once";
}

TEST_F(RedisConnection, TriesNewAddressesAtOnceAndKnownOnesWhenTheyAreDue) {
  connection_.set_addresses({kAddress4}, now_);
  for (int i = 0; i < 6; ++i) {
    pass(0);
    transport_.drop("refused", now_);
    if (i < 5) pass_to(connection_.next_deadline());
  }
  const Nanos due = connection_.next_deadline();
  connection_.set_addresses({kAddress4}, now_);
  EXPECT_EQ(connection_.next_deadline(), due);
  connection_.set_addresses({}, now_);
  EXPECT_EQ(connection_.next_deadline(), kNever);
  connection_.set_addresses({kAddress6}, now_);
  EXPECT_EQ(connection_.next_deadline(), now_);
}

TEST_F(RedisConnection, IsSilentOnceClosed) {
  connect();
  connection_.send({{"A"}}, 1);
  connection_.close();
  EXPECT_FALSE(transport_.is_open);
  EXPECT_EQ(connection_.next_deadline(), kNever);
  connection_.set_addresses({kAddress6}, now_);
  EXPECT_EQ(connection_.next_deadline(), kNever);
  EXPECT_TRUE(failures_.empty());
}

}  // namespace
}  // namespace sluice::redis
