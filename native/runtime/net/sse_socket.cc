#include "runtime/net/sse_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <span>
#include <utility>

namespace sluice {

namespace {

// RFC 9112 section 7.1: the size in hexadecimal, CRLF, the data, CRLF; a size of 0 ends the body.
constexpr std::string_view kCrlf = "\r\n";
constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kChunkEndAndLast = "\r\n0\r\n\r\n";

// The most unsent bytes in the kernel (TCP_NOTSENT_LOWAT). The send buffer would grow to megabytes,
// and a model would run that far ahead of a stalled reader; throughput needs no more than this.
constexpr int kUnsentBytesMax = 128 * 1024;

void limit_unsent_bytes(int fd) {
#ifdef TCP_NOTSENT_LOWAT
  // Best effort: sockets other than TCP lack the option, and have small buffers.
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytesMax, sizeof kUnsentBytesMax);
#else
  (void)fd;
#endif
}

// 0: the kernel's default, about a quarter of an hour.
void limit_silence(int fd, Nanos limit) {
#ifdef TCP_USER_TIMEOUT
  const auto limit_ms = static_cast<int>(std::min<Nanos>(limit / kMillisecond, INT_MAX));
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
#else
  (void)fd, (void)limit;
#endif
}

// One sendmsg with its interruptions retried. MSG_NOSIGNAL: a dead peer is an error, not a signal.
ssize_t send_parts(int fd, iovec* parts, std::size_t count) {
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t sent = 0;
  do {
    sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

iovec part_of(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}

// Chunks up to this size, which those of tokens are, are copied into one buffer: the kernel takes
// it faster than its parts.
constexpr std::size_t kCopiedBytesMax = 2048;

// Sends the texts, `size` bytes in all.
ssize_t send_texts(int fd, std::span<const std::string_view> texts, std::size_t size) {
  std::array<iovec, 5> parts{};
  if (size > kCopiedBytesMax) {
    std::transform(texts.begin(), texts.end(), parts.begin(), part_of);
    return send_parts(fd, parts.data(), texts.size());
  }
  std::array<char, kCopiedBytesMax> buffer;
  char* to = buffer.data();
  for (const std::string_view text : texts) to = std::copy(text.begin(), text.end(), to);
  ssize_t sent = 0;
  do {
    sent = ::send(fd, buffer.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

SocketEgress::SocketEgress(uv_loop_t* loop, UniqueFd fd, std::uint64_t id, Owner& owner,
                           Nanos silence_max)
    : loop_(loop), fd_(std::move(fd)), id_(id), owner_(owner) {
  limit_unsent_bytes(fd_.get());
  limit_silence(fd_.get(), silence_max);
}

SocketEgress::~SocketEgress() {
  // Stop watching before closing: the descriptor number can be reused at once.
  if (poll_) uv_poll_stop(poll_.get());
  poll_.reset();
  // Node may continue to use the connection.
  if (fd_.valid()) limit_silence(fd_.get(), 0);
}

void SocketEgress::take_over(std::string head) {
  sole_ = true;
  head_ = std::move(head);
  idle_events_ = UV_READABLE | UV_DISCONNECT;
  // If it cannot be watched, a failed or timed-out write reveals the disconnect.
  (void)watch(idle_events_);
}

UniqueFd SocketEgress::release() {
  if (poll_) uv_poll_stop(poll_.get());
  poll_.reset();
  UniqueFd fd = std::move(fd_);
  if (!body_ended_) {
    std::array<iovec, 2> parts{part_of(head_), part_of(kLastChunk)};
    const std::size_t size = head_.size() + kLastChunk.size();
    if (send_parts(fd.get(), parts.data(), parts.size()) != static_cast<ssize_t>(size)) return {};
  }
  limit_silence(fd.get(), 0);
  return fd;
}

SocketEgress::Sent SocketEgress::send(std::string_view frames, bool last) {
  std::array<char, 18> digits{};
  const auto [digits_end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), frames.size(), 16);
  (void)error;  // 16 digits hold every size
  const std::string_view size(digits.data(), static_cast<std::size_t>(digits_end - digits.data()));
  // The kernel would take the end for a client that has left, too.
  if (last && has_left()) return Sent::kGone;
  body_ended_ = sole_ && last;
  const std::string_view end = body_ended_ ? kChunkEndAndLast : kChunkEnd;
  const std::string head = std::exchange(head_, {});
  const std::array<std::string_view, 5> texts{head, size, kCrlf, frames, end};
  const std::size_t whole = head.size() + size.size() + kCrlf.size() + frames.size() + end.size();
  const ssize_t sent = send_texts(fd_.get(), texts, whole);
  if (sent < 0 && !would_block()) return Sent::kGone;
  auto taken = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  if (taken == whole) return Sent::kAll;
  pending_.clear();
  pending_from_ = 0;
  for (const std::string_view text : texts) {
    const std::size_t skip = std::min(taken, text.size());
    taken -= skip;
    pending_.append(text.substr(skip));
  }
  // If it cannot be watched, the write time-out ends it.
  (void)watch(idle_events_ | UV_WRITABLE);
  return Sent::kPending;
}

bool SocketEgress::watch(int events) {
  if (!poll_) {
    poll_.reset(new uv_poll_t{});
    if (uv_poll_init(loop_, poll_.get(), fd_.get()) != 0) {
      delete poll_.release();
      return false;
    }
    poll_->data = this;
  }
  return uv_poll_start(poll_.get(), events, [](uv_poll_t* handle, int status, int happened) {
           static_cast<SocketEgress*>(handle->data)->on_event(status, happened);
         }) == 0;
}

void SocketEgress::on_event(int status, int events) {
  const bool left =
      (events & UV_DISCONNECT) != 0 || ((events & UV_READABLE) != 0 && at_end_of_input());
  if (status < 0 || left) {
    on_dead();
  } else if ((events & UV_WRITABLE) != 0) {
    on_writable();
  }
}

bool SocketEgress::has_left() const {
  char byte = 0;
  const ssize_t size = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size == 0 || (size < 0 && !would_block() && errno != EINTR);
}

bool SocketEgress::at_end_of_input() {
  char byte = 0;
  const ssize_t size = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size <= 0) return size == 0 || !(would_block() || errno == EINTR);
  // The next request stays in the kernel. The socket remains readable, so stop watching for input.
  idle_events_ = UV_DISCONNECT;
  (void)watch(idle_events_ | (pending_.empty() ? 0 : UV_WRITABLE));
  return false;
}

void SocketEgress::on_dead() {
  uv_poll_stop(poll_.get());
  owner_.on_gone(*this);
}

void SocketEgress::on_writable() {
  iovec rest = part_of(std::string_view(pending_).substr(pending_from_));
  const ssize_t sent = send_parts(fd_.get(), &rest, 1);
  if (sent < 0) {
    if (!would_block()) on_dead();
    return;
  }
  pending_from_ += static_cast<std::size_t>(sent);
  if (pending_from_ < pending_.size()) {
    owner_.on_progress(*this);
    return;
  }
  if (idle_events_ == 0) {
    uv_poll_stop(poll_.get());
  } else {
    (void)watch(idle_events_);
  }
  // Free the buffer: the socket may never fill up again.
  pending_ = {};
  pending_from_ = 0;
  owner_.on_drained(*this);
}

}  // namespace sluice
