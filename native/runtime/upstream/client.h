// HTTP client for model servers: libcurl's multi interface on a reactor's libuv loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/upstream/chunked_body.h"
#include "runtime/loop/uv_handle.h"
#include "runtime/net/sse_socket.h"
#include "runtime/upstream/curl_api.h"
#include "runtime/upstream/sockets.h"

namespace sluice {

struct UpstreamRequest {
  std::string url;
  std::vector<std::string> headers;  ///< `name: value`
  std::string body;
};

/// The status and headers of a response.
struct UpstreamHead {
  int status = 0;
  std::string content_type;      ///< As sent; empty if absent.
  std::string retry_after;       ///< Likewise.
  std::string retry_after_ms;    ///< Likewise.
  std::string location;          ///< Likewise.
  std::string content_encoding;  ///< Likewise.
};

/// How a transfer ended.
struct UpstreamEnd {
  enum class Kind : std::uint8_t {
    kWhole,     ///< The response is complete.
    kBroken,    ///< The connection failed or broke.
    kProtocol,  ///< The response is not valid HTTP.
    kSilent,    ///< Idle time-out. Fed calls only, see `RelayHub::start_fed`.
  };
  Kind kind = Kind::kWhole;
  std::string name;    ///< Of the error (`ECONNREFUSED`); may be empty.
  std::string detail;  ///< For logs.
};

/// Receives a response. Must neither destroy the transfer nor call it.
class UpstreamReceiver {
 public:
  virtual ~UpstreamReceiver() = default;
  virtual void on_head(const UpstreamHead& head) = 0;
  /// Bytes of the body. Returns false to refuse them: the transfer then pauses, its socket is not
  /// read, and the same bytes come again after `resume`.
  virtual bool on_bytes(std::string_view bytes) = 0;
  /// The last call.
  virtual void on_end(const UpstreamEnd& end) = 0;
};

/// Makes HTTP calls on a reactor's loop.
///
/// libcurl reports which sockets to watch and when to be called; this class has one uv_poll per
/// socket and one uv_timer. Each call has a connection of its own while it lasts, so that a paused
/// call does not block others, and a dropped call closes its socket. The connection of a call that
/// ended in good order is kept for the next call.
///
/// A kept connection carries no byte of one call into the next. Right before each reuse it is
/// checked: one with unread bytes, in the kernel or in the TLS library, or with a pending close is
/// closed instead, and so is one whose response was followed by further bytes. If a call on a kept
/// connection fails before the first byte of its response, or receives a 408 there (RFC 9110,
/// 15.5.9), it is retried once on a new connection; its receiver does not see the first attempt.
///
/// libcurl polls a socket again after each read and examines every state of a transfer. The
/// connection of a response that comes in many pieces, chunked over plain TCP, is therefore taken
/// over while the response is received: libcurl closes its descriptor, and this class reads a
/// duplicate. Such a connection cannot be kept; short responses stay with libcurl.
///
/// Reactor's thread only. Outlives its transfers.
class UpstreamClient {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Receivers were called. Once per turn of the loop.
    virtual void on_activity() = 0;
  };

  class Transfer;

  /// A client on `loop`; nullptr if libcurl is not available.
  static std::unique_ptr<UpstreamClient> create(uv_loop_t* loop, Owner& owner);
  UpstreamClient(const UpstreamClient&) = delete;
  UpstreamClient& operator=(const UpstreamClient&) = delete;
  ~UpstreamClient();

  /// Starts a POST. The receiver is called later, never from within this call. Returns nullptr when
  /// libcurl is out of memory or rejects the URL.
  std::unique_ptr<Transfer> post(UpstreamRequest request, UpstreamReceiver& receiver);

 private:
  struct Watcher;

  UpstreamClient(const CurlApi& api, uv_loop_t* loop, Owner& owner);
  bool set_up();
  void watch(curl_socket_t socket, int what);
  void set_timer(long timeout_ms);
  void on_socket(curl_socket_t socket, int status, int events);
  void on_timer();
  void read_ends();
  void take_over_leaving();

  const CurlApi& api_;
  uv_loop_t* loop_;
  Owner& owner_;
  UpstreamSockets sockets_;
  CURLM* multi_ = nullptr;
  UvHandle<uv_timer_t> timer_;
  UvHandle<uv_check_t> check_;  // runs after the sockets of each turn
  bool active_ = false;         // since the last run of `check_`
  std::unordered_map<curl_socket_t, UvHandle<uv_poll_t>> watched_;
  std::vector<Transfer*> leaving_;  // transfers to take over, outside of their libcurl callbacks
  std::vector<char> input_;         // scratch: read buffer of taken-over sockets
};

/// One call. Destroying it drops the call: the connection of an incomplete response is closed.
class UpstreamClient::Transfer {
 public:
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Whether the receiver has refused bytes and not received them again yet.
  [[nodiscard]] bool paused() const { return paused_; }

  /// Continues after a pause; may call the receiver.
  void resume();

  /// Whether the kernel has received bytes that have not been read.
  [[nodiscard]] bool has_input() const;

 private:
  friend class UpstreamClient;

  Transfer(UpstreamClient& client, UpstreamRequest request, UpstreamReceiver& receiver);
  bool set_up();
  void take_header_line(std::string_view line);
  std::size_t take_bytes(std::string_view bytes);
  std::size_t take_chunks(std::string_view bytes);
  [[nodiscard]] bool is_fit_for_use(const std::string& connection);
  [[nodiscard]] bool on_kept_connection() const;
  [[nodiscard]] bool failed_by_kept_connection(CURLcode code) const;
  bool start_over();
  [[nodiscard]] UpstreamEnd end_for(CURLcode code) const;
  void watched(curl_socket_t socket, int what);
  void leave_later();
  void end(UpstreamEnd end);
  void let_go_of_library();

  // transfer_own_socket.cc
  void take_over();
  void read_socket(int status);
  void give_held();
  bool watch_socket();

  UpstreamClient& client_;
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
  std::vector<char> problem_;  // libcurl's error message

  // Taking over. The chunk framing of such a body is decoded here, also while libcurl reads it.
  bool plain_ = false;             // plain TCP: a condition for taking over
  std::string transfer_encoding_;  // of this head, as sent
  bool chunked_ = false;
  bool leaving_ = false;
  curl_socket_t library_socket_ = CURL_SOCKET_BAD;  // while libcurl watches it
  std::uint32_t reads_ = 0;
  ChunkDecoder chunks_;
  std::string body_;                  // scratch: decoded body
  std::string held_;                  // decoded bytes that the receiver refused
  std::optional<UpstreamEnd> ended_;  // the end, to report after held_
  UniqueFd socket_;                   // once taken over
  UvHandle<uv_poll_t> poll_;
};

}  // namespace sluice
