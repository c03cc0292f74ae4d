// The least that a server of jobs can cost: epoll, and for each job the two requests of the job
// row, a POST that names how many tokens it wants and a GET that streams them, with one read and
// one write each. Nothing is checked, limited, logged or kept.
//
// Usage: floor_job [--port 0]
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common.h"

namespace {

using sluice::bench::header_value;

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

// The number that follows `label` in `text`; 0 if there is none.
uint64_t number_after(std::string_view text, std::string_view label) {
  const size_t at = text.find(label);
  if (at == std::string_view::npos) return 0;
  const std::string digits(text.substr(at + label.size(), 20));
  return std::strtoull(digits.c_str(), nullptr, 10);
}

class JobFloor {
 public:
  explicit JobFloor(int port)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(sluice::bench::listen_on(port)) {
    sluice::bench::watch(epoll_, listener_, EPOLLIN, static_cast<uint64_t>(listener_), true);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = static_cast<int>(events[static_cast<size_t>(i)].data.u64);
        if (fd == listener_) {
          accept_all();
        } else {
          on_readable(fd);
        }
      }
    }
  }

 private:
  void accept_all() {
    using sluice::bench::accept_from;
    for (int fd = accept_from(listener_); fd >= 0; fd = accept_from(listener_)) {
      received_[fd].clear();
      sluice::bench::watch(epoll_, fd, EPOLLIN, static_cast<uint64_t>(fd), true);
    }
  }

  void on_readable(int fd) {
    char bytes[4096];
    const ssize_t size = recv(fd, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      received_.erase(fd);
      close(fd);
      return;
    }
    std::string& received = received_[fd];
    received.append(bytes, static_cast<size_t>(size));
    const size_t head_end = received.find(kHeadEnd);
    if (head_end == std::string::npos) return;
    const std::string_view head = std::string_view(received).substr(0, head_end);
    const std::string length(header_value(head, "content-length"));
    const size_t body = static_cast<size_t>(std::strtoul(length.c_str(), nullptr, 10));
    const size_t whole = head_end + kHeadEnd.size() + body;
    if (received.size() < whole) return;
    answer_.clear();
    if (head.starts_with("POST")) {
      create(std::string_view(received).substr(head_end));
    } else {
      stream(number_after(head, "job_id=job_"));
    }
    received.erase(0, whole);
    // A client reads each answer before its next request, so that a socket has room for the whole
    // of it.
    if (send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(answer_.size())) {
      sluice::bench::fail("an answer did not fit into its socket");
    }
  }

  void create(std::string_view body) {
    const uint64_t job = ++last_job_;
    tokens_[job] = number_after(body, "\"prompt\":\"");
    const std::string id = "job_" + std::to_string(job);
    const std::string json =
        R"({"job_id":")" + id + R"(","stream_url":"/v1/stream?job_id=)" + id + R"("})";
    answer_ += "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ";
    answer_ += std::to_string(json.size());
    answer_ += kHeadEnd;
    answer_ += json;
  }

  void stream(uint64_t job) {
    const auto found = tokens_.find(job);
    const uint64_t count = found == tokens_.end() ? 0 : found->second;
    if (found != tokens_.end()) tokens_.erase(found);
    answer_ += kStreamHead;
    std::string text;
    for (uint64_t seq = 1; seq <= count; ++seq) {
      text.clear();
      sluice::bench::append_token_text(text, seq, sluice::bench::now_us());
      sluice::bench::append_token_chunk(answer_, seq, text);
    }
    sluice::bench::append_chunk(answer_, "id: 1-" + std::to_string(count + 1) +
                                             "\nevent: job_complete\n"
                                             "data: {\"reason\":\"stop\"}\n\n");
    answer_ += "0\r\n\r\n";
  }

  int epoll_;
  int listener_;
  uint64_t last_job_ = 0;
  std::unordered_map<uint64_t, uint64_t> tokens_;  // of each job that no stream has read
  std::unordered_map<int, std::string> received_;  // of each connection
  std::string answer_;
};

}  // namespace

int main(int argc, char** argv) {
  const sluice::bench::Arguments arguments(argc, argv);
  JobFloor floor(static_cast<int>(arguments.number("port", 0)));
  floor.run();
}
