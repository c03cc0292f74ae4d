// One call of the client for upstreams without TLS.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/upstream/http_request.h"
#include "core/upstream/response_reader.h"
#include "runtime/upstream/connection.h"
#include "runtime/upstream/dialer.h"
#include "runtime/upstream/plain_client.h"
#include "runtime/upstream/resolver.h"
#include "runtime/upstream/transfer.h"

namespace sluice {

/// One call: takes a kept connection or makes a new one, writes the request as the socket takes it,
/// and reads the response, one read per turn of the loop. See UpstreamTransfer.
class PlainTransfer final : public UpstreamTransfer,
                            private SocketWatcher,
                            private Resolver::Waiter,
                            private Dialer::Events {
 public:
  PlainTransfer(PlainClient& client, HttpUrl url, UpstreamRequest& request,
                UpstreamReceiver& receiver);
  ~PlainTransfer() override;

  void start();

  void resume() override;
  [[nodiscard]] bool has_input() const override;

 private:
  // The request, until all of it is sent and the response has begun.
  struct Outgoing {
    HttpUrl url;
    RequestHead head;
    std::string body;
    std::size_t sent = 0;  // of head and body
    [[nodiscard]] bool whole() const { return sent == head.text.size() + body.size(); }
  };

  void on_addresses(const std::vector<SocketAddress>& addresses) override;
  void on_connected(UpstreamConnection connection) override;
  void on_unreachable(int error) override;
  void on_socket(int events) override;

  void connect();
  void dial(std::vector<SocketAddress> addresses);
  void start_over();
  void send();
  void watch();
  void read();
  void take(std::string_view bytes);
  bool take_head(const UpstreamHead& head);
  void finish();
  void fail(UpstreamEnd::Kind kind, int error);
  void end(UpstreamEnd how);

  PlainClient& client_;
  UpstreamReceiver& receiver_;
  std::string origin_;
  std::unique_ptr<Outgoing> outgoing_;
  std::unique_ptr<Dialer> dialer_;
  UpstreamConnection connection_;
  ResponseReader response_;
  std::string held_;                    // decoded bytes that the receiver refused
  std::unique_ptr<UpstreamEnd> ended_;  // the end, to report after held_
  int send_error_ = 0;
  bool kept_ = false;       // the connection has served a call before
  bool has_bytes_ = false;  // of the response
  bool sends_ = false;      // the rest of the request is still wanted
  bool closes_ = false;     // the connection must not be kept
  bool paused_ = false;
};

}  // namespace sluice
