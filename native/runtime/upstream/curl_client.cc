// Calls into libcurl come from the reactor's turns only, never from its own callbacks: libcurl does
// not allow adding, resuming or removing a transfer there.
#include "runtime/upstream/curl_client.h"

#include <utility>

namespace sluice {

namespace {

// Connections kept for later calls. libcurl looks whether one is still alive before it uses it.
constexpr long kIdleConnectionsMax = 256;

}  // namespace

std::unique_ptr<CurlClient> CurlClient::create(uv_loop_t* loop, UpstreamActivity& activity) {
  const CurlApi* const api = CurlApi::get();
  if (api == nullptr) return nullptr;
  std::unique_ptr<CurlClient> client(new CurlClient(*api, loop, activity));
  return client->set_up() ? std::move(client) : nullptr;
}

CurlClient::CurlClient(const CurlApi& api, uv_loop_t* loop, UpstreamActivity& activity)
    : api_(api), loop_(loop), activity_(activity) {
  timer_.reset(new uv_timer_t{});
  uv_timer_init(loop_, timer_.get());
  timer_->data = this;
}

CurlClient::~CurlClient() {
  if (multi_ == nullptr) return;
  // Stop watching before libcurl closes the descriptors: their numbers can be reused at once.
  api_.multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, nullptr);
  api_.multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, nullptr);
  watched_.clear();
  api_.multi_cleanup(multi_);
}

bool CurlClient::set_up() {
  multi_ = api_.multi_init();
  if (multi_ == nullptr) return false;
  const curl_socket_callback on_watch = [](CURL* easy, curl_socket_t socket, int what, void* self,
                                           void*) {
    auto* const client = static_cast<CurlClient*>(self);
    client->watch(socket, what);
    // libcurl also has internal handles, for idle connections.
    char* of = nullptr;
    client->api_.easy_getinfo(easy, CURLINFO_PRIVATE, &of);
    if (of != nullptr) reinterpret_cast<Transfer*>(of)->watched(socket, what);
    return 0;
  };
  const curl_multi_timer_callback on_timeout = [](CURLM*, long timeout_ms, void* self) {
    static_cast<CurlClient*>(self)->set_timer(timeout_ms);
    return 0;
  };
  api_.multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_watch);
  api_.multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  api_.multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timeout);
  api_.multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  // One call per connection, HTTP/2 included: a paused stream would block others on a shared one.
  api_.multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  api_.multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnectionsMax);
  return true;
}

std::unique_ptr<UpstreamTransfer> CurlClient::post(UpstreamRequest request,
                                                   UpstreamReceiver& receiver) {
  std::unique_ptr<Transfer> transfer(new Transfer(*this, std::move(request), receiver));
  if (!transfer->set_up()) return nullptr;
  return transfer;
}

void CurlClient::watch(curl_socket_t socket, int what) {
  if (what == CURL_POLL_REMOVE) {
    watched_.erase(socket);
    return;
  }
  UvHandle<uv_poll_t>& poll = watched_[socket];
  if (!poll) {
    auto* const made = new uv_poll_t{};
    if (uv_poll_init_socket(loop_, made, socket) != 0) {
      delete made;
      watched_.erase(socket);
      return;  // the call's idle time-out ends it
    }
    made->data = this;
    poll.reset(made);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(poll.get(), events, [](uv_poll_t* handle, int status, int happened) {
    uv_os_fd_t number{};
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &number) != 0) return;
    static_cast<CurlClient*>(handle->data)->on_socket(number, status, happened);
  });
}

void CurlClient::set_timer(long timeout_ms) {
  if (timeout_ms < 0) {
    uv_timer_stop(timer_.get());
    return;
  }
  uv_timer_start(
      timer_.get(), [](uv_timer_t* handle) { static_cast<CurlClient*>(handle->data)->on_timer(); },
      static_cast<std::uint64_t>(timeout_ms), 0);
}

void CurlClient::on_socket(curl_socket_t socket, int status, int events) {
  int happened = status < 0 ? CURL_CSELECT_ERR : 0;
  if ((events & UV_READABLE) != 0) happened |= CURL_CSELECT_IN;
  if ((events & UV_WRITABLE) != 0) happened |= CURL_CSELECT_OUT;
  int running = 0;
  api_.multi_socket_action(multi_, socket, happened, &running);
  read_ends();
  activity_.mark();
}

void CurlClient::on_timer() {
  int running = 0;
  api_.multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  read_ends();
  activity_.report();
}

void CurlClient::read_ends() {
  int left = 0;
  while (const CURLMsg* message = api_.multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    char* self = nullptr;
    api_.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    auto* const transfer = reinterpret_cast<Transfer*>(self);
    const UpstreamEnd end = transfer->end_for(code);
    if (transfer->failed_by_kept_connection(code) && transfer->start_over()) continue;
    transfer->receiver_.on_end(end);
  }
}

}  // namespace sluice
