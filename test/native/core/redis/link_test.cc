// The link as a whole, against a scripted Redis: pipelines, scripts, beats, states.
#include "link_fixture.h"

namespace sluice::redis {
namespace {

TEST_F(RedisLinkTest, LogsInAndSelectsAndChecksTheServer) {
  link_.set_addresses({{"127.0.0.1", 6379}}, now_);
  pass(0);
  writer_.accept(now_);
  subscriber_.accept(now_);
  pass(0);
  EXPECT_EQ(writer_.take_commands(),
            (std::vector<Command>{{"AUTH", "secret"},
                                  {"CLIENT", "SETNAME", "sluice:p1:writer"},
                                  {"SELECT", "3"},
                                  {"INFO"}}));
  EXPECT_EQ(
      subscriber_.take_commands(),
      (std::vector<Command>{{"AUTH", "secret"}, {"CLIENT", "SETNAME", "sluice:p1:subscriber"}}));
  EXPECT_FALSE(link_.connected());
  EXPECT_EQ(link_.state(), State::kConnecting);
  answer(greeting_reply());
  EXPECT_TRUE(link_.connected());
  EXPECT_EQ(observer_.states, (Strings{"ok|"}));
  ASSERT_EQ(observer_.servers.size(), 1u);
  EXPECT_EQ(observer_.servers[0].version, "7.0.15");
  EXPECT_TRUE(observer_.servers[0].writes_append_file);
}

TEST_F(RedisLinkTest, AnswersPipelinesInOrder) {
  connect_and_beat();
  link_.send(7, {{"XADD", "a"}, {"XADD", "b"}}, handler_);
  link_.send(8, {{"XRANGE", "c"}}, handler_);
  pass(0);
  EXPECT_EQ(writer_.take_commands(),
            (std::vector<Command>{{"XADD", "a"}, {"XADD", "b"}, {"XRANGE", "c"}}));
  answer("$3\r\n1-1\r\n");
  EXPECT_EQ(handler_.take(), Strings{});
  answer("-ERR no\r\n*0\r\n");
  EXPECT_EQ(handler_.take(), (Strings{"7 \"1-1\" {\"error\":\"ERR no\"}", "8 []"}));
  EXPECT_EQ(link_.figures().pipelines, 2u);
  EXPECT_EQ(link_.figures().commands, 3u);
}

TEST_F(RedisLinkTest, LosesPipelinesWithTheConnection) {
  connect_and_beat();
  link_.attach(handler_);
  link_.send(1, {{"A"}, {"B"}}, handler_);
  link_.send(2, {{"C"}}, handler_);
  pass(0);
  writer_.reply("+a\r\n", now_);
  writer_.drop("reset", now_);
  EXPECT_EQ(handler_.take(), (Strings{"1 lost", "2 lost", "disconnected"}));
  // Without a connection a pipeline is lost too, but not from within `send`.
  link_.send(3, {{"D"}}, handler_);
  EXPECT_EQ(handler_.take(), Strings{});
  EXPECT_EQ(link_.next_deadline(), 0);
  pass(0);
  EXPECT_EQ(handler_.take(), (Strings{"3 lost"}));
  link_.detach(handler_);
}

TEST_F(RedisLinkTest, AHandlerMaySendAgainAtOnceWithoutBlockingTheLoop) {
  int sent = 0;
  handler_.then = [&](const std::string& text) {
    if (text == "1 lost" && ++sent < 1000) link_.send(1, {{"A"}}, handler_);
  };
  link_.send(1, {{"A"}}, handler_);
  link_.advance(now_);
  EXPECT_EQ(sent, 1);
  link_.forget(handler_);
  EXPECT_EQ(link_.next_deadline(), 0);
  pass(0);
  EXPECT_EQ(sent, 1);
}

TEST_F(RedisLinkTest, DoesNotCallForgottenHandlers) {
  connect_and_beat();
  Handler other;
  link_.send(1, {{"A"}}, handler_);
  link_.send(2, {{"B"}}, other);
  link_.forget(handler_);
  pass(0);
  answer("+a\r\n+b\r\n");
  EXPECT_EQ(handler_.take(), Strings{});
  EXPECT_EQ(other.take(), (Strings{"2 \"b\""}));
  // Also if another handler forgets it while both are lost.
  link_.send(3, {{"A"}}, other);
  link_.send(4, {{"B"}}, handler_);
  other.then = [&](const std::string&) { link_.forget(handler_); };
  pass(0);
  writer_.drop("reset", now_);
  EXPECT_EQ(other.take(), (Strings{"3 lost"}));
  EXPECT_EQ(handler_.take(), Strings{});
}

TEST_F(RedisLinkTest, SendsTheWholeScriptWhenTheServerDoesNotKnowIt) {
  connect_and_beat();
  link_.send(1,
             {{"SET", "a"},
              script_call("finish", {"k"}, {"x"}),
              {"SET", "b"},
              script_call("finish", {"l"}, {"y"}),
              script_call("unknown", {}, {})},
             handler_);
  pass(0);
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{{"SET", "a"},
                                                           {"EVALSHA", "f1", "1", "k", "x"},
                                                           {"SET", "b"},
                                                           {"EVALSHA", "f1", "1", "l", "y"},
                                                           {"EVALSHA", "unknown", "0"}}));
  link_.send(2, {{"C"}}, handler_);
  answer(
      "+1\r\n-NOSCRIPT No matching script.\r\n+3\r\n-NOSCRIPT No matching script.\r\n"
      "-NOSCRIPT No matching script.\r\n+c\r\n");
  EXPECT_EQ(handler_.take(), (Strings{"2 \"c\""}));
  EXPECT_EQ(writer_.take_commands(),
            (std::vector<Command>{{"C"},
                                  {"EVAL", "return finish", "1", "k", "x"},
                                  {"EVAL", "return finish", "1", "l", "y"}}));
  answer("+OK\r\n+DONE\r\n");
  EXPECT_EQ(
      handler_.take(),
      (Strings{"1 \"1\" \"OK\" \"3\" \"DONE\" {\"error\":\"NOSCRIPT No matching script.\"}"}));
  EXPECT_EQ(link_.state(), State::kOk);
}

