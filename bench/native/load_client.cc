// Opens N event streams to a server on this machine in a ramp, checks every token's number,
// measures delay and the server's CPU time over a steady interval, and prints one line of JSON.
//
// A stream is one connection: `GET path`, or, with --post PATH, a POST that makes a job and then
// the GET of its stream on the same connection, as a browser would, or, with --ask PATH, a POST of
// --body that is answered with the stream. The delay of a token runs from the time written in its
// text to the return of the read that brought it; the time to the first token from the request.
//
// Usage: load_client --port P --streams N [--path /stream] [--post /v1/jobs] [--from-one 1]
//                    [--ask PATH --body JSON [--header 'NAME: VALUE']] [--pid SERVER]
//                    [--upstream-pid UPSTREAM] [--ramp-ms 1000] [--settle-ms 1000]
//                    [--measure-ms 4000] [--stall 0] [--announce 0]
//
// --stall 1: each stream stops reading after its first token, with a small receive buffer, so that
// what the server still sends stays with the server. --announce 1 prints a line `open N`
// before that, when N streams are open.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "common.h"
#include "sse_reader.h"

namespace sluice::bench {
namespace {

// The number of unanswered requests at one time; the server's backlog is not measured.
constexpr size_t kUnansweredMax = 64;
// When opening is given up: so long, and for each stream, on a machine that has other work too.
constexpr int64_t kOpenTimeoutUs = 60'000'000;
constexpr int64_t kOpenTimeoutPerStreamUs = 20'000;
// The receive buffer of a stream that stops reading.
constexpr int kStalledBufferBytes = 4096;

struct Options {
  int port;
  int pid;
  int upstream_pid;
  size_t streams;
  std::string path;
  std::string post;
  std::string ask;
  std::string body;    // of --ask; {N} in it is the number of the stream
  std::string header;  // a further one of --ask
  bool from_one;
  int64_t ramp_us;
  int64_t settle_us;
  int64_t measure_us;
  bool stall;
  bool announce;
};

enum class Phase { kConnecting, kPosting, kStreaming, kClosed };

struct Stream {
  explicit Stream(bool from_one) : reader(from_one) {}
  int fd = -1;
  Phase phase = Phase::kConnecting;
  bool is_counted_open = false;
  uint64_t tokens_at_start = 0;  // of the steady interval
  std::string answer;            // to the POST
  int64_t asked_us = 0;          // when the request of the stream was sent
  int64_t last_token_us = 0;     // when the last one was read; 0: none yet
  SseReader reader;
};

// The state of the server at one moment.
struct ServerState {
  int64_t at_us = 0;
  int64_t cpu_ns = 0;
  int64_t own_cpu_ns = 0;     // of this process
  int64_t others_cpu_ns = 0;  // of everything that is no part of the benchmark
  int64_t resident_bytes = 0;
  int64_t descriptors = 0;
  uint64_t tokens = 0;
};

class LoadClient {
 public:
  explicit LoadClient(const Options& options)
      : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    streams_.reserve(options.streams);
  }

  void run() {
    const ServerState before = observe();
    open_all();
    opened_us_ = now_us() - before.at_us;
    if (options_.announce) {
      std::printf("open %zu\n", open_);
      std::fflush(stdout);
    }
    turn_until(now_us() + options_.settle_us);
    for (Stream& stream : streams_) stream.tokens_at_start = stream.reader.tokens();
    is_measuring_ = true;
    const ServerState start = observe();
    turn_until(start.at_us + options_.measure_us);
    const ServerState end = observe();
    is_measuring_ = false;
    report(before, start, end);
    reset_all();
  }

 private:
  ServerState observe() const {
    ServerState state;
    state.at_us = now_us();
    state.tokens = totals_.tokens;
    state.own_cpu_ns = cpu_ns(getpid());
    if (options_.pid == 0) return state;
    state.cpu_ns = cpu_ns(options_.pid);
    state.resident_bytes = resident_bytes(options_.pid);
    state.descriptors = open_descriptors(options_.pid);
    state.others_cpu_ns = machine_cpu_ns() - state.cpu_ns - state.own_cpu_ns;
    if (options_.upstream_pid != 0) state.others_cpu_ns -= cpu_ns(options_.upstream_pid);
    return state;
  }

  void open_all() {
    const int64_t start = now_us();
    const int64_t timeout_us =
        kOpenTimeoutUs + kOpenTimeoutPerStreamUs * static_cast<int64_t>(options_.streams);
    while (open_ + failed_ < options_.streams) {
      const int64_t elapsed = now_us() - start;
      if (elapsed > timeout_us) return;
      size_t due = options_.streams;
      if (elapsed < options_.ramp_us) {
        due = static_cast<size_t>(elapsed * static_cast<int64_t>(options_.streams) /
                                  options_.ramp_us);
      }
      while (streams_.size() < due && streams_.size() - open_ - failed_ < kUnansweredMax) {
        open_one();
      }
      turn(1);
    }
  }

