// The byte stream below a connection to Redis: a socket in runtime/, a scripted peer in tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/time.h"

namespace sluice::redis {

/// Where a server listens.
struct Address {
  std::string host;  ///< An IP address in text; names are resolved elsewhere.
  std::uint16_t port = 0;

  bool operator==(const Address&) const = default;
};

/// One byte stream at a time. No event is called from within `open`, `write` or `close`. Executor's
/// thread only.
class Transport {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_open(Nanos now) = 0;
    virtual void on_bytes(std::string_view bytes, Nanos now) = 0;
    /// Bytes that had to wait in `write` have been sent.
    virtual void on_progress(Nanos now) = 0;
    /// The stream could not be opened, or has ended; the last event.
    virtual void on_closed(std::string_view reason, Nanos now) = 0;
  };

  virtual ~Transport() = default;
  /// Opens a new stream.
  virtual void open(const Address& address, Events& events) = 0;
  /// Sends bytes, after those of earlier calls. Only between `on_open` and the end.
  virtual void write(std::string bytes) = 0;
  /// Drops the stream, and whatever has not been sent. No event follows. Idempotent.
  virtual void close() = 0;
};

}  // namespace sluice::redis
