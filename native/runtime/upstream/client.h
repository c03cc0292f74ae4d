// HTTP client for model servers on a reactor's loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>

#include "runtime/upstream/activity.h"
#include "runtime/upstream/curl_client.h"
#include "runtime/upstream/plain_client.h"
#include "runtime/upstream/transfer.h"

namespace sluice {

/// Makes HTTP calls on a reactor's loop: `http:` calls by PlainClient, calls by TLS or through a
/// proxy by CurlClient, if libcurl is available.
///
/// With both, each call has a connection of its own while it lasts, so that a paused call does not
/// block others, and a dropped call closes its socket. The connection of a call that ended in good
/// order is kept for the next call, and carries no byte of one call into the next. Right before
/// each reuse it is checked: one with unread bytes or a pending close is closed instead, and so is
/// one whose response was followed by further bytes. If a call on a kept connection fails before
/// the first byte of its response, or receives a 408 there (RFC 9110, 15.5.9), it is retried once
/// on a new connection; its receiver does not see the first attempt. For plain calls so is one that
/// receives a response before the request has left: it may be unsolicited.
///
/// Reactor's thread only. Outlives its transfers.
class UpstreamClient {
 public:
  using Owner = UpstreamActivity::Owner;

  /// Which client makes plain calls.
  enum class Plain : std::uint8_t {
    kOwn,   ///< PlainClient, unless SLUICE_HTTP_CLIENT is `libcurl`.
    kCurl,  ///< CurlClient.
  };

  UpstreamClient(uv_loop_t* loop, Owner& owner, Plain plain);

  /// Starts a POST. The receiver is called later, never from within this call. Returns nullptr when
  /// no client can make the call: libcurl is needed and not available, or rejects the URL.
  std::unique_ptr<UpstreamTransfer> post(UpstreamRequest request, UpstreamReceiver& receiver);

 private:
  CurlClient* curl();

  uv_loop_t* loop_;
  UpstreamActivity activity_;
  std::unique_ptr<PlainClient> plain_;
  std::unique_ptr<CurlClient> curl_;  // created for the first call that needs it
};

}  // namespace sluice