TEST_F(RedisLinkTest, LosesAPipelineWhileItsWholeScriptIsSent) {
  connect_and_beat();
  link_.send(1, {script_call("finish", {}, {})}, handler_);
  pass(0);
  answer("-NOSCRIPT No matching script.\r\n");
  writer_.drop("reset", now_);
  EXPECT_EQ(handler_.take(), (Strings{"1 lost"}));
}

TEST_F(RedisLinkTest, SendsABeatFirstAfterEachConnection) {
  link_.attach(handler_);
  handler_.then = [&](const std::string& text) {
    if (text == "connected") link_.send(1, {{"LOOKUP"}}, handler_);
  };
  connect();
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p1"), {"LOOKUP"}}));
  now_ += ms(3);
  answer("*2\r\n:5\r\n$1\r\nx\r\n+found\r\n");
  EXPECT_EQ(observer_.beats, (Strings{"[5,\"x\"]"}));
  EXPECT_EQ(observer_.beat_times.back(), (std::pair<Nanos, Nanos>{now_ - ms(3), now_}));
  EXPECT_EQ(link_.figures().roundtrip, ms(3));
  EXPECT_EQ(handler_.take(), (Strings{"connected", "1 \"found\""}));
  link_.detach(handler_);
}

TEST_F(RedisLinkTest, SendsABeatEveryFifthOfTheLeaseOneAtATime) {
  connect_and_beat();
  const Nanos first = observer_.beat_times[0].first;
  for (int i = 1; i <= 3; ++i) {
    pass_to(first + i * ms(2000) - 1);
    EXPECT_EQ(writer_.take_commands(), std::vector<Command>{});
    pass(1);
    EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p1")}));
    answer("*0\r\n");
  }
  EXPECT_EQ(link_.figures().beats, 4u);
  // A late answer does not shift the beats, and no beat is sent before it.
  pass_to(first + ms(8000));
  writer_.take_commands();
  pass(ms(1900));
  answer("*0\r\n");
  EXPECT_EQ(writer_.take_commands(), std::vector<Command>{});
  pass_to(first + ms(10'000));
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p1")}));
}

TEST_F(RedisLinkTest, ClosesASilentConnectionAfterTwoSeconds) {
  connect_and_beat();
  pass(ms(2000));
  EXPECT_EQ(link_.state(), State::kOk);
  pass(ms(1999));
  EXPECT_EQ(link_.state(), State::kOk);
  pass(ms(1));
  EXPECT_EQ(observer_.states.back(), "unreachable|no answer within 2000 ms");
  EXPECT_FALSE(writer_.is_open);
}

TEST(RedisLinkWithAShortLease, ClosesASilentConnectionAfterThreeBeats) {
  if (!ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  ScriptedTransport writer;
  ScriptedTransport subscriber;
  Observer observer;
  Link link({.prefix = "{s}:",
             .process = "",
             .user = "",
             .password = "",
             .lease = ms(1000),
             .scripts = {}},
            writer, subscriber, observer, [] { return 0.0; });
  link.set_addresses({{"127.0.0.1", 6379}}, 0);
  link.advance(0);
  link.advance(ms(599));
  EXPECT_TRUE(observer.states.empty());
  link.advance(ms(600));
  EXPECT_EQ(observer.states, (Strings{"unreachable|no connection within 600 ms"}));
}

TEST_F(RedisLinkTest, IgnoresTheBeatOfAnOldName) {
  connect_and_beat();
  pass(ms(2000));
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p1")}));
  link_.rename("p2", now_);
  EXPECT_EQ(link_.process(), "p2");
  link_.rename("p3", now_);
  link_.rename("p2", now_);
  for (const char* name : {"p1", "p2", "p3"}) EXPECT_TRUE(link_.is_own(name));
  EXPECT_FALSE(link_.is_own("p4"));
  pass(0);
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p2")}));
  answer("*1\r\n:1\r\n");
  EXPECT_EQ(observer_.beats.size(), 1u) << "the answer to p1";
  answer("*1\r\n:2\r\n");
  EXPECT_EQ(observer_.beats, (Strings{"[1]", "[2]"}));
}

TEST_F(RedisLinkTest, ProbesWithoutAName) {
  link_.rename("", now_);
  connect();
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{{"PING"}}));
  answer("+PONG\r\n");
  EXPECT_TRUE(observer_.beats.empty());
  pass(ms(2000));
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{{"PING"}}));
  link_.rename("p3", now_);
  pass(0);
  EXPECT_EQ(writer_.take_commands(), (std::vector<Command>{beat_of("p3")}));
}

