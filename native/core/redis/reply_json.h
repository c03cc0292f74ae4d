// Replies of Redis for JavaScript.
#pragma once

#include <string>

#include "core/redis/port.h"

namespace sluice::redis {

/// Appends a reply as JSON: null, a number, a string, an array; an error is `{"error":"..."}`.
void append_json(std::string& out, const Reply& reply);

}  // namespace sluice::redis
