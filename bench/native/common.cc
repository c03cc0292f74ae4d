// Shared parts of the bench programs; see common.h.
#include "common.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace sluice::bench {
namespace {

int64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) fail("clock_gettime failed: has the server ended?");
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

int64_t now_us() {
  return read_clock_ns(CLOCK_MONOTONIC) / 1000;
}

void append_token_text(std::string& out, uint64_t seq, int64_t sent_us) {
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "@%015lld#%llu ", static_cast<long long>(sent_us),
                    static_cast<unsigned long long>(seq));
  out.append(text, static_cast<size_t>(size));
}

bool find_token(std::string_view text, uint64_t& seq, int64_t& sent_us) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos || text.size() < at + kStampDigits + 3) return false;
  const char* stamp = text.data() + at + 1;
  const char* number = stamp + kStampDigits + 1;
  if (stamp[kStampDigits] != '#') return false;
  const auto sent = std::from_chars(stamp, stamp + kStampDigits, sent_us);
  const auto count = std::from_chars(number, text.data() + text.size(), seq);
  return sent.ec == std::errc{} && count.ec == std::errc{};
}

void append_chunk(std::string& out, std::string_view payload) {
  char size[16];
  const auto end = std::to_chars(size, size + sizeof size, payload.size(), 16);
  out.append(size, end.ptr).append("\r\n").append(payload).append("\r\n");
}

void append_token_chunk(std::string& out, uint64_t seq, std::string_view text) {
  thread_local std::string block;
  block.assign("id: 1-").append(std::to_string(seq));
  block.append("\nevent: token\ndata: {\"job_id\":\"job_0123456789abcdef01234567\",\"token\":\"");
  block.append(text).append("\"}\n\n");
  append_chunk(out, block);
}

Arguments::Arguments(int argc, char** argv) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (!name.starts_with("--") || i + 1 == argc) fail("takes --name value pairs, not " + name);
    values_[name.substr(2)] = argv[i + 1];
  }
}

std::string Arguments::text(const std::string& name, const std::string& fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() ? fallback : found->second;
}

int64_t Arguments::number(const std::string& name, int64_t fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  const std::string& text = found->second;
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || value < 0) fail("--" + name + " takes a number, not " + text);
  return value;
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = loopback(port);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || listen(fd, 4096) != 0) fail("cannot listen");
  getsockname(fd, generic, &size);
  std::printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  set_no_delay(fd);
  const sockaddr_in address = loopback(port);
  const int status = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (status != 0 && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

int accept_from(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) set_no_delay(fd);
  return fd;
}

void watch(int epoll, int fd, uint32_t events, uint64_t key, bool is_new) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
    fail("epoll_ctl failed");
  }
}

void fail(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

int64_t cpu_ns(int pid) {
  clockid_t clock{};
  if (clock_getcpuclockid(pid, &clock) != 0) fail("no such process: the server has ended");
  return read_clock_ns(clock);
}

int64_t resident_bytes(int pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

int64_t machine_cpu_ns() {
  std::ifstream stat("/proc/stat");
  std::string label;
  // user, nice, system, idle, iowait, irq, softirq, steal
  int64_t ticks[8] = {};
  stat >> label;
  for (int64_t& each : ticks) stat >> each;
  const int64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
  return busy * (1'000'000'000 / sysconf(_SC_CLK_TCK));
}

int64_t open_descriptors(int pid) {
  DIR* const folder = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  if (folder == nullptr) return 0;
  int64_t count = -2;  // . and ..
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

std::string_view header_value(std::string_view head, std::string_view name) {
  size_t at = 0;
  while (at < head.size()) {
    size_t end = head.find("\r\n", at);
    if (end == std::string_view::npos) end = head.size();
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (strncasecmp(line.data(), name.data(), name.size()) != 0) continue;
    const size_t value = line.find_first_not_of(' ', name.size() + 1);
    return value == std::string_view::npos ? std::string_view{} : line.substr(value);
  }
  return {};
}

}  // namespace sluice::bench