  void open_one() {
    Stream& stream = streams_.emplace_back(options_.from_one);
    stream.fd = connect_to(options_.port);
    if (stream.fd < 0) {
      stream.phase = Phase::kClosed;
      ++failed_;
      return;
    }
    if (options_.stall) {
      const int bytes = kStalledBufferBytes;
      setsockopt(stream.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    watch(epoll_, stream.fd, EPOLLOUT, streams_.size() - 1, true);
  }

  void turn_until(int64_t end_us) {
    for (int64_t left = end_us - now_us(); left > 0; left = end_us - now_us()) {
      turn(static_cast<int>(left / 1000) + 1);
    }
  }

  void turn(int timeout_ms) {
    epoll_event events[512];
    const int count = epoll_wait(epoll_, events, 512, timeout_ms);
    for (int i = 0; i < count; ++i) {
      const size_t at = static_cast<size_t>(events[i].data.u64);
      Stream& stream = streams_[at];
      if (stream.phase == Phase::kConnecting) {
        on_connected(stream, at);
      } else if (stream.phase != Phase::kClosed) {
        on_readable(stream);
      }
    }
  }

  void on_connected(Stream& stream, size_t at) {
    watch(epoll_, stream.fd, EPOLLIN, at, false);
    if (!options_.ask.empty()) {
      stream.phase = Phase::kStreaming;
      stream.asked_us = now_us();
      post(stream, options_.ask, body_of(at));
    } else if (options_.post.empty()) {
      request_stream(stream, options_.path);
    } else {
      stream.phase = Phase::kPosting;
      post(stream, options_.post, R"({"prompt":"bench"})");
    }
  }

  // Each stream has a separate chat, if its protocol has chats.
  [[nodiscard]] std::string body_of(size_t stream) const {
    constexpr std::string_view kNumber = "{N}";
    std::string body = options_.body;
    const size_t from = body.find(kNumber);
    if (from != std::string::npos) body.replace(from, kNumber.size(), std::to_string(stream));
    return body;
  }

  void post(Stream& stream, const std::string& path, const std::string& body) {
    const std::string header = options_.header.empty() ? "" : options_.header + "\r\n";
    send_all(stream,
             "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
                 header + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void request_stream(Stream& stream, const std::string& path) {
    stream.phase = Phase::kStreaming;
    stream.asked_us = now_us();
    send_all(stream,
             "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
  }

  void send_all(Stream& stream, const std::string& request) {
    const ssize_t sent = send(stream.fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request.size())) close_early(stream);
  }

  void on_readable(Stream& stream) {
    const ssize_t size = recv(stream.fd, buffer_, sizeof buffer_, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      close_early(stream);
      return;
    }
    const std::string_view bytes(buffer_, static_cast<size_t>(size));
    if (stream.phase == Phase::kPosting) {
      on_answer(stream, bytes);
      return;
    }
    const int64_t now = now_us();
    const bool is_first = stream.reader.tokens() == 0;
    const bool is_whole = stream.reader.read(bytes, totals_, [&](int64_t sent_us) {
      if (is_measuring_) {
        delays_us_.push_back(static_cast<uint32_t>(std::max<int64_t>(now - sent_us, 0)));
        if (stream.last_token_us != 0) {
          gaps_us_.push_back(static_cast<uint32_t>(now - stream.last_token_us));
        }
      }
      stream.last_token_us = now;
    });
    if (is_first && stream.reader.tokens() > 0) {
      first_us_.push_back(static_cast<uint32_t>(now - stream.asked_us));
      if (options_.stall) epoll_ctl(epoll_, EPOLL_CTL_DEL, stream.fd, nullptr);
    }
    if (!is_whole) {
      close_early(stream);
    } else if (stream.reader.is_open() && !stream.is_counted_open) {
      stream.is_counted_open = true;
      ++open_;
    }
  }

  void on_answer(Stream& stream, std::string_view bytes) {
    stream.answer.append(bytes);
    const size_t head = stream.answer.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const std::string_view whole = stream.answer;
    const std::string length(header_value(whole.substr(0, head), "content-length"));
    if (whole.size() < head + 4 + std::strtoul(length.c_str(), nullptr, 10)) return;
    constexpr std::string_view kField = "\"job_id\":\"";
    const size_t field = whole.find(kField, head);
    if (!whole.starts_with("HTTP/1.1 201") || field == std::string::npos) {
      if (failed_ == 0) std::fprintf(stderr, "bench: not a job: %s\n", stream.answer.c_str());
      close_early(stream);
      return;
    }
    const size_t id = field + kField.size();
    const std::string job(whole.substr(id, whole.find('"', id) - id));
    stream.answer = {};
    request_stream(stream, "/v1/stream?job_id=" + job);
  }

  void close_early(Stream& stream) {
    if (stream.phase == Phase::kClosed) return;
    if (stream.is_counted_open) --open_;
    stream.phase = Phase::kClosed;
    close(stream.fd);
    ++failed_;
  }

  // By RST, so that the ports are free for the next run.
  void reset_all() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    for (const Stream& stream : streams_) {
      if (stream.phase == Phase::kClosed) continue;
      setsockopt(stream.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      close(stream.fd);
    }
  }

  static uint32_t percentile(std::vector<uint32_t>& values, double share) {
    if (values.empty()) return 0;
    const auto at = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(at);
    std::nth_element(values.begin(), nth, values.end());
    return *nth;
  }

  void report(const ServerState& before, const ServerState& start, const ServerState& end) {
    const uint64_t tokens = end.tokens - start.tokens;
    const size_t silent = static_cast<size_t>(
        std::count_if(streams_.begin(), streams_.end(), [](const Stream& stream) {
          return stream.is_counted_open && stream.reader.tokens() == stream.tokens_at_start;
        }));
    const double seconds = static_cast<double>(end.at_us - start.at_us) / 1e6;
    const double per_token = tokens == 0 ? 0 : 1.0 / static_cast<double>(tokens);
    std::printf("{\"streams\":%zu,\"open\":%zu,\"failed\":%zu,\"silent\":%zu,", options_.streams,
                open_, failed_, silent);
    std::printf("\"open_seconds\":%.1f,", static_cast<double>(opened_us_) / 1e6);
    std::printf("\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"wrong_ids\":%" PRIu64
                ",\"endings\":%" PRIu64 ",",
                totals_.lost, totals_.doubled, totals_.wrong_ids, totals_.endings);
    std::printf("\"tokens\":%" PRIu64 ",\"seconds\":%.3f,\"tokens_per_second\":%.0f,", tokens,
                seconds, static_cast<double>(tokens) / seconds);
    std::printf("\"server_cpu_share\":%.4f,\"cpu_us_per_token\":%.3f,",
                static_cast<double>(end.cpu_ns - start.cpu_ns) / 1e9 / seconds,
                static_cast<double>(end.cpu_ns - start.cpu_ns) / 1e3 * per_token);
    std::printf("\"client_cpu_share\":%.4f,\"others_cpu_share\":%.4f,",
                static_cast<double>(end.own_cpu_ns - start.own_cpu_ns) / 1e9 / seconds,
                static_cast<double>(end.others_cpu_ns - start.others_cpu_ns) / 1e9 / seconds);
    const double per_stream = 1.0 / static_cast<double>(options_.streams);
    std::printf("\"rss_before\":%" PRId64 ",\"rss_bytes_per_stream\":%.0f,", before.resident_bytes,
                static_cast<double>(end.resident_bytes - before.resident_bytes) * per_stream);
    std::printf("\"descriptors_per_stream\":%.3f,",
                static_cast<double>(end.descriptors - before.descriptors) * per_stream);
    std::printf("\"first_p50_us\":%u,\"first_p99_us\":%u,", percentile(first_us_, 0.5),
                percentile(first_us_, 0.99));
    std::printf("\"gap_p50_us\":%u,\"gap_p99_us\":%u,", percentile(gaps_us_, 0.5),
                percentile(gaps_us_, 0.99));
    std::printf("\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n", percentile(delays_us_, 0.5),
                percentile(delays_us_, 0.99), percentile(delays_us_, 1));
  }

  Options options_;
  int epoll_;
  std::vector<Stream> streams_;
  StreamTotals totals_;
  std::vector<uint32_t> delays_us_;
  std::vector<uint32_t> gaps_us_;   // between two tokens of a stream
  std::vector<uint32_t> first_us_;  // from the request to the first token, of every stream
  bool is_measuring_ = false;
  int64_t opened_us_ = 0;  // how long it took to open all of them
  size_t open_ = 0;
  size_t failed_ = 0;
  char buffer_[64 * 1024];
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  const sluice::bench::Arguments given(argc, argv);
  const sluice::bench::Options options{
      .port = static_cast<int>(given.number("port", 0)),
      .pid = static_cast<int>(given.number("pid", 0)),
      .upstream_pid = static_cast<int>(given.number("upstream-pid", 0)),
      .streams = static_cast<size_t>(given.number("streams", 100)),
      .path = given.text("path", "/stream"),
      .post = given.text("post", ""),
      .ask = given.text("ask", ""),
      .body = given.text("body", ""),
      .header = given.text("header", ""),
      .from_one = given.number("from-one", 1) != 0,
      .ramp_us = given.number("ramp-ms", 1000) * 1000,
      .settle_us = given.number("settle-ms", 1000) * 1000,
      .measure_us = given.number("measure-ms", 4000) * 1000,
      .stall = given.number("stall", 0) != 0,
      .announce = given.number("announce", 0) != 0,
  };
  static sluice::bench::LoadClient client(options);
  client.run();
}
