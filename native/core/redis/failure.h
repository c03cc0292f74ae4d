// What is wrong with a server, as its errors say.
#pragma once

#include <string>
#include <string_view>

#include "core/redis/port.h"

namespace sluice::redis {

/// Why a server cannot be used; with kOk it can.
struct Failure {
  State state = State::kOk;
  std::string detail = {};  ///< One line for logs. Never a password.
};

/// The name of a state, as JavaScript and the metrics have it: `unreachable`.
std::string_view name_of(State state);

/// What an error reply says of the server.
struct ErrorMeaning {
  State state = State::kOk;  ///< kOk: nothing, it concerns the command alone.
  bool gives_up = false;     ///< The connection is to be given up and the address looked up anew.
};

/// @param error the text of an error reply; that of a script is looked into
ErrorMeaning meaning_of(std::string_view error);

}  // namespace sluice::redis
