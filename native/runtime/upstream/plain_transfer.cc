#include "runtime/upstream/plain_transfer.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "runtime/loop/reactor.h"

namespace sluice {

namespace {

constexpr std::size_t kInputBytes = 16 * 1024;
constexpr int kRequestTimeout = 408;

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int kSendFlags = MSG_DONTWAIT;
#endif

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

PlainTransfer::PlainTransfer(PlainClient& client, HttpUrl url, UpstreamRequest& request,
                             UpstreamReceiver& receiver)
    : client_(client),
      receiver_(receiver),
      origin_(url.host + ' ' + std::to_string(url.port)),
      outgoing_(std::make_unique<Outgoing>()) {
  outgoing_->head = post_head(url, request.headers, request.body.size());
  outgoing_->url = std::move(url);
  outgoing_->body = std::move(request.body);
  closes_ = outgoing_->head.closes;
}

PlainTransfer::~PlainTransfer() {
  client_.resolver_.forget(*this);
}

void PlainTransfer::start() {
  UpstreamConnection connection = client_.pool_.take(origin_, Reactor::now());
  kept_ = connection.valid();
  if (kept_) {
    on_connected(std::move(connection));
  } else {
    connect();
  }
}

void PlainTransfer::connect() {
  const std::string& host = outgoing_->url.host;
  if (const auto* const addresses = client_.resolver_.known(host, Reactor::now())) {
    dial(*addresses);
  } else if (!client_.resolver_.look_up(host, *this)) {
    dial({});
  }
}

void PlainTransfer::on_addresses(const std::vector<SocketAddress>& addresses) {
  dial(addresses);
}

void PlainTransfer::dial(std::vector<SocketAddress> addresses) {
  for (SocketAddress& address : addresses) set_port(address, outgoing_->url.port);
  Dialer::Events& events = *this;
  dialer_ = std::make_unique<Dialer>(client_.loop_, std::move(addresses), Dialer::Timing{}, events);
}

// The receiver does not see the first attempt.
void PlainTransfer::start_over() {
  connection_ = {};
  response_ = {};
  kept_ = false;
  has_bytes_ = false;
  closes_ = outgoing_->head.closes;
  connect();
}

void PlainTransfer::on_connected(UpstreamConnection connection) {
  connection_ = std::move(connection);
  dialer_.reset();
  outgoing_->sent = 0;
  sends_ = true;
  send_error_ = 0;
  send();
  watch();
}

void PlainTransfer::on_unreachable(int error) {
  UpstreamActivity& activity = client_.activity_;
  dialer_.reset();
  end({.kind = UpstreamEnd::Kind::kBroken, .name = error == 0 ? "ENOTFOUND" : uv_err_name(-error)});
  activity.report();  // may destroy this transfer
}

void PlainTransfer::send() {
  Outgoing& out = *outgoing_;
  const std::size_t head_sent = std::min(out.sent, out.head.text.size());
  const std::size_t body_sent = out.sent - head_sent;
  std::array<iovec, 2> parts{{{out.head.text.data() + head_sent, out.head.text.size() - head_sent},
                              {out.body.data() + body_sent, out.body.size() - body_sent}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t taken = sendmsg(connection_.fd(), &message, kSendFlags);
  if (taken >= 0) {
    out.sent += static_cast<std::size_t>(taken);
    sends_ = !out.whole();
  } else if (!would_block(errno)) {
    // There may be a response all the same: reading decides.
    send_error_ = errno;
    sends_ = false;
    closes_ = true;
  }
  if (!sends_ && response_.has_head()) outgoing_.reset();
}

void PlainTransfer::watch() {
  const int events = (paused_ ? 0 : UV_READABLE) | (sends_ ? UV_WRITABLE : 0);
  connection_.watch(events, this);
}

void PlainTransfer::on_socket(int events) {
  client_.activity_.mark();
  if (sends_ && (events & UV_WRITABLE) != 0) send();
  if (paused_ && events == 0) {
    sends_ = false;  // `resume` will find the error
    closes_ = true;
  } else if ((events & UV_READABLE) != 0 || events == 0) {
    read();
  }
  if (connection_.valid()) watch();
}

// One read per turn of the loop; the next turn reads the rest.
void PlainTransfer::read() {
  client_.input_.resize(kInputBytes);
  const ssize_t size = recv(connection_.fd(), client_.input_.data(), kInputBytes, MSG_DONTWAIT);
  if (size < 0) {
    const int error = errno;
    if (!would_block(error)) {
      fail(UpstreamEnd::Kind::kBroken, error);
    } else if (send_error_ != 0) {
      fail(UpstreamEnd::Kind::kBroken, send_error_);
    }
  } else if (size > 0) {
    has_bytes_ = true;
    take({client_.input_.data(), static_cast<std::size_t>(size)});
  } else if (send_error_ == 0 && response_.finish() == ResponseReader::Status::kEnd) {
    finish();
  } else {
    fail(UpstreamEnd::Kind::kBroken, send_error_);
  }
}

void PlainTransfer::take(std::string_view bytes) {
  ResponseReader::Part part;
  const ResponseReader::Status status = response_.push(bytes, client_.body_, part);
  if (part.head && !take_head(*part.head)) return;
  if (!part.body.empty() && !receiver_.on_bytes(part.body)) {
    paused_ = true;
    held_ = part.body;
  }
  if (status == ResponseReader::Status::kEnd) finish();
  if (status == ResponseReader::Status::kBad) fail(UpstreamEnd::Kind::kProtocol, 0);
}

// Returns false if the call starts over.
bool PlainTransfer::take_head(const UpstreamHead& head) {
  // On a kept connection a 408 refers to its idle time, and a response before the whole request
  // was sent may be unsolicited. The server lacks part of the request, so it is sent again.
  if (kept_ && (head.status == kRequestTimeout || sends_)) {
    start_over();
    return false;
  }
  if (sends_ && head.status >= 300) {
    sends_ = false;  // the server does not want the rest
    closes_ = true;
  }
  if (!sends_) outgoing_.reset();
  receiver_.on_head(head);
  return true;
}

void PlainTransfer::finish() {
  UpstreamConnection connection = std::move(connection_);
  if (response_.reusable() && !sends_ && !closes_) client_.keep(origin_, std::move(connection));
  end({});
}

// A failure of a kept connection before the first byte of the response may be that of an idle
// connection: the call is made once more.
void PlainTransfer::fail(UpstreamEnd::Kind kind, int error) {
  if (kept_ && !has_bytes_) {
    start_over();
    return;
  }
  connection_ = {};
  end({.kind = kind, .name = error == 0 ? "" : uv_err_name(-error)});
}

void PlainTransfer::end(UpstreamEnd how) {
  sends_ = false;
  outgoing_.reset();
  if (held_.empty()) {
    receiver_.on_end(how);
  } else {
    ended_ = std::make_unique<UpstreamEnd>(std::move(how));
  }
}

void PlainTransfer::resume() {
  if (!paused_) return;
  paused_ = !held_.empty() && !receiver_.on_bytes(held_);
  if (paused_) return;
  std::string().swap(held_);
  if (ended_) {
    receiver_.on_end(*std::exchange(ended_, nullptr));
  } else if (connection_.valid()) {
    watch();
  }
}

bool PlainTransfer::has_input() const {
  return connection_.valid() && connection_.has_input();
}

}  // namespace sluice
