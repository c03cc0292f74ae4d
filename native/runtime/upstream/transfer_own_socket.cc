// The part of a transfer that reads a taken-over socket without libcurl; see UpstreamClient.
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "runtime/upstream/client.h"

namespace sluice {

namespace {

constexpr std::size_t kSocketReadBytes = 16 * 1024;

}  // namespace

void UpstreamClient::Transfer::take_over() {
  leaving_ = false;
  const bool may_leave = chunks_.status() == ChunkDecoder::Status::kMore && !ended_;
  if (may_leave) {
    if (plain_ && library_socket_ != CURL_SOCKET_BAD) {
      socket_ = UniqueFd::duplicate_of(library_socket_);
    }
    if (socket_.valid()) {
      // The response is incomplete: libcurl closes its descriptor and does not keep the connection.
      let_go_of_library();
      problem_ = {};
      request_ = {};
      // If the socket cannot be watched, the idle time-out ends the call, as with libcurl.
      if (held_.empty()) (void)watch_socket();
      return;
    }
  }
  // The transfer stays with libcurl: it has ended, or its socket cannot be read directly (TLS, or
  // no free descriptor). In the latter case it pauses if its receiver has refused bytes.
  if (may_leave && !held_.empty()) client_.api_.easy_pause(easy_, CURLPAUSE_RECV);
  reads_ = 0;
}

bool UpstreamClient::Transfer::watch_socket() {
  if (!poll_) {
    poll_.reset(new uv_poll_t{});
    if (uv_poll_init_socket(client_.loop_, poll_.get(), socket_.get()) != 0) {
      delete poll_.release();
      return false;
    }
    poll_->data = this;
  }
  return uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* handle, int status, int) {
           static_cast<Transfer*>(handle->data)->read_socket(status);
         }) == 0;
}

// One read per turn of the loop; the next turn reads the rest.
void UpstreamClient::Transfer::read_socket(int /*status*/) {
  client_.active_ = true;
  client_.input_.resize(kSocketReadBytes);
  const ssize_t size = recv(socket_.get(), client_.input_.data(), kSocketReadBytes, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  UpstreamEnd last;
  if (size <= 0) {
    last.kind = UpstreamEnd::Kind::kBroken;
    if (size < 0) last.name = uv_err_name(-errno);
    last.detail = "the connection was closed in the midst of the answer";
  } else {
    body_.clear();
    const auto status =
        chunks_.push({client_.input_.data(), static_cast<std::size_t>(size)}, body_);
    if (!body_.empty() && !receiver_.on_bytes(body_)) {
      paused_ = true;
      held_.swap(body_);
    }
    if (status == ChunkDecoder::Status::kMore) {
      if (paused_) uv_poll_stop(poll_.get());
      return;
    }
    if (status == ChunkDecoder::Status::kBad) {
      last.kind = UpstreamEnd::Kind::kProtocol;
      last.detail = "the answer is no chunked body";
    }
  }
  uv_poll_stop(poll_.get());
  end(std::move(last));
}

void UpstreamClient::Transfer::give_held() {
  if (!receiver_.on_bytes(held_)) {
    paused_ = true;
    return;
  }
  held_ = {};
  if (ended_) {
    receiver_.on_end(*std::exchange(ended_, std::nullopt));
  } else if (easy_ == nullptr) {
    (void)watch_socket();
  } else if (chunks_.status() == ChunkDecoder::Status::kMore) {
    client_.api_.easy_pause(easy_, CURLPAUSE_CONT);
  }
}

}  // namespace sluice
