// HTTP calls to models' servers from a reactor: libcurl's multi interface on a libuv loop.
//
// libcurl says which sockets to watch and when to be called; this file has one uv_poll per socket
// and one uv_timer for all. Each call has a connection of its own for as long as it lasts, so that
// one that is paused holds back nobody else, and one that is dropped closes its socket; what ended
// in good order is kept for the next call.
//
// A kept connection carries no byte of one call into the next. Right before each use it must be
// silent: one with unread bytes, in the kernel or in the TLS library, or with a close is closed in
// place of being used, and so is one whose answer was followed by further bytes. A call that fails
// on a kept connection before the first byte of its answer, or is answered 408 there (RFC 9110,
// 15.5.9), is made once more on a new connection; its receiver does not see the first try.
//
// libcurl polls a socket again after each read, and looks at all that a transfer could be doing. An
// answer that comes in many pieces, in chunks over plain TCP, is therefore taken over in the midst
// of it: libcurl's descriptor is closed, and a duplicate read here. What that costs is the
// connection, which is not kept; short answers stay with libcurl. Reactor's thread only. Ends with
// its destruction, after that of its transfers.
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

/// The head of an answer.
struct UpstreamHead {
  int status = 0;
  std::string content_type;      ///< As sent; empty where there is none.
  std::string retry_after;       ///< Likewise.
  std::string retry_after_ms;    ///< Likewise.
  std::string location;          ///< Likewise.
  std::string content_encoding;  ///< Likewise.
};

/// How a transfer ended.
struct UpstreamEnd {
  enum class Kind : std::uint8_t {
    kWhole,     ///< The whole answer has come.
    kBroken,    ///< No connection, or it broke.
    kProtocol,  ///< What came is not proper HTTP.
    kSilent,    ///< Nothing came for too long. Said by a feeder only, see `RelayHub::start_fed`.
  };
  Kind kind = Kind::kWhole;
  std::string name;    ///< Of the error, `ECONNREFUSED`; empty where it has none.
  std::string detail;  ///< For logs.
};

/// Told what comes back. Must not destroy the transfer nor call it.
class UpstreamReceiver {
 public:
  virtual ~UpstreamReceiver() = default;
  virtual void on_head(const UpstreamHead& head) = 0;
  /// Bytes of the body. False: not now; the same bytes come again after `resume`, and the socket is
  /// not read before that.
  virtual bool on_bytes(std::string_view bytes) = 0;
  /// Last.
  virtual void on_end(const UpstreamEnd& end) = 0;
};

class UpstreamClient {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Receivers have been told something: once for all that came in one go.
    virtual void on_activity() = 0;
  };

  class Transfer;

  /// A client on `loop`; nullptr where there is no libcurl.
  static std::unique_ptr<UpstreamClient> create(uv_loop_t* loop, Owner& owner);
  UpstreamClient(const UpstreamClient&) = delete;
  UpstreamClient& operator=(const UpstreamClient&) = delete;
  ~UpstreamClient();

  /// Starts a POST. Its receiver is called later, never from within this call. nullptr when libcurl
  /// has no memory left, or does not take the URL.
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
  UvHandle<uv_check_t> check_;  // after the sockets of one turn of the loop
  bool active_ = false;         // since the last look of `check_`
  std::unordered_map<curl_socket_t, UvHandle<uv_poll_t>> watched_;
  std::vector<Transfer*> leaving_;  // libcurl, when it is not in the midst of calling them
  std::vector<char> input_;         // scratch: of sockets that were taken over
};

/// One call. Its destruction drops it: a connection whose answer has not ended is closed.
class UpstreamClient::Transfer {
 public:
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Whether the receiver has refused bytes that it has not been given again yet.
  [[nodiscard]] bool paused() const { return paused_; }

  /// Goes on after a pause; may call the receiver.
  void resume();

  /// Whether bytes are waiting in the kernel that nobody has looked at yet.
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

  // upstream_own_socket.cc
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
  std::vector<char> problem_;  // libcurl's own words

  // Of a body that may be taken over: it comes with its chunk framing, whoever reads it.
  bool plain_ = false;             // over TCP itself: only then the socket can be taken over
  std::string transfer_encoding_;  // as sent, in this head
  bool chunked_ = false;
  bool leaving_ = false;
  curl_socket_t library_socket_ = CURL_SOCKET_BAD;  // while libcurl has it watched for this call
  std::uint32_t reads_ = 0;
  ChunkDecoder chunks_;
  std::string body_;                  // scratch: without framing
  std::string held_;                  // of it, what the receiver has refused
  std::optional<UpstreamEnd> ended_;  // while something is held
  UniqueFd socket_;                   // once it was taken over
  UvHandle<uv_poll_t> poll_;
};

}  // namespace sluice
