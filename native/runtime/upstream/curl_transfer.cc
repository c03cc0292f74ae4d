// One call of an CurlClient: its options, its head, its body, its end.
#include <poll.h>

#include <utility>

#include "core/base/ascii.h"
#include "core/upstream/field_value.h"
#include "runtime/upstream/curl_client.h"

namespace sluice {

namespace {

constexpr std::size_t kHeadBytesMax = 64 * 1024;
constexpr long kReadBytes = 8 * 1024;  // per read: deltas are small, each call has a buffer

// libcurl omits a header that ends in a colon; a semicolon sends it with an empty value.
std::string header_for(const std::string& header) {
  const std::size_t colon = header.find(':');
  if (colon == std::string::npos || !trim_field(header.substr(colon + 1)).empty()) return header;
  return header.substr(0, colon) + ";";
}

bool is_protocol_error(CURLcode code, std::string_view problem) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9, that is: no HTTP at all
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_WRITE_ERROR:
      return true;
    case CURLE_RECV_ERROR:
      return problem.find("chunk") != std::string_view::npos ||
             problem.find("header") != std::string_view::npos;
    default:
      return false;
  }
}

std::string name_of(CURLcode code, long system_error) {
  if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) return "ENOTFOUND";
  if (code == CURLE_PEER_FAILED_VERIFICATION) return "CERT_NOT_TRUSTED";
  if (code == CURLE_SSL_CONNECT_ERROR) return "ERR_SSL";
  return system_error == 0 ? std::string() : uv_err_name(-static_cast<int>(system_error));
}

}  // namespace

CurlClient::Transfer::Transfer(CurlClient& client, UpstreamRequest request,
                               UpstreamReceiver& receiver)
    : client_(client),
      request_(std::move(request)),
      receiver_(receiver),
      problem_(CURL_ERROR_SIZE, '\0') {}

CurlClient::Transfer::~Transfer() {
  let_go_of_library();
}

void CurlClient::Transfer::let_go_of_library() {
  const CurlApi& api = client_.api_;
  if (std::exchange(added_, false)) api.multi_remove_handle(client_.multi_, easy_);
  if (CURL* const easy = std::exchange(easy_, nullptr)) api.easy_cleanup(easy);
  api.slist_free_all(std::exchange(headers_, nullptr));
}

bool CurlClient::Transfer::set_up() {
  const CurlApi& api = client_.api_;
  easy_ = api.easy_init();
  if (easy_ == nullptr) return false;
  std::vector<std::string> lines{"Expect:"};  // saves a round trip for long prompts
  for (const std::string& header : request_.headers) lines.push_back(header_for(header));
  for (const std::string& line : lines) {
    curl_slist* const longer = api.slist_append(headers_, line.c_str());
    if (longer == nullptr) return false;
    headers_ = longer;
  }
  const curl_write_callback on_header = [](char* data, std::size_t size, std::size_t count,
                                           void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.take_header_line({data, size * count});
    return transfer.head_too_large_ || transfer.stale_ ? std::size_t{0} : size * count;
  };
  const curl_write_callback on_body = [](char* data, std::size_t size, std::size_t count,
                                         void* self) {
    return static_cast<Transfer*>(self)->take_bytes({data, size * count});
  };
  const auto set = [&](CURLoption option, auto value) { api.easy_setopt(easy_, option, value); };
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  set(CURLOPT_POSTFIELDS, request_.body.data());
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, problem_.data());
  set(CURLOPT_OPENSOCKETFUNCTION, &CurlSockets::open);
  set(CURLOPT_OPENSOCKETDATA, &client_.sockets_);
  set(CURLOPT_CLOSESOCKETFUNCTION, &CurlSockets::close);
  set(CURLOPT_CLOSESOCKETDATA, &client_.sockets_);
  set(CURLOPT_BUFFERSIZE, kReadBytes);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  if (fresh_) set(CURLOPT_FRESH_CONNECT, 1L);
  bool checks = false;
#if LIBCURL_VERSION_NUM >= 0x075000
  const curl_prereq_callback before_request =
      [](void* self, char* peer_address, char* local_address, int peer_port, int local_port) {
        const std::string connection =
            CurlSockets::name_of(local_address, local_port, peer_address, peer_port);
        return static_cast<Transfer*>(self)->is_fit_for_use(connection) ? CURL_PREREQFUNC_OK
                                                                        : CURL_PREREQFUNC_ABORT;
      };
  set(CURLOPT_PREREQDATA, this);
  checks = api.easy_setopt(easy_, CURLOPT_PREREQFUNCTION, before_request) == CURLE_OK;
