// Shared parts of the bench programs: the clock, the text of a token, sockets, arguments, and the
// data of /proc about another process. Each program is one thread around one epoll; errors at
// start-up end it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice::bench {

// CLOCK_MONOTONIC in microseconds: the same clock in every process of this machine.
int64_t now_us();

// A token is `@` and 15 digits (when it was sent, in microseconds), `#`, its number in its stream
// (from 1), and a space. The generators of every language make this text.
inline constexpr size_t kStampDigits = 15;
void append_token_text(std::string& out, uint64_t seq, int64_t sent_us);

// The token in `text`, wherever it starts; false when there is none.
bool find_token(std::string_view text, uint64_t& seq, int64_t& sent_us);

// The SSE block that Sluice writes for a token, as one HTTP chunk. The floors write it too.
void append_token_chunk(std::string& out, uint64_t seq, std::string_view text);

// Wraps `payload` as one HTTP chunk.
void append_chunk(std::string& out, std::string_view payload);

// `--name value` pairs. A missing or malformed one ends the process with a message.
class Arguments {
 public:
  Arguments(int argc, char** argv);
  std::string text(const std::string& name, const std::string& fallback) const;
  int64_t number(const std::string& name, int64_t fallback) const;

 private:
  std::map<std::string, std::string> values_;
};

// A non-blocking socket listening on 127.0.0.1; port 0 picks one. Prints `listening on URL`.
int listen_on(int port);

// A non-blocking socket connecting to 127.0.0.1:port, with TCP_NODELAY; -1 on failure.
int connect_to(int port);

// An accepted connection, non-blocking and with TCP_NODELAY; -1 if none is pending.
int accept_from(int listener);

void watch(int epoll, int fd, uint32_t events, uint64_t key, bool is_new);

// Ends the process with a message.
[[noreturn]] void fail(const std::string& message);

// User plus system time that a process has used, in nanoseconds. It is the sum that
// /proc/PID/stat shows in hundredths of a second, read from the process's own clock.
int64_t cpu_ns(int pid);
int64_t resident_bytes(int pid);

// CPU time that all processes of the machine have used since it started, in nanoseconds.
int64_t machine_cpu_ns();
int64_t open_descriptors(int pid);

// The value of a header in a block of them, lower-case name; empty when absent.
std::string_view header_value(std::string_view head, std::string_view name);

}  // namespace sluice::bench
