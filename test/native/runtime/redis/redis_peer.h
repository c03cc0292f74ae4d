// A server on a socket that answers by a script of the test, in place of Redis.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/redis/command_format.h"
#include "core/redis/reply_reader.h"

namespace sluice {

/// Answers each command of every connection with the bytes that `answer` gives; empty: nothing.
/// SUBSCRIBE, UNSUBSCRIBE and PUBLISH work as those of Redis, and are not given to `answer`. One
/// thread, and no SIGPIPE from now on. The destructor closes everything.
class RedisPeer {
 public:
  using Answer = std::function<std::string(const redis::Command& command)>;

  explicit RedisPeer(Answer answer) : answer_(std::move(answer)) {
    // As in Node: libuv writes to sockets that the other side has closed.
    signal(SIGPIPE, SIG_IGN);
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }

  ~RedisPeer() {
    stopped_ = true;
    thread_.join();
    close(listener_);
  }

  RedisPeer(const RedisPeer&) = delete;
  RedisPeer& operator=(const RedisPeer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Closes every connection soon; new ones are accepted.
  void cut() { cuts_ = true; }
  /// Publishes a message soon.
  void publish(std::string channel, std::string payload) {
    const std::lock_guard lock(mutex_);
    published_.emplace_back(std::move(channel), std::move(payload));
  }

 private:
  struct Peer {
    int fd;
    std::unique_ptr<redis::ReplyReader> reader = std::make_unique<redis::ReplyReader>();
    std::set<std::string> channels = {};
  };

  void run() {
    while (!stopped_) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}};
      for (const Peer& peer : peers_) fds.push_back({peer.fd, POLLIN, 0});
      poll(fds.data(), static_cast<nfds_t>(fds.size()), 2);
      if (cuts_.exchange(false)) drop_all();
      std::vector<std::pair<std::string, std::string>> published;
      {
        const std::lock_guard lock(mutex_);
        published.swap(published_);
      }
      for (const auto& [channel, payload] : published) tell_subscribers(channel, payload);
      if ((fds[0].revents & POLLIN) != 0) peers_.push_back({accept(listener_, nullptr, nullptr)});
      std::erase_if(peers_, [this](Peer& peer) { return !serve(peer); });
    }
    drop_all();
  }

  bool serve(Peer& peer) {
    const ssize_t size = recv(peer.fd, bytes_.data(), bytes_.size(), MSG_DONTWAIT);
    if (size < 0) return true;
    if (size == 0) {
      close(peer.fd);
      return false;
    }
    peer.reader->feed({bytes_.data(), static_cast<std::size_t>(size)});
    redis::Reply reply;
    while (peer.reader->next(reply) == redis::ReplyReader::Status::kReply) {
      redis::Command command;
      for (const redis::Reply& item : reply.items) command.push_back(item.text);
      send_all(peer.fd, answer(peer, command));
    }
    return true;
  }

  std::string answer(Peer& peer, const redis::Command& command) {
    const bool subscribes = command[0] == "SUBSCRIBE";
    if (command[0] == "PUBLISH") {
      tell_subscribers(command[1], command[2]);
      return ":0\r\n";
    }
    if (!subscribes && command[0] != "UNSUBSCRIBE") return answer_(command);
    std::string out;
    for (std::size_t i = 1; i < command.size(); ++i) {
      if (subscribes) {
        peer.channels.insert(command[i]);
      } else {
        peer.channels.erase(command[i]);
      }
      out += "*3\r\n" + bulk(subscribes ? "subscribe" : "unsubscribe") + bulk(command[i]) + ":" +
             std::to_string(peer.channels.size()) + "\r\n";
    }
    return out;
  }

  void tell_subscribers(const std::string& channel, const std::string& payload) {
    std::string message;
    redis::append_command(message, {"message", channel, payload});
    for (const Peer& peer : peers_) {
      if (peer.channels.contains(channel)) send_all(peer.fd, message);
    }
  }

  static std::string bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }

  static void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void drop_all() {
    for (const Peer& peer : peers_) close(peer.fd);
    peers_.clear();
  }

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<Peer> peers_;
  std::vector<char> bytes_ = std::vector<char>(256 << 10);  // scratch
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> cuts_ = false;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> published_;  // guarded by mutex_
  std::thread thread_;
};

/// The answer of a Redis that knows the greeting, PING and ECHO, and answers OK to all else.
inline std::string answer_as_redis(const redis::Command& command) {
  const auto bulk = [](const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  if (command[0] == "INFO") return bulk("redis_version:7.0.15\r\nrole:master\r\n");
  if (command[0] == "PING") return "+PONG\r\n";
  if (command[0] == "EVALSHA") return "*1\r\n:1\r\n";
  if (command[0] == "ECHO") return bulk(command[1]);
  return "+OK\r\n";
}

}  // namespace sluice
