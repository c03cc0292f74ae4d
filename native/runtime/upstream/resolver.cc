#include "runtime/upstream/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/loop/reactor.h"

namespace sluice {

namespace {

constexpr Nanos kRemembered = 60 * kSecond;

std::vector<SocketAddress> addresses_of(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<SocketAddress> addresses;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
    SocketAddress address{};
    std::memcpy(&address, each->ai_addr, each->ai_addrlen);
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  return interleave(addresses);
}

}  // namespace

// Results on their way from the threads to the loop.
struct Resolver::Mailbox {
  std::mutex mutex;
  uv_async_t* wake = nullptr;  // nullptr once the resolver is gone
  std::vector<std::pair<std::string, std::vector<SocketAddress>>> results;
};

Resolver::~Resolver() {
  if (!mailbox_) return;
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->wake = nullptr;
}

bool Resolver::start() {
  if (mailbox_) return true;
  auto* const wake = new uv_async_t{};
  const int status = uv_async_init(loop_, wake, [](uv_async_t* handle) {
    static_cast<Resolver*>(handle->data)->take_results();
  });
  if (status != 0) {
    delete wake;
    return false;
  }
  wake_.reset(wake);
  wake->data = this;
  mailbox_ = std::make_shared<Mailbox>();
  mailbox_->wake = wake;
  return true;
}

const std::vector<SocketAddress>* Resolver::known(const std::string& host, Nanos now) {
  const auto found = hosts_.find(host);
  if (found != hosts_.end() && found->second.expires_at > now) return &found->second.addresses;
  SocketAddress address{};
  if (!parse_address(host, address)) return nullptr;
  Host& remembered = hosts_[host];
  remembered.addresses = {address};
  remembered.expires_at = kNever;
  return &remembered.addresses;
}

bool Resolver::look_up(const std::string& host, Waiter& waiter) {
  if (!start()) return false;
  Host& wanted = hosts_[host];
  if (!wanted.running) {
    try {
      std::thread([mailbox = mailbox_, host] {
        std::vector<SocketAddress> addresses = addresses_of(host);
        const std::lock_guard lock(mailbox->mutex);
        if (mailbox->wake == nullptr) return;
        mailbox->results.emplace_back(host, std::move(addresses));
        uv_async_send(mailbox->wake);
      }).detach();
    } catch (const std::system_error&) {
      return false;
    }
    wanted.running = true;
  }
  wanted.waiters.push_back(&waiter);
  return true;
}

void Resolver::forget(Waiter& waiter) {
  for (auto& [host, wanted] : hosts_) wanted.waiters.remove(&waiter);
}

void Resolver::take_results() {
  std::vector<std::pair<std::string, std::vector<SocketAddress>>> results;
  {
    const std::lock_guard lock(mailbox_->mutex);
    results.swap(mailbox_->results);
  }
  for (auto& [name, addresses] : results) {
    Host& host = hosts_[name];
    host.running = false;
    host.addresses = std::move(addresses);
    host.expires_at = host.addresses.empty() ? 0 : Reactor::now() + kRemembered;
    // A waiter may begin another look-up, or be destroyed with others.
    while (!host.waiters.empty()) {
      Waiter* const waiter = host.waiters.front();
      host.waiters.pop_front();
      waiter->on_addresses(host.addresses);
    }
  }
}

bool parse_address(const std::string& text, SocketAddress& address) {
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  return uv_ip4_addr(text.c_str(), 0, &v4) == 0 || uv_ip6_addr(text.c_str(), 0, &v6) == 0;
}

void set_port(SocketAddress& address, std::uint16_t port) {
  if (address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = htons(port);
  }
}

std::vector<SocketAddress> interleave(const std::vector<SocketAddress>& addresses) {
  if (addresses.empty()) return {};
  std::vector<SocketAddress> first;
  std::vector<SocketAddress> second;
  for (const SocketAddress& address : addresses) {
    (address.ss_family == addresses.front().ss_family ? first : second).push_back(address);
  }
  std::vector<SocketAddress> mixed;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  return mixed;
}

}  // namespace sluice
