// Encodes commands for Redis.
#pragma once

#include <string>

#include "core/redis/port.h"

namespace sluice::redis {

/// Appends a command in RESP2: an array of bulk strings. hiredis' own formatter is not used: it
/// allocates memory for each command, and its source file also has the blocking sockets of
/// hiredis.
void append_command(std::string& out, const Command& command);

}  // namespace sluice::redis
