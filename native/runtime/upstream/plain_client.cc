#include "runtime/upstream/plain_client.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/upstream/http_request.h"
#include "runtime/loop/reactor.h"
#include "runtime/upstream/plain_transfer.h"

namespace sluice {

PlainClient::PlainClient(uv_loop_t* loop, UpstreamActivity& activity)
    : loop_(loop), activity_(activity), resolver_(loop), timer_(new uv_timer_t{}) {
  uv_timer_init(loop_, timer_.get());
  timer_->data = this;
}

std::unique_ptr<UpstreamTransfer> PlainClient::post(UpstreamRequest& request,
                                                    UpstreamReceiver& receiver) {
  std::optional<HttpUrl> url = parse_http_url(request.url);
  if (!url) return nullptr;
  auto transfer = std::make_unique<PlainTransfer>(*this, std::move(*url), request, receiver);
  transfer->start();
  return transfer;
}

void PlainClient::keep(const std::string& origin, UpstreamConnection connection) {
  pool_.keep(origin, std::move(connection), Reactor::now());
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(timer_.get())) == 0) arm();
}

void PlainClient::arm() {
  const Nanos deadline = pool_.next_deadline();
  if (deadline == kNever) return;
  const Nanos wait = std::max<Nanos>(deadline - Reactor::now(), 0);
  uv_update_time(loop_);
  uv_timer_start(
      timer_.get(),
      [](uv_timer_t* handle) {
        auto* const self = static_cast<PlainClient*>(handle->data);
        self->pool_.expire(Reactor::now());
        self->arm();
      },
      static_cast<std::uint64_t>(wait / kMillisecond) + 1, 0);
}

}  // namespace sluice
