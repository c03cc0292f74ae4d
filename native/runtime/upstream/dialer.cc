#include "runtime/upstream/dialer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice {

struct Dialer::Attempt final : public SocketWatcher {
  explicit Attempt(Dialer& owner) : dialer(owner) {}
  void on_socket(int /*events*/) override { dialer.on_settled(*this); }

  Dialer& dialer;
  UpstreamConnection connection;
};

Dialer::Dialer(uv_loop_t* loop, std::vector<SocketAddress> addresses, Timing timing, Events& events)
    : loop_(loop),
      addresses_(std::move(addresses)),
      timing_(timing),
      events_(events),
      timer_(new uv_timer_t{}),
      gives_up_at_ms_(0) {
  uv_timer_init(loop_, timer_.get());
  timer_->data = this;
  uv_update_time(loop_);
  gives_up_at_ms_ = uv_now(loop_) + timing_.give_up_after_ms;
  try_next();
}

Dialer::~Dialer() = default;

// Begins an attempt with the next address that permits one.
void Dialer::try_next() {
  while (next_ < addresses_.size()) {
    auto attempt = std::make_unique<Attempt>(*this);
    const auto& address = reinterpret_cast<const sockaddr&>(addresses_[next_]);
    next_ += 1;
    const int error = UpstreamConnection::connect(loop_, address, attempt->connection);
    if (error == 0) {
      attempt->connection.watch(UV_WRITABLE, attempt.get());
      attempts_.push_back(std::move(attempt));
      break;
    }
    note(error);
  }
  arm();
}

void Dialer::arm() {
  const std::uint64_t now = uv_now(loop_);
  std::uint64_t wait = gives_up_at_ms_ > now ? gives_up_at_ms_ - now : 0;
  if (next_ < addresses_.size()) wait = std::min(wait, timing_.next_after_ms);
  if (exhausted()) wait = 0;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* handle) { static_cast<Dialer*>(handle->data)->on_timer(); },
      wait, 0);
}

void Dialer::on_timer() {
  if (exhausted()) {
    events_.on_unreachable(last_error_);
  } else if (uv_now(loop_) >= gives_up_at_ms_) {
    events_.on_unreachable(ETIMEDOUT);
  } else {
    try_next();
  }
}

void Dialer::on_settled(Attempt& attempt) {
  const int error = attempt.connection.error();
  if (error == 0) {
    UpstreamConnection connection = std::move(attempt.connection);
    connection.watch(0, nullptr);
    events_.on_connected(std::move(connection));
    return;
  }
  note(error);
  std::erase_if(attempts_, [&](const auto& each) { return each.get() == &attempt; });
  try_next();
}

// Names have addresses of families that the machine does not use: the error of another address says
// more.
void Dialer::note(int error) {
  const bool has_route = error != ENETUNREACH && error != EADDRNOTAVAIL && error != EAFNOSUPPORT;
  if (has_route || last_error_ == 0) last_error_ = error;
}

}  // namespace sluice
