// Checks of foreign bytes in the fields of an entry. Plain functions; any thread.
#pragma once

#include <string_view>

namespace sluice {

/// Whether `text` is JSON on one line, in UTF-8.
bool is_json_line(std::string_view text);
/// Whether it is a JSON object on one line, in UTF-8, without space around it.
bool is_object_line(std::string_view text);
/// Whether it can be the type of an SSE event: `[a-z0-9_]{1,64}`.
bool is_event_type(std::string_view text);

}  // namespace sluice
