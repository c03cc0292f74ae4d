// Failures of a Redis server, classified by its error replies.
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

/// The state of the server that an error reply implies.
struct ErrorMeaning {
  State state = State::kOk;  ///< kOk: the error concerns the command alone.
  bool gives_up = false;     ///< Close the connection and look up the address again.
};

/// @param error the text of an error reply; the error inside a script's error is examined as well
ErrorMeaning meaning_of(std::string_view error);

}  // namespace sluice::redis
