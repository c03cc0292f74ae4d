// URLs and heads of plain HTTP/1.1 requests. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The parts of an `http:` URL.
struct HttpUrl {
  std::string host;       ///< A name or an address; IPv6 addresses without their brackets.
  std::uint16_t port;     ///< 80 by default.
  std::string authority;  ///< For the header Host: `host` or `host:port`, as in the URL.
  std::string target;     ///< Path and query, `/` by default.
};

/// Parses an `http:` URL in the form that the URL standard gives it. nullopt for other schemes, for
/// URLs with credentials, and for malformed ones.
std::optional<HttpUrl> parse_http_url(std::string_view url);

struct RequestHead {
  std::string text;     ///< With the empty line at its end.
  bool closes = false;  ///< The headers ask for the connection to be closed.
};

/// The head of a POST. Like libcurl it adds `Host` and `Accept` where `headers` have none. The
/// length is that of the body: `Content-Length`, `Transfer-Encoding` and `Expect` in `headers` are
/// dropped.
/// @param headers `name: value`.
RequestHead post_head(const HttpUrl& url, const std::vector<std::string>& headers,
                      std::size_t body_bytes);

}  // namespace sluice
