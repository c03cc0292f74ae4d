#include "runtime/socket_egress.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

namespace sluice {

namespace {

constexpr std::string_view kCrlf = "\r\n";

// What the kernel may hold that has not gone out yet. It grows to megabytes by itself, and a model
// would be that far ahead of a reader who stands still; a socket that is kept busy needs no more.
constexpr int kUnsentBytesMax = 128 * 1024;

void limit_unsent_bytes(int fd) {
#ifdef TCP_NOTSENT_LOWAT
  // Best effort: other sockets than TCP have no such option, and hold little.
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytesMax, sizeof kUnsentBytesMax);
#else
  (void)fd;
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

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

UniqueFd UniqueFd::duplicate_of(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int UniqueFd::release() {
  return std::exchange(fd_, -1);
}

SocketEgress::SocketEgress(uv_loop_t* loop, UniqueFd fd, std::uint64_t id, Owner& owner)
    : loop_(loop), fd_(std::move(fd)), id_(id), owner_(owner) {
  limit_unsent_bytes(fd_.get());
}

SocketEgress::~SocketEgress() {
  // The watcher goes before the descriptor: its number may be somebody else's right after.
  if (poll_) uv_poll_stop(poll_.get());
  poll_.reset();
}

SocketEgress::Sent SocketEgress::send(std::string_view frames) {
  // RFC 9112 section 7.1: the size in hexadecimal, CRLF, the data, CRLF.
  std::array<char, 18> digits{};
  const auto [digits_end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), frames.size(), 16);
  (void)error;  // 16 digits hold every size
  const std::string_view size(digits.data(), static_cast<std::size_t>(digits_end - digits.data()));
  const std::array<std::string_view, 4> texts{size, kCrlf, frames, kCrlf};
  std::array<iovec, 4> parts{part_of(texts[0]), part_of(texts[1]), part_of(texts[2]),
                             part_of(texts[3])};
  const ssize_t sent = send_parts(fd_.get(), parts.data(), parts.size());
  if (sent < 0 && !would_block()) return Sent::kGone;
  auto taken = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  if (taken == size.size() + frames.size() + 2 * kCrlf.size()) return Sent::kAll;
  pending_.clear();
  pending_from_ = 0;
  for (const std::string_view text : texts) {
    const std::size_t skip = std::min(taken, text.size());
    taken -= skip;
    pending_.append(text.substr(skip));
  }
  wait_until_writable();
  return Sent::kPending;
}

void SocketEgress::wait_until_writable() {
  if (!poll_) {
    poll_.reset(new uv_poll_t{});
    if (uv_poll_init(loop_, poll_.get(), fd_.get()) != 0) {
      // Not a descriptor that can be watched: the write time-out will end it.
      delete poll_.release();
      return;
    }
    poll_->data = this;
  }
  uv_poll_start(poll_.get(), UV_WRITABLE, [](uv_poll_t* handle, int status, int /*events*/) {
    static_cast<SocketEgress*>(handle->data)->on_writable(status);
  });
}

void SocketEgress::on_writable(int status) {
  iovec rest = part_of(std::string_view(pending_).substr(pending_from_));
  const ssize_t sent = status < 0 ? -1 : send_parts(fd_.get(), &rest, 1);
  if (sent < 0) {
    if (status == 0 && would_block()) return;
    uv_poll_stop(poll_.get());
    owner_.on_gone(*this);
    return;
  }
  pending_from_ += static_cast<std::size_t>(sent);
  if (pending_from_ < pending_.size()) {
    owner_.on_progress(*this);
    return;
  }
  uv_poll_stop(poll_.get());
  // A socket that filled up once may never again: its memory is not kept.
  pending_ = {};
  pending_from_ = 0;
  owner_.on_drained(*this);
}

}  // namespace sluice
