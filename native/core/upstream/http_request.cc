#include "core/upstream/http_request.h"

#include <algorithm>
#include <charconv>

#include "core/base/ascii.h"
#include "core/upstream/field_value.h"

namespace sluice {

namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::uint16_t kDefaultPort = 80;

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// The host, without its brackets, at the front of `authority`; the rest stays there. Empty if there
// is none.
std::string_view take_host(std::string_view& authority) {
  const bool bracketed = authority.starts_with('[');
  const std::size_t end = authority.find(bracketed ? ']' : ':');
  if (bracketed && end == std::string_view::npos) return {};
  const std::string_view host = authority.substr(0, end);
  authority.remove_prefix(bracketed ? end + 1 : host.size());
  return bracketed ? host.substr(1) : host;
}

std::optional<std::uint16_t> port_from(std::string_view text) {
  if (text.empty() || text == ":") return kDefaultPort;
  if (text.front() != ':') return std::nullopt;
  text.remove_prefix(1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

std::optional<HttpUrl> parse_http_url(std::string_view url) {
  if (!equals_ignoring_case(url.substr(0, kScheme.size()), kScheme) || !is_visible(url)) {
    return std::nullopt;
  }
  url.remove_prefix(kScheme.size());
  url = url.substr(0, url.find('#'));
  const std::string_view authority = url.substr(0, url.find_first_of("/?"));
  const std::string_view target = url.substr(authority.size());
  std::string_view rest = authority;
  const std::string_view host = take_host(rest);
  const std::optional<std::uint16_t> port = port_from(rest);
  const bool has_credentials = authority.find('@') != std::string_view::npos;
  if (host.empty() || has_credentials || !port) return std::nullopt;
  HttpUrl parsed{.host = std::string(host),
                 .port = *port,
                 .authority = std::string(authority),
                 .target = target.starts_with('/') ? "" : "/"};
  parsed.target.append(target);
  return parsed;
}

RequestHead post_head(const HttpUrl& url, const std::vector<std::string>& headers,
                      std::size_t body_bytes) {
  RequestHead head{.text = "POST " + url.target + " HTTP/1.1\r\n"};
  bool has_host = false;
  bool has_accept = false;
  std::string lines;
  for (const std::string& header : headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view name = std::string_view(header).substr(0, colon);
    const bool framing = equals_ignoring_case(name, "content-length") ||
                         equals_ignoring_case(name, "transfer-encoding") ||
                         equals_ignoring_case(name, "expect");
    if (framing) continue;
    has_host = has_host || equals_ignoring_case(name, "host");
    has_accept = has_accept || equals_ignoring_case(name, "accept");
    if (equals_ignoring_case(name, "connection")) {
      each_element(std::string_view(header).substr(colon + 1), [&](std::string_view token) {
        head.closes = head.closes || equals_ignoring_case(token, "close");
      });
    }
    lines.append(header).append("\r\n");
  }
  if (!has_host) head.text.append("Host: ").append(url.authority).append("\r\n");
  if (!has_accept) head.text.append("Accept: */*\r\n");
  head.text.append(lines);
  head.text.append("Content-Length: ").append(std::to_string(body_bytes)).append("\r\n\r\n");
  return head;
}

}  // namespace sluice
