// The sockets that libcurl has open, found by the addresses of their connection.
//
// libcurl names the connection that it is about to use by its addresses alone. Reactor's thread
// only; outlives the multi handle whose sockets it holds.
#pragma once

#include <curl/curl.h>

#include <string>
#include <unordered_map>

namespace sluice {

class UpstreamSockets {
 public:
  /// For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; `self` is an UpstreamSockets.
  /// A socket is not inherited by child processes: one of them would hold the connection open.
  static curl_socket_t open(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int close(void* self, curl_socket_t socket);

  /// The key of a connection between numeric addresses.
  static std::string name_of(const char* local_address, int local_port, const char* peer_address,
                             int peer_port);

  /// The connected socket of that name; CURL_SOCKET_BAD where there is none.
  curl_socket_t find(const std::string& name);

 private:
  std::unordered_map<curl_socket_t, std::string> names_;  // empty until it was connected and found
  std::unordered_map<std::string, curl_socket_t> sockets_;
};

}  // namespace sluice
