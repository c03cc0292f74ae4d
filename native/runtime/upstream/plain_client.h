// HTTP/1.1 client for upstreams without TLS, on a reactor's loop.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/loop/uv_handle.h"
#include "runtime/upstream/activity.h"
#include "runtime/upstream/connection_pool.h"
#include "runtime/upstream/resolver.h"
#include "runtime/upstream/transfer.h"

namespace sluice {

/// HTTP/1.1 client for upstreams without TLS; see UpstreamClient for what it promises. All calls
/// share one read buffer, so that a call holds no bytes of its body unless its receiver has refused
/// them. Reactor's thread only. Outlives its transfers.
class PlainClient {
 public:
  PlainClient(uv_loop_t* loop, UpstreamActivity& activity);
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;

  /// Starts a POST. The receiver is called later, never from within this call.
  /// @param request moved from unless the result is nullptr: its URL is not a plain one.
  std::unique_ptr<UpstreamTransfer> post(UpstreamRequest& request, UpstreamReceiver& receiver);

 private:
  friend class PlainTransfer;

  void keep(const std::string& origin, UpstreamConnection connection);
  void arm();

  uv_loop_t* loop_;
  UpstreamActivity& activity_;
  Resolver resolver_;
  ConnectionPool pool_;
  UvHandle<uv_timer_t> timer_;  // closes connections that are idle for too long
  std::vector<char> input_;     // scratch: bytes as read
  std::string body_;            // scratch: decoded body
};

}  // namespace sluice