TEST_F(RedisLinkTest, AListenerMayBeDetachedDuringACall) {
  connect_and_beat();
  Handler other;
  link_.attach(handler_);
  link_.attach(other);
  handler_.then = [&](const std::string&) { link_.detach(other); };
  writer_.drop("reset", now_);
  EXPECT_EQ(handler_.take(), (Strings{"disconnected"}));
  EXPECT_EQ(other.take(), Strings{});
  link_.detach(handler_);
}

TEST_F(RedisLinkTest, IsFullFromAnOomUntilAWriteSucceeds) {
  connect_and_beat();
  link_.send(1, {{"XADD", "a"}, {"XADD", "b"}}, handler_);
  pass(0);
  answer("+1-1\r\n-OOM command not allowed\r\n");
  EXPECT_EQ(observer_.states.back(), "full|XADD: OOM command not allowed");
  EXPECT_TRUE(link_.connected()) << "the connection is kept";
  link_.send(2, {{"XRANGE", "a"}}, handler_);
  pass(0);
  answer("*0\r\n");
  EXPECT_EQ(link_.state(), State::kFull) << "a read does not prove free memory";
  link_.send(3, {{"XADD", "b"}}, handler_);
  pass(0);
  answer("+1-2\r\n");
  EXPECT_EQ(link_.state(), State::kOk);
  // A beat is a write, so it ends the state without any write of a job.
  link_.send(4, {{"XADD", "a"}}, handler_);
  pass(0);
  answer("-OOM command not allowed\r\n");
  EXPECT_EQ(link_.state(), State::kFull);
  pass(ms(2000));
  answer("-OOM command not allowed. script: b5\r\n");
  EXPECT_EQ(link_.state(), State::kFull);
  EXPECT_EQ(observer_.beats.size(), 1u) << "an error is no answer to a beat";
  pass(ms(2000));
  answer("*0\r\n");
  EXPECT_EQ(link_.state(), State::kOk);
}

TEST_F(RedisLinkTest, KeepsAForbiddenCommandInItsStateUntilItSucceeds) {
  connect_and_beat();
  link_.send(1, {{"XADD", "a"}}, handler_);
  pass(0);
  answer("-NOPERM no permissions to run the 'xadd' command\r\n");
  EXPECT_EQ(observer_.states.back(),
            "refused|XADD: NOPERM no permissions to run the 'xadd' command");
  pass(ms(2000));
  answer("*0\r\n");
  EXPECT_EQ(link_.state(), State::kRefused)
      << "a successful beat does not prove that XADD is allowed";
  link_.send(2, {{"XADD", "a"}}, handler_);
  pass(0);
  answer("+1-1\r\n");
  EXPECT_EQ(link_.state(), State::kOk);
}

