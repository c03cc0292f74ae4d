// Subscriptions of the link: channels, listeners, probes of the subscriber's connection.
#include "link_fixture.h"

namespace sluice::redis {
namespace {

TEST_F(RedisLinkTest, SubscribesAgainAfterEachReconnection) {
  link_.subscribe("j:1", handler_);
  connect();
  confirm("subscribe", "j:1");
  link_.subscribe("j:2", handler_);
  pass(0);
  EXPECT_EQ(subscriber_.take_commands(),
            (std::vector<Command>{{"SUBSCRIBE", "j:1"}, {"SUBSCRIBE", "j:2"}}));
  confirm("subscribe", "j:2");
  publish({"message", "j:1", "hello"});
  EXPECT_EQ(handler_.take(), (Strings{"+j:1", "+j:2", "j:1=hello"}));
  subscriber_.drop("reset", now_);
  EXPECT_EQ(link_.state(), State::kOk) << "messages are hints";
  pass(ms(25));
  subscriber_.accept(now_);
  pass(0);
  subscriber_.take_commands();
  subscriber_.reply("+OK\r\n+OK\r\n", now_);
  pass(0);
  EXPECT_EQ(subscriber_.take_commands(), (std::vector<Command>{{"SUBSCRIBE", "j:1", "j:2"}}));
  confirm("subscribe", "j:1");
  confirm("subscribe", "j:2");
  EXPECT_EQ(handler_.take(), (Strings{"+j:1", "+j:2"}));
  EXPECT_EQ(link_.figures().channels, 2u);
}

TEST_F(RedisLinkTest, SubscribesToManyChannelsInPieces) {
  for (std::size_t i = 0; i < 2 * Subscriber::kChannelsAtOnce + 1; ++i) {
    link_.subscribe("j:" + std::to_string(i), handler_);
  }
  link_.set_addresses({{"127.0.0.1", 6379}}, now_);
  pass(0);
  connect_subscriber();
  const std::vector<Command> commands = subscriber_.take_commands();
  ASSERT_EQ(commands.size(), 3u);
  EXPECT_EQ(commands[0].size(), Subscriber::kChannelsAtOnce + 1);
  EXPECT_EQ(commands[1].size(), Subscriber::kChannelsAtOnce + 1);
  EXPECT_EQ(commands[2].size(), 2u);
}

TEST_F(RedisLinkTest, DeliversNoMessagesOfUnsubscribedChannels) {
  connect();
  link_.subscribe("a", handler_);
  link_.unsubscribe("a");
  link_.unsubscribe("never");
  link_.subscribe("a", handler_);
  pass(0);
  EXPECT_EQ(subscriber_.take_commands(),
            (std::vector<Command>{{"SUBSCRIBE", "a"}, {"UNSUBSCRIBE", "a"}, {"SUBSCRIBE", "a"}}));
  confirm("subscribe", "a");
  EXPECT_EQ(handler_.take(), Strings{}) << "the confirmation of the first subscription";
  confirm("unsubscribe", "a");
  confirm("subscribe", "a");
  EXPECT_EQ(handler_.take(), (Strings{"+a"}));
  link_.detach(handler_);
  pass(0);
  EXPECT_EQ(subscriber_.take_commands(), (std::vector<Command>{{"UNSUBSCRIBE", "a"}}));
  publish({"message", "a", "late"});
  EXPECT_EQ(handler_.take(), Strings{});
}

TEST_F(RedisLinkTest, GivesAChannelToItsLastListener) {
  connect();
  Handler other;
  link_.subscribe("a", handler_);
  link_.subscribe("a", other);
  pass(0);
  confirm("subscribe", "a");
  confirm("subscribe", "a");
  publish({"message", "a", "x"});
  EXPECT_EQ(handler_.take(), Strings{});
  EXPECT_EQ(other.take(), (Strings{"+a", "a=x"}));
}

TEST_F(RedisLinkTest, ProbesASilentSubscriber) {
  connect();
  pass(ms(900));
  publish({"message", "a", "x"});
  pass(ms(999));
  EXPECT_EQ(subscriber_.take_commands(), std::vector<Command>{});
  pass(ms(1));
  EXPECT_EQ(subscriber_.take_commands(), (std::vector<Command>{{"PING"}}));
  subscriber_.reply(array_of_texts({"pong", ""}), now_);
  pass(ms(1000));
  EXPECT_EQ(subscriber_.take_commands(), (std::vector<Command>{{"PING"}}));
  // Half open.
  pass(ms(1999));
  EXPECT_TRUE(subscriber_.is_open);
  pass(ms(1));
  EXPECT_FALSE(subscriber_.is_open);
}

TEST_F(RedisLinkTest, IgnoresMalformedMessages) {
  connect();
  link_.subscribe("a", handler_);
  subscriber_.reply(
      "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n*0\r\n:3\r\n*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n", now_);
  EXPECT_EQ(handler_.take(), Strings{});
  EXPECT_TRUE(subscriber_.is_open);
}

TEST_F(RedisLinkTest, IsRefusedWhenChannelsAreForbidden) {
  connect();
  link_.subscribe("a", handler_);
  pass(0);
  subscriber_.reply("-NOPERM this user has no permissions to access one of the channels\r\n", now_);
  EXPECT_EQ(observer_.states.back(),
            "refused|NOPERM this user has no permissions to access one of the channels");
  pass(ms(25));
  connect_subscriber();
  EXPECT_EQ(observer_.states.back(), "ok|");
}

}  // namespace
}  // namespace sluice::redis
