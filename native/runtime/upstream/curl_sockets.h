// The open sockets of libcurl, by the addresses of their connections.
#pragma once

#include <curl/curl.h>

#include <string>
#include <unordered_map>

namespace sluice {

/// The open sockets of libcurl, by the addresses of their connections: libcurl identifies the
/// connection that it is about to use by its addresses only. Reactor's thread only; outlives the
/// multi handle whose sockets it holds.
class CurlSockets {
 public:
  /// For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; `self` is an CurlSockets.
  /// Sockets are close-on-exec: a child process would keep the connection open.
  static curl_socket_t open(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int close(void* self, curl_socket_t socket);

  /// The key of a connection between numeric addresses.
  static std::string name_of(const char* local_address, int local_port, const char* peer_address,
                             int peer_port);

  /// The connected socket with this key; CURL_SOCKET_BAD if there is none.
  curl_socket_t find(const std::string& name);

 private:
  std::unordered_map<curl_socket_t, std::string> names_;  // empty until it is looked up
  std::unordered_map<std::string, curl_socket_t> sockets_;
};

}  // namespace sluice
