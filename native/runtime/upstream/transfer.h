// One HTTP call to an upstream, as its users see it, by whichever client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/upstream/response_head.h"

namespace sluice {

struct UpstreamRequest {
  std::string url;
  std::vector<std::string> headers;  ///< `name: value`
  std::string body;
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
  std::string name;  ///< Of the error (`ECONNREFUSED`); may be empty.
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

/// One call. Destroying it drops the call: the connection of an incomplete response is closed.
class UpstreamTransfer {
 public:
  UpstreamTransfer() = default;
  virtual ~UpstreamTransfer() = default;
  UpstreamTransfer(const UpstreamTransfer&) = delete;
  UpstreamTransfer& operator=(const UpstreamTransfer&) = delete;

  /// Continues after a pause, if the receiver has refused bytes; may call the receiver.
  virtual void resume() = 0;

  /// Whether the kernel has received bytes that have not been read.
  [[nodiscard]] virtual bool has_input() const = 0;
};

}  // namespace sluice