#endif
  // A connection that cannot be checked is not reused: with a libcurl before 7.80, and through an
  // HTTPS proxy, where one TLS session may be nested in another.
  if (!checks || api.proxied_by_tls) set(CURLOPT_FORBID_REUSE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  // Dropping a call during its name resolution must not wait for the resolver.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  constexpr std::string_view kPlainScheme = "http://";
  plain_ = !api.proxied_by_tls &&
           equals_ignoring_case(std::string_view(request_.url).substr(0, kPlainScheme.size()),
                                kPlainScheme);
  set(CURLOPT_HTTP_TRANSFER_DECODING, 0L);
  // libcurl verifies certificates by default.
  if (!api.authorities.empty()) {
    set(CURLOPT_CAINFO, api.authorities.c_str());
    set(CURLOPT_PROXY_CAINFO, api.authorities.c_str());
  }
  added_ = api.multi_add_handle(client_.multi_, easy_) == CURLM_OK;
  return added_;
}

void CurlClient::Transfer::take_header_line(std::string_view line) {
  if (has_head_) return;  // a trailer
  head_bytes_ += line.size();
  if (head_bytes_ > kHeadBytesMax) {
    head_too_large_ = true;
    return;
  }
  if (line.starts_with("HTTP/")) {
    head_ = {};  // the head before was an interim (1xx) response
    transfer_encoding_.clear();
    return;
  }
  const std::string_view text = trim_field(line);
  if (text.empty()) {
    long status = 0;
    client_.api_.easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return;
    constexpr long kRequestTimeout = 408;
    if (status == kRequestTimeout && !fresh_ && on_kept_connection()) {
      // A 408 on a kept connection refers to its idle time, not to this request.
      stale_ = true;
      return;
    }
    head_.status = static_cast<int>(status);
    has_head_ = true;
    chunked_ = equals_ignoring_case(transfer_encoding_, "chunked");
    receiver_.on_head(head_);
    return;
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = text.substr(0, colon);
  const std::string_view value = trim_field(text.substr(colon + 1));
  store_header(name, value, head_);
  if (equals_ignoring_case(name, "transfer-encoding")) transfer_encoding_ = value;
}

// Of refused bytes libcurl passes the same ones again: the decoder then begins where it was.
std::size_t CurlClient::Transfer::take_bytes(std::string_view bytes) {
  ChunkDecoder chunks = chunks_;
  std::string_view body = bytes;
  if (chunked_) {
    client_.body_.clear();
    chunks.push(bytes, client_.body_);
    body = client_.body_;
  }
  paused_ = !body.empty() && !receiver_.on_bytes(body);
  if (paused_) return CURL_WRITEFUNC_PAUSE;
  chunks_ = chunks;
  if (chunks_.status() == ChunkDecoder::Status::kBad) return 0;  // libcurl does not look
  // Excess bytes belong to no request: the connection must not be reused.
  if (chunks_.has_excess()) client_.api_.easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  return bytes.size();
}

// Called by libcurl when it has a connection, right before it sends the request.
bool CurlClient::Transfer::is_fit_for_use(const std::string& connection) {
  const curl_socket_t socket = client_.sockets_.find(connection);
  if (!on_kept_connection()) return true;
  pollfd look{.fd = socket, .events = POLLIN, .revents = 0};
  const bool silent = socket != CURL_SOCKET_BAD && poll(&look, 1, 0) == 0;
  stale_ = !silent || (!plain_ && client_.api_.has_unread_tls(easy_));
  return !stale_;
}

bool CurlClient::Transfer::on_kept_connection() const {
  long made = 0;
  client_.api_.easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &made);
  return made == 0;
}

// Whether a stale kept connection caused the failure.
bool CurlClient::Transfer::failed_by_kept_connection(CURLcode code) const {
  if (code == CURLE_OK || fresh_ || has_head_) return false;
  return stale_ || (head_bytes_ == 0 && on_kept_connection());
}

bool CurlClient::Transfer::start_over() {
  let_go_of_library();
  fresh_ = true;
  stale_ = false;
  head_ = {};
  head_bytes_ = 0;
  transfer_encoding_.clear();
  problem_.assign(CURL_ERROR_SIZE, '\0');
  socket_ = CURL_SOCKET_BAD;
  return set_up();
}

void CurlClient::Transfer::watched(curl_socket_t socket, int what) {
  if (what != CURL_POLL_REMOVE) {
    socket_ = socket;
  } else if (socket == socket_) {
    socket_ = CURL_SOCKET_BAD;
  }
}

void CurlClient::Transfer::resume() {
  if (!paused_) return;
  paused_ = false;
  client_.api_.easy_pause(easy_, CURLPAUSE_CONT);
}

bool CurlClient::Transfer::has_input() const {
  if (socket_ == CURL_SOCKET_BAD) return false;
  pollfd look{.fd = socket_, .events = POLLIN, .revents = 0};
  return poll(&look, 1, 0) > 0;
}

UpstreamEnd CurlClient::Transfer::end_for(CURLcode code) const {
  UpstreamEnd end;
  if (code == CURLE_OK) return end;
  const std::string_view problem(problem_.data());
  long system_error = 0;
  client_.api_.easy_getinfo(easy_, CURLINFO_OS_ERRNO, &system_error);
  end.kind =
      is_protocol_error(code, problem) ? UpstreamEnd::Kind::kProtocol : UpstreamEnd::Kind::kBroken;
  end.name = name_of(code, system_error);
  return end;
}

}  // namespace sluice