TEST_F(RedisLinkTest, IsRefusedWhenItsBeatFails) {
  connect_and_beat();
  pass(ms(2000));
  answer("-ERR user_script:1: attempt to index a nil value\r\n");
  EXPECT_EQ(observer_.states.back(), "refused|ERR user_script:1: attempt to index a nil value");
  pass(ms(2000));
  answer("*0\r\n");
  EXPECT_EQ(link_.state(), State::kOk);
}

TEST_F(RedisLinkTest, LeavesAServerThatBecameAReplicaAfterDeliveringItsReplies) {
  connect_and_beat();
  link_.attach(handler_);
  link_.send(1, {{"XADD", "a"}}, handler_);
  link_.send(2, {{"XADD", "b"}}, handler_);
  pass(0);
  writer_.reply("-READONLY You can't write against a read only replica.\r\n", now_);
  EXPECT_EQ(handler_.take(),
            (Strings{"1 {\"error\":\"READONLY You can't write against a read only replica.\"}",
                     "2 lost", "disconnected"}));
  EXPECT_EQ(link_.state(), State::kReadonly);
  // While the server is a replica, only greetings are sent, and the state does not change.
  const std::size_t changes = observer_.states.size();
  for (int i = 0; i < 5; ++i) {
    pass_to(link_.next_deadline());
    while (!writer_.is_open) pass_to(link_.next_deadline());
    connect_writer("redis_version:7.0.15\r\nrole:slave\r\nslave_read_only:1\r\n");
    EXPECT_FALSE(link_.connected());
  }
  EXPECT_EQ(observer_.states.size(), changes);
  while (!writer_.is_open) pass_to(link_.next_deadline());
  connect_writer();
  EXPECT_EQ(observer_.states.back(), "ok|");
  EXPECT_EQ(handler_.take(), (Strings{"connected"}));
  link_.detach(handler_);
}

TEST_F(RedisLinkTest, WaitsWhileTheServerIsLoading) {
  link_.set_addresses({{"127.0.0.1", 6379}}, now_);
  pass(0);
  connect_writer("redis_version:7.0.15\r\nrole:master\r\nloading:1\r\n");
  EXPECT_EQ(observer_.states, (Strings{"unreachable|Redis is loading its data"}));
  while (!writer_.is_open) pass_to(link_.next_deadline());
  connect_writer();
  EXPECT_EQ(observer_.states.back(), "ok|");
}

TEST_F(RedisLinkTest, ReportsRefusalsThatAWaitDoesNotMend) {
  link_.set_addresses({{"127.0.0.1", 6379}}, now_);
  pass(0);
  writer_.accept(now_);
  pass(0);
  answer("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(observer_.states,
            (Strings{"refused|WRONGPASS invalid username-password pair or user is disabled."}));
  while (!writer_.is_open) pass_to(link_.next_deadline());
  connect_writer("redis_version:5.0.7\r\nrole:master\r\n");
  EXPECT_EQ(link_.state(), State::kRefused);
}

TEST_F(RedisLinkTest, ClosesTheConnectionOnAnUnexpectedReply) {
  connect_and_beat();
  answer("+surprise\r\n");
  EXPECT_FALSE(link_.connected());
  EXPECT_EQ(link_.state(), State::kUnreachable);
}

TEST_F(RedisLinkTest, LosesEverythingWhenItIsClosed) {
  connect_and_beat();
  link_.attach(handler_);
  link_.send(1, {{"A"}}, handler_);
  link_.close();
  EXPECT_EQ(handler_.take(), (Strings{"1 lost", "disconnected"}));
  EXPECT_FALSE(writer_.is_open);
  EXPECT_FALSE(subscriber_.is_open);
  link_.send(2, {{"B"}}, handler_);
  link_.set_addresses({{"127.0.0.1", 1}}, now_);
  pass(ms(60'000));
  EXPECT_EQ(handler_.take(), (Strings{"2 lost"}));
  link_.close();
  EXPECT_EQ(handler_.take(), Strings{});
  EXPECT_EQ(link_.next_deadline(), kNever);
  link_.detach(handler_);
}

}  // namespace
}  // namespace sluice::redis
