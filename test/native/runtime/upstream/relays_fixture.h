// A model's server on a real socket, and a hub that calls it from a reactor.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "runtime/upstream/relays.h"

namespace sluice {

constexpr char kHead[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

inline std::string chunk(const std::string& data) {
  char size[20];
  snprintf(size, sizeof size, "%zx\r\n", data.size());
  return size + data + "\r\n";
}

inline std::string delta(const std::string& text) {
  return "data: {\"choices\":[{\"delta\":{\"content\":\"" + text + "\"}}]}\n\n";
}

inline const std::string kEnding =
    chunk("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n") +
    chunk("data: [DONE]\n\n") + "0\r\n\r\n";

// One connection of the server, blocking.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Reads one request to the end of its body; false when the client has gone instead.
  bool request() {
    if (!request_head()) return false;
    const std::size_t at = head_.find("Content-Length: ");
    const std::size_t size = std::stoull(head_.substr(at + 16));
    while (body_.size() < size) {
      if (!receive(body_)) return false;
    }
    return true;
  }

  // Reads the head of one request, and the part of the body already received with it.
  bool request_head() {
    head_.clear();
    body_.clear();
    std::size_t end = std::string::npos;
    while (end == std::string::npos) {
      if (!receive(head_)) return false;
      end = head_.find("\r\n\r\n");
    }
    body_ = head_.substr(end + 4);
    head_.resize(end + 4);
    return true;
  }

  // Of the last request.
  [[nodiscard]] const std::string& head() const { return head_; }
  [[nodiscard]] const std::string& body() const { return body_; }

  // Sends all bytes, unless the client disconnects.
  bool send_all(const std::string& data) {
    std::size_t sent = 0;
    while (sent < data.size()) {
      const ssize_t taken = send(fd_, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
      if (taken <= 0) return false;
      sent += static_cast<std::size_t>(taken);
    }
    return true;
  }

  // Waits until the client has disconnected.
  void wait_for_close() {
    std::string rest;
    while (receive(rest)) rest.clear();
  }

  // The client sees a reset in place of an orderly close.
  void cut() const {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

 private:
  bool receive(std::string& text) {
    char buffer[16384];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }

  int fd_;
  std::string head_;
  std::string body_;
};

// Serves every connection on a thread of its own.
class Server {
 public:
  explicit Server(std::function<void(Peer&)> serve) : serve_(std::move(serve)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    listen(listener_, 128);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    close(listener_);
    for (std::thread& peer : peers_) peer.join();
  }

  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_) + "/v1/chat/completions";
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      // Bytes sent in pieces arrive in pieces.
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_ += 1;
      peers_.emplace_back([this, fd] {
        Peer peer(fd);
        serve_(peer);
      });
    }
  }

  std::function<void(Peer&)> serve_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> peers_;
};

// A hub with its calls, as a machine of a reactor.
class Hub final : public Machine, public HubObserver, public RelayHub::Observer {
 public:
  Hub(Reactor& reactor, std::uint64_t capacity, UpstreamClient::Plain plain)
      : jobs(options(capacity), *this),
        relays(std::make_unique<RelayHub>(&reactor, jobs, *this, plain)) {}

  JobHub jobs;
  std::unique_ptr<RelayHub> relays;
  std::function<void(CallId, const RelayOutcome&)> on_end = [](CallId, const RelayOutcome&) {};

  [[nodiscard]] Nanos next_deadline() const override {
    return std::min(jobs.next_deadline(), relays->next_deadline());
  }
  void advance(Nanos now) override {
    do {
      relays->advance(now);
      jobs.advance(now);
    } while (relays->has_work());
  }
  void retire() override { relays.reset(); }

 private:
  static HubOptions options(std::uint64_t capacity) {
    HubOptions options;
    options.stream_capacity = capacity;
    options.stall = kNever;
    return options;
  }
  void on_window(JobHandle job, std::uint64_t) override { relays->window_moved(job); }
  void on_ended(JobHandle job, std::string) override { relays->job_ended(job); }
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch&) override { return false; }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}
  void on_relay_end(CallId call, const RelayOutcome& outcome) override { on_end(call, outcome); }
  void on_relay_taken(CallId, std::uint64_t) override {}
  void on_relay_over(CallId) override {}
};

