// Reads one HTTP response that is an event stream: head, chunked or plain body, lines. It knows
// just enough of SSE to find the tokens and their ids. One per connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::bench {

// Faults and counts of a reader, over all connections.
struct StreamTotals {
  uint64_t tokens = 0;
  uint64_t lost = 0;       // numbers skipped
  uint64_t doubled = 0;    // numbers seen again, or out of order
  uint64_t wrong_ids = 0;  // an `id: <attempt>-<n>` that is not the token's number
  uint64_t endings = 0;    // events that end a stream, or report a fault
};

class SseReader {
 public:
  // `from_one`: the first token must have number 1.
  explicit SseReader(bool from_one) : next_seq_(from_one ? 1 : 0) {}

  // Bytes of the response. `on_token(sent_us)` is called for each token in them. False when the
  // response is not a 200 or its framing is broken.
  template <typename OnToken>
  bool read(std::string_view bytes, StreamTotals& totals, OnToken on_token) {
    totals_ = &totals;
    while (!bytes.empty()) {
      const std::string_view body = next_body(bytes);
      if (broken_) return false;
      lines(body, on_token);
    }
    return true;
  }

  // The head has arrived with status 200.
  bool is_open() const { return is_open_; }
  uint64_t tokens() const { return tokens_; }

 private:
  enum class State { kHead, kSize, kData, kDataEnd, kPlain };

  // Takes framing off the front of `bytes`, and returns the piece of body that follows it.
  std::string_view next_body(std::string_view& bytes);
  void take_head(std::string_view& bytes);
  void take_size(std::string_view& bytes);
  bool line(std::string_view text, int64_t& sent_us);

  template <typename OnToken>
  void lines(std::string_view body, OnToken on_token) {
    while (!body.empty()) {
      const size_t end = body.find('\n');
      if (end == std::string_view::npos) {
        carry_.append(body);
        return;
      }
      int64_t sent_us = 0;
      bool is_token = false;
      if (carry_.empty()) {
        is_token = line(body.substr(0, end), sent_us);
      } else {
        carry_.append(body.substr(0, end));
        is_token = line(carry_, sent_us);
        carry_.clear();
      }
      if (is_token) on_token(sent_us);
      body.remove_prefix(end + 1);
    }
  }

  State state_ = State::kHead;
  bool is_open_ = false;
  bool broken_ = false;
  size_t left_ = 0;      // of the current chunk
  std::string carry_;    // an unfinished head, size line or line
  uint64_t next_seq_;    // 0: whatever comes first
  uint64_t id_seq_ = 0;  // of the current event; 0 for none
  uint64_t tokens_ = 0;
  StreamTotals* totals_ = nullptr;
};

}  // namespace sluice::bench
