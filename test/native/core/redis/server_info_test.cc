// Properties of a server by INFO and error replies. The texts are from Redis 6.2 and 7.0.
#include "core/redis/server_info.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "core/redis/failure.h"
#include "core/redis/link_options.h"

namespace sluice::redis {
namespace {

TEST(RedisServerInfo, ReadsTheFieldsThatCount) {
  const ServerInfo info = parse_server_info(
      "# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n\r\nmaxmemory:1048576\r\n"
      "maxmemory_policy:allkeys-lru\r\nloading:1\r\nrole:slave\r\nslave_read_only:1\r\n"
      "aof_enabled:1\r\nloading_eta:5\r\nnoise");
  const ServerInfo expected{.version = "6.2.14",
                            .mode = "cluster",
                            .eviction_policy = "allkeys-lru",
                            .memory_max = 1048576,
                            .is_loading = true,
                            .is_replica = true,
                            .refuses_writes = true,
                            .writes_append_file = true};
  EXPECT_EQ(info, expected);
  EXPECT_EQ(parse_server_info(""), ServerInfo{});
}

TEST(RedisServerInfo, DistinguishesUsableServers) {
  const auto state_of = [](std::string text) {
    return check_server(parse_server_info(text)).state;
  };
  EXPECT_EQ(state_of("redis_version:6.2.0\nrole:master\n"), State::kOk);
  EXPECT_EQ(state_of("redis_version:10.0\nrole:master\n"), State::kOk);
  EXPECT_EQ(state_of("redis_version:7.2.4\nredis_mode:cluster\n"), State::kOk);
  EXPECT_EQ(state_of("redis_version:6.0.20\n"), State::kRefused);
  EXPECT_EQ(state_of("redis_version:5.0.7\n"), State::kRefused);
  EXPECT_EQ(state_of("redis_version:255.255.255\n"), State::kOk);  // a development version
  EXPECT_EQ(state_of("no INFO at all"), State::kRefused);
  EXPECT_EQ(state_of("redis_version:7.0.15\nredis_mode:sentinel\n"), State::kRefused);
  EXPECT_EQ(state_of("redis_version:7.0.15\nloading:1\n"), State::kUnreachable);
  EXPECT_EQ(state_of("redis_version:7.0.15\nrole:slave\nslave_read_only:1\n"), State::kReadonly);
  EXPECT_EQ(state_of("redis_version:7.0.15\nrole:slave\nslave_read_only:0\n"), State::kOk);
  EXPECT_EQ(state_of("redis_version:7.0.15\nrole:master\nslave_read_only:1\n"), State::kOk);
  EXPECT_EQ(check_server(parse_server_info("redis_version:5.0.7\n")).detail,
            "Redis 6.2 or later is needed, this is 5.0.7");
}

TEST(RedisErrorMeaning, IsThatOfItsFirstWord) {
  using Row = std::tuple<const char*, State, bool>;
  for (
      const auto& [error, state, gives_up] : {
          Row{"OOM command not allowed when used memory > 'maxmemory'.", State::kFull, false},
          Row{"MISCONF Redis is configured to save RDB snapshots, but", State::kReadonly, false},
          Row{"NOREPLICAS Not enough good replicas to write.", State::kReadonly, false},
          Row{"READONLY You can't write against a read only replica.", State::kReadonly, true},
          Row{"MASTERDOWN Link with MASTER is down and", State::kUnreachable, true},
          Row{"LOADING Redis is loading the dataset in memory", State::kUnreachable, true},
          Row{"BUSY Redis is busy running a script.", State::kUnreachable, false},
          Row{"CLUSTERDOWN Hash slot not served", State::kUnreachable, false},
          Row{"NOPERM this user has no permissions to run the 'xadd' command", State::kRefused,
              false},
          Row{"ERR The user executing the script can't run this command or subcommand script: 3f, "
              "on @user_script:1.",
              State::kRefused, false},
          Row{"ERR Error running script (call to f_3f): @user_script:3: @user_script: 3: The user "
              "executing the script can't run this command or subcommand",
              State::kRefused, false},
          Row{"NOAUTH Authentication required.", State::kRefused, true},
          Row{"WRONGPASS invalid username-password pair or user is disabled.", State::kRefused,
              true},
          Row{"MOVED 3999 127.0.0.1:6381", State::kRefused, false},
          Row{"ERR unknown command 'XADD', with args beginning with: 'k' ", State::kRefused, false},
          Row{"ERR max number of clients reached", State::kUnreachable, true},
          Row{"OOM command not allowed when used memory > 'maxmemory'. script: 3f, on "
              "@user_script:1.",
              State::kFull, false},
          Row{"ERR Error running script (call to f_3f): @user_script:3: OOM command not allowed",
              State::kFull, false},
          Row{"ERR Error running script (call to f_3f): @user_script:3: @user_script: 3: -READONLY "
              "You can't",
              State::kReadonly, true},
          Row{"ERR The ID specified in XADD is equal or smaller than the target stream top item",
              State::kOk, false},
          Row{"NOSCRIPT No matching script. Please use EVAL.", State::kOk, false},
          Row{"WRONGTYPE Operation against a key", State::kOk, false},
          Row{"OOMPH", State::kOk, false},
          Row{"", State::kOk, false},
      }) {
    EXPECT_EQ(meaning_of(error).state, state) << error;
    EXPECT_EQ(meaning_of(error).gives_up, gives_up) << error;
  }
}

TEST(RedisLogin, SendsTheConfiguredCommands) {
  LinkOptions options;
  options.process = "p 1\n";
  EXPECT_EQ(login_commands(options, "writer"),
            (std::vector<Command>{{"CLIENT", "SETNAME", "sluice:p1:writer"}}));
  options.password = "pw";
  EXPECT_EQ(login_commands(options, "writer").front(), (Command{"AUTH", "pw"}));
  options.user = "gw";
  EXPECT_EQ(login_commands(options, "writer").front(), (Command{"AUTH", "gw", "pw"}));
}

TEST(RedisLogin, TheFirstErrorIsTheFailure) {
  const Reply ok{.kind = Reply::Kind::kText, .text = "OK"};
  const auto error = [](const char* text) {
    return Reply{.kind = Reply::Kind::kError, .text = text};
  };
  EXPECT_EQ(check_login({ok, ok}).state, State::kOk);
  EXPECT_EQ(check_login({error("WRONGPASS no"), ok}).state, State::kRefused);
  EXPECT_EQ(check_login({error("WRONGPASS no"), ok}).detail, "WRONGPASS no");
  EXPECT_EQ(check_login({ok, error("ERR DB index is out of range")}).state, State::kRefused);
  EXPECT_EQ(check_login({error("ERR max number of clients reached")}).state, State::kUnreachable);
}

TEST(RedisState, HasTheNamesOfTheMetrics) {
  EXPECT_EQ(name_of(State::kConnecting), "connecting");
  EXPECT_EQ(name_of(State::kOk), "ok");
  EXPECT_EQ(name_of(State::kUnreachable), "unreachable");
  EXPECT_EQ(name_of(State::kReadonly), "readonly");
  EXPECT_EQ(name_of(State::kFull), "full");
  EXPECT_EQ(name_of(State::kRefused), "refused");
}

}  // namespace
}  // namespace sluice::redis