using Plain = UpstreamClient::Plain;

inline std::string name_of_client(const testing::TestParamInfo<Plain>& client) {
  return client.param == Plain::kOwn ? "Own" : "Libcurl";
}

// Runs hubs on a reactor and waits for their events. With each client.
class RelayHubTest : public testing::TestWithParam<Plain> {
 protected:
  void SetUp() override {
    if (GetParam() == Plain::kCurl && CurlApi::get() == nullptr) {
      GTEST_SKIP() << "no libcurl on this machine";
    }
  }

  // Takes the hub off its reactor before the servers, declared earlier, wait for their clients.
  class Lease {
   public:
    explicit Lease(RelayHubTest& test) : test_(test) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      test_.run([this](Nanos) {
        test_.reactor_.remove(test_.hub_.get());
        test_.hub_.reset();
      });
    }

   private:
    RelayHubTest& test_;
  };

  [[nodiscard]] Lease make_hub(std::uint64_t capacity = 256) {
    run([&](Nanos) {
      hub_ = std::make_shared<Hub>(reactor_, capacity, GetParam());
      hub_->on_end = [this](CallId call, const RelayOutcome& outcome) {
        const std::lock_guard lock(mutex_);
        ends_.emplace_back(call, outcome.failure);
        outcomes_[call] = outcome;
        changed_.notify_all();
      };
      reactor_.add(hub_);
    });
    return Lease(*this);
  }

  // On the reactor's thread, to its end.
  void run(const std::function<void(Nanos)>& command) {
    std::promise<void> done;
    reactor_.post([&](Nanos now) {
      command(now);
      done.set_value();
    });
    done.get_future().wait();
  }

  void call(CallId id, const std::string& url, const std::string& body = "{}") {
    run([&](Nanos now) {
      hub_->jobs.create(id, {.job_id = "j", .wall_time_max = kNever}, now);
      hub_->jobs.start(id, {}, now);
      hub_->relays->start(id,
                          {.url = url, .headers = {"content-type: application/json"}, .body = body},
                          {.idle = 60 * kSecond, .jobs = {id}}, now);
    });
  }

  // A call of job 1 without a time-out, which a subscriber reads at its own pace.
  void call_with_reader(const Server& server) {
    run([&](Nanos now) {
      hub_->jobs.create(1, {.job_id = "j", .wall_time_max = kNever}, now);
      hub_->jobs.attach(1, Subscriber::Mode::kEvents, false, {{1, ""}}, now);
      hub_->jobs.start(1, {}, now);
      hub_->relays->start(1, {.url = server.url(), .headers = {}, .body = "{}"},
                          {.idle = kNever, .jobs = {1}}, now);
    });
  }

  void acknowledge() {
    run([this](Nanos now) { hub_->jobs.acknowledge(1, now); });
  }

  // The bytes sent once a server cannot send more, because the reader does not read.
  std::size_t plateau_of(const std::atomic<std::size_t>& sent) {
    std::size_t plateau = 1;
    eventually([&] {
      const std::size_t before = plateau;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      plateau = sent;
      return plateau > 0 && plateau == before;
    });
    return plateau;
  }

  void cancel(JobHandle job) {
    run([&](Nanos now) {
      Terminal terminal;
      terminal.kind = Terminal::Kind::kCancelled;
      hub_->jobs.finish(job, std::move(terminal), now);
    });
  }

  std::string state(JobHandle job) {
    std::string state;
    run([&](Nanos now) { state = hub_->jobs.state(job, true, now); });
    return state;
  }

  std::size_t calls() {
    std::size_t count = 0;
    run([&](Nanos) { count = hub_->relays->call_count(); });
    return count;
  }

  RelayOutcome::Failure wait_for_end(std::size_t count = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_.size() >= count; });
    return ends_[count - 1].second;
  }

  RelayOutcome outcome(CallId id) {
    const std::lock_guard lock(mutex_);
    return outcomes_[id];
  }

  // Polls. A minute is an upper bound for a loaded machine.
  template <typename Check>
  void eventually(Check check) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!check()) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<CallId, RelayOutcome::Failure>> ends_;
  std::unordered_map<CallId, RelayOutcome> outcomes_;
  Reactor reactor_;
  std::shared_ptr<Hub> hub_;
};

}  // namespace sluice
