// Appends server-sent events (WHATWG HTML section 9.2) to a caller's string. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Appends one event: `id:` and `event:` lines where those are not empty, `data` split on CR, LF
/// and CRLF into one `data:` line each, and the blank line that ends it. Returns false, and appends
/// nothing, when `id` or `type` has a CR, LF or NUL in it: they could inject fields of their own.
[[nodiscard]] bool append_sse_event(std::string& out, std::string_view id, std::string_view type,
                                    std::string_view data);

/// Appends the field that sets the reconnection time of the client. It is a line of the block that
/// follows: clients exist that take a block without data for an empty message.
void append_sse_retry(std::string& out, std::uint64_t retry_ms);

/// A comment that shows the connection is alive. One newline only: a blank line after a comment
/// makes some clients (@microsoft/fetch-event-source) deliver an empty message.
inline constexpr std::string_view kSseKeepAlive = ": keep-alive\n";

}  // namespace sluice
