// A call whose answer is read past libcurl: why, and which, is said in upstream_client.h.
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "runtime/upstream/client.h"

namespace sluice {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

void UpstreamClient::Transfer::take_over() {
  leaving_ = false;
  const bool may_leave = chunks_.status() == ChunkDecoder::Status::kMore && !ended_;
  if (may_leave) {
    if (plain_ && library_socket_ != CURL_SOCKET_BAD) {
      socket_ = UniqueFd::duplicate_of(library_socket_);
    }
    if (socket_.valid()) {
      // In the midst of an answer: libcurl closes its descriptor and does not keep the connection.
      let_go_of_library();
      problem_ = {};
      request_ = {};
      // As it would have been with libcurl, the idle time-out ends what cannot be watched.
      if (held_.empty()) (void)watch_socket();
      return;
    }
  }
  // It has come to its end, or its socket cannot be read without libcurl (TLS, no descriptor to be
  // had): it stays there. In the latter case a receiver that refuses bytes must get no more.
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

// One read a turn: the rest, if there is any, is there in the next one.
void UpstreamClient::Transfer::read_socket(int /*status*/) {
  client_.active_ = true;
  client_.input_.resize(kReadBytes);
  const ssize_t size = recv(socket_.get(), client_.input_.data(), kReadBytes, MSG_DONTWAIT);
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
