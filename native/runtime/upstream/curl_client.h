// HTTP client for model servers: libcurl's multi interface on a reactor's libuv loop.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/upstream/chunked_body.h"
#include "runtime/loop/uv_handle.h"
#include "runtime/upstream/activity.h"
#include "runtime/upstream/curl_api.h"
#include "runtime/upstream/curl_sockets.h"
#include "runtime/upstream/transfer.h"

namespace sluice {

/// HTTP client by libcurl, for TLS, HTTP/2 and proxies; see UpstreamClient for what it promises.
///
/// libcurl reports which sockets to watch and when to be called; this class has one uv_poll per
/// socket and one uv_timer. libcurl delimits chunked bodies, and they are decoded here: only so it
/// is known whether bytes followed the end of one.
///
/// Reactor's thread only. Outlives its transfers.
class CurlClient {
 public:
  class Transfer;

  /// A client on `loop`; nullptr if libcurl is not available.
  static std::unique_ptr<CurlClient> create(uv_loop_t* loop, UpstreamActivity& activity);
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;
  ~CurlClient();

  /// Starts a POST. The receiver is called later, never from within this call. Returns nullptr when
  /// libcurl is out of memory or rejects the URL.
  std::unique_ptr<UpstreamTransfer> post(UpstreamRequest request, UpstreamReceiver& receiver);

 private:
  CurlClient(const CurlApi& api, uv_loop_t* loop, UpstreamActivity& activity);
  bool set_up();
  void watch(curl_socket_t socket, int what);
  void set_timer(long timeout_ms);
  void on_socket(curl_socket_t socket, int status, int events);
  void on_timer();
  void read_ends();

  const CurlApi& api_;
  uv_loop_t* loop_;
  UpstreamActivity& activity_;
  CurlSockets sockets_;
  CURLM* multi_ = nullptr;
  UvHandle<uv_timer_t> timer_;
  std::unordered_map<curl_socket_t, UvHandle<uv_poll_t>> watched_;
  std::string body_;  // scratch: decoded body
};

/// One call. See UpstreamTransfer.
class CurlClient::Transfer final : public UpstreamTransfer {
 public:
  ~Transfer() override;

  void resume() override;
  [[nodiscard]] bool has_input() const override;

 private:
  friend class CurlClient;

  Transfer(CurlClient& client, UpstreamRequest request, UpstreamReceiver& receiver);
  bool set_up();
  void take_header_line(std::string_view line);
  std::size_t take_bytes(std::string_view bytes);
  [[nodiscard]] bool is_fit_for_use(const std::string& connection);
  [[nodiscard]] bool on_kept_connection() const;
  [[nodiscard]] bool failed_by_kept_connection(CURLcode code) const;
  bool start_over();
  [[nodiscard]] UpstreamEnd end_for(CURLcode code) const;
  void watched(curl_socket_t socket, int what);
  void let_go_of_library();

  CurlClient& client_;
  UpstreamRequest request_;
  UpstreamReceiver& receiver_;
  CURL* easy_ = nullptr;
  curl_slist* headers_ = nullptr;
  UpstreamHead head_;
  std::size_t head_bytes_ = 0;
  bool has_head_ = false;
  bool head_too_large_ = false;
  bool stale_ = false;  // the kept connection was not silent, or answered 408
  bool fresh_ = false;  // this is the second try, on a new connection
  bool added_ = false;
  bool paused_ = false;
  bool plain_ = false;  // plain TCP
  bool chunked_ = false;
  std::string transfer_encoding_;  // of this head, as sent
  ChunkDecoder chunks_;            // knows the body up to the bytes that the receiver took last
  curl_socket_t socket_ = CURL_SOCKET_BAD;  // while libcurl watches it
  std::vector<char> problem_;               // libcurl's error message
};

}  // namespace sluice
