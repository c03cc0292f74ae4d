// The options of a link to Redis, and how its connections introduce themselves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/redis/failure.h"
#include "core/redis/port.h"

namespace sluice::redis {

/// A Lua script.
struct Script {
  std::string name;
  std::string sha1;  ///< Of the source, in lower-case hexadecimal digits.
  std::string source;
};

struct LinkOptions {
  std::string prefix;    ///< What all keys and channels begin with: `{PREFIX}:`.
  std::string process;   ///< The name to beat under; empty: no beats.
  std::string user;      ///< Empty: the default user.
  std::string password;  ///< Empty: none.
  std::uint32_t db = 0;
  std::uint32_t wait_replicas = 0;  ///< See Port.
  Nanos lease = 10 * kSecond;       ///< A beat is sent every fifth of it.
  std::vector<Script> scripts;
};

/// The commands that a connection begins with: AUTH if there is a password, CLIENT SETNAME.
/// @param role the end of its name, as CLIENT LIST shows it: `sluice:PROCESS:ROLE`
std::vector<Command> login_commands(const LinkOptions& options, std::string_view role);

/// The failure that an error reply means: that of its code, else `otherwise`.
Failure failure_of(const Reply& error, State otherwise);

/// The first error among the replies to a greeting, as a failure; kOk if there is none.
Failure check_login(const std::vector<Reply>& replies);

}  // namespace sluice::redis
