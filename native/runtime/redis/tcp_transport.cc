#include "runtime/redis/tcp_transport.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace sluice {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
// Each piece that the kernel takes is progress.
constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr unsigned kKeepAliveSeconds = 15;

TcpTransport* owner_of(void* data) {
  return static_cast<TcpTransport*>(data);
}

uv_stream_t* stream_of(const UvHandle<uv_tcp_t>& tcp) {
  return reinterpret_cast<uv_stream_t*>(tcp.get());
}

uv_buf_t buffer_of(std::string& bytes, std::size_t from = 0) {
  return uv_buf_init(bytes.data() + from, static_cast<unsigned>(bytes.size() - from));
}

}  // namespace

// A write that the kernel did not take at once, with its bytes.
struct TcpTransport::Write {
  uv_write_t request{};
  std::string bytes;
};

void TcpTransport::open(const redis::Address& address, Events& events) {
  close();
  events_ = &events;
  tcp_.reset(new uv_tcp_t{});
  uv_tcp_init(reactor_.loop(), tcp_.get());
  tcp_->data = this;
  if (const int status = connect(address); status != 0) fail(status);
}

int TcpTransport::connect(const redis::Address& address) {
  sockaddr_storage storage{};
  int status =
      uv_ip4_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in*>(&storage));
  if (status != 0) {
    status =
        uv_ip6_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in6*>(&storage));
  }
  if (status != 0) return status;
  auto request = std::make_unique<uv_connect_t>();
  status = uv_tcp_connect(request.get(), tcp_.get(), reinterpret_cast<const sockaddr*>(&storage),
                          [](uv_connect_t* done, int result) {
                            const std::unique_ptr<uv_connect_t> owned(done);
                            auto* const self = owner_of(done->handle->data);
                            if (self == nullptr) return;  // closed meanwhile
                            if (result == 0) {
                              self->begin();
                            } else {
                              self->fail(result);
                            }
                          });
  if (status == 0) static_cast<void>(request.release());
  return status;
}

void TcpTransport::begin() {
  uv_tcp_nodelay(tcp_.get(), 1);
  uv_tcp_keepalive(tcp_.get(), 1, kKeepAliveSeconds);
  const int status = uv_read_start(
      stream_of(tcp_),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        std::vector<char>& input = owner_of(handle->data)->input_;
        input.resize(kReadBytes);
        *buffer = uv_buf_init(input.data(), static_cast<unsigned>(input.size()));
      },
      [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
        auto* const self = owner_of(stream->data);
        if (self == nullptr || size == 0) return;
        if (size > 0) {
          self->on_read({buffer->base, static_cast<std::size_t>(size)});
        } else {
          self->fail(static_cast<int>(size));
        }
      });
  if (status != 0) {
    fail(status);
    return;
  }
  events_->on_open(Reactor::now());
  reactor_.turn();
}

void TcpTransport::on_read(std::string_view bytes) {
  events_->on_bytes(bytes, Reactor::now());
  reactor_.turn();
}

void TcpTransport::write(std::string bytes) {
  if (!tcp_ || failing_) return;
  uv_buf_t buffer = buffer_of(bytes);
  // While others wait the call fails with UV_EAGAIN, so that the order is kept.
  const int taken = uv_try_write(stream_of(tcp_), &buffer, 1);
  if (taken < 0 && taken != UV_EAGAIN) {
    fail(taken);
    return;
  }
  for (auto from = static_cast<std::size_t>(std::max(taken, 0)); from < bytes.size();
       from += kPieceBytes) {
    queue(bytes.substr(from, kPieceBytes));
  }
}

void TcpTransport::queue(std::string bytes) {
  auto owned = std::make_unique<Write>();
  owned->bytes = std::move(bytes);
  owned->request.data = owned.get();
  const uv_buf_t buffer = buffer_of(owned->bytes);
  const int status =
      uv_write(&owned->request, stream_of(tcp_), &buffer, 1, [](uv_write_t* done, int result) {
        void* const self = done->handle->data;
        delete static_cast<Write*>(done->data);
        if (self != nullptr) owner_of(self)->on_written(result);
      });
  if (status == 0) {
    static_cast<void>(owned.release());
  } else {
    fail(status);
  }
}

void TcpTransport::on_written(int status) {
  if (status != 0) {
    fail(status);
    return;
  }
  events_->on_progress(Reactor::now());
  reactor_.turn();
}

// The owner gets to know it from a callback of its own.
void TcpTransport::fail(int status) {
  if (failing_) return;
  failure_ = status;
  failing_.reset(new uv_timer_t{});
  uv_timer_init(reactor_.loop(), failing_.get());
  failing_->data = this;
  uv_timer_start(
      failing_.get(),
      [](uv_timer_t* timer) {
        auto* const self = owner_of(timer->data);
        Events* const events = self->events_;
        Reactor& reactor = self->reactor_;
        const std::string reason = self->failure_ == UV_EOF
                                       ? "Redis has closed the connection"
                                       : std::string(uv_strerror(self->failure_)) + " (" +
                                             uv_err_name(self->failure_) + ")";
        self->close();
        events->on_closed(reason, Reactor::now());
        reactor.turn();
      },
      0, 0);
}

void TcpTransport::close() {
  if (failing_) failing_->data = nullptr;
  failing_.reset();
  if (tcp_) tcp_->data = nullptr;
  tcp_.reset();
  events_ = nullptr;
}

}  // namespace sluice
