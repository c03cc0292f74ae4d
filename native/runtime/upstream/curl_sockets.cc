#include "runtime/upstream/curl_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace sluice {

namespace {

using AskName = int (*)(int, sockaddr*, socklen_t*);

struct Address {
  std::array<char, INET6_ADDRSTRLEN> text{};
  int port = 0;
};

// Formats the address of one end of a socket; false if it has none.
bool read_address(AskName ask, int socket, Address& address) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (ask(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return false;
  const void* bytes = nullptr;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    bytes = &v4.sin_addr;
    address.port = ntohs(v4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    bytes = &v6.sin6_addr;
    address.port = ntohs(v6.sin6_port);
  } else {
    return false;
  }
  return inet_ntop(storage.ss_family, bytes, address.text.data(),
                   static_cast<socklen_t>(address.text.size())) != nullptr;
}

// Empty while the socket is not connected.
std::string name_of_socket(int socket) {
  Address local;
  Address peer;
  if (!read_address(&getsockname, socket, local) || !read_address(&getpeername, socket, peer)) {
    return {};
  }
  return CurlSockets::name_of(local.text.data(), local.port, peer.text.data(), peer.port);
}

}  // namespace

curl_socket_t CurlSockets::open(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
#ifdef SOCK_CLOEXEC
  const int type = address->socktype | SOCK_CLOEXEC;
#else
  const int type = address->socktype;
#endif
  const int socket = ::socket(address->family, type, address->protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  static_cast<CurlSockets*>(self)->names_.emplace(socket, std::string());
  return socket;
}

int CurlSockets::close(void* self, curl_socket_t socket) {
  auto& sockets = *static_cast<CurlSockets*>(self);
  const auto found = sockets.names_.find(socket);
  if (found != sockets.names_.end()) {
    sockets.sockets_.erase(found->second);
    sockets.names_.erase(found);
  }
  return ::close(socket);
}

std::string CurlSockets::name_of(const char* local_address, int local_port,
                                 const char* peer_address, int peer_port) {
  return std::string(local_address) + ' ' + std::to_string(local_port) + ' ' + peer_address + ' ' +
         std::to_string(peer_port);
}

curl_socket_t CurlSockets::find(const std::string& name) {
  const auto known = sockets_.find(name);
  if (known != sockets_.end()) return known->second;
  for (auto& [socket, own_name] : names_) {
    if (!own_name.empty()) continue;
    std::string found = name_of_socket(socket);
    if (found != name) continue;
    sockets_.emplace(name, socket);
    own_name = std::move(found);
    return socket;
  }
  return CURL_SOCKET_BAD;
}

}  // namespace sluice
