// Reads one event stream response; see sse_reader.h.
#include "sse_reader.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common.h"

namespace sluice::bench {

namespace {

// Events that end a stream, or report a fault, in the protocols of Sluice and of its faces.
constexpr std::array<std::string_view, 6> kEndings = {
    "response.completed", "response.incomplete", "response.failed", "message_stop", "error", "gap"};

bool is_ending(std::string_view event) {
  return event.starts_with("job_") ||
         std::find(kEndings.begin(), kEndings.end(), event) != kEndings.end();
}

}  // namespace

void SseReader::take_head(std::string_view& bytes) {
  const size_t before = carry_.size();
  carry_.append(bytes);
  const size_t end = carry_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end == std::string::npos) {
    bytes = {};
    return;
  }
  bytes.remove_prefix(end + 4 - before);
  const std::string_view head = std::string_view(carry_).substr(0, end);
  if (!head.starts_with("HTTP/1.1 200")) {
    broken_ = true;
    return;
  }
  is_open_ = true;
  state_ = header_value(head, "transfer-encoding") == "chunked" ? State::kSize : State::kPlain;
  carry_.clear();
}

// Only one size line is ever unfinished, so it can share `left_` instead of a buffer.
void SseReader::take_size(std::string_view& bytes) {
  while (!bytes.empty()) {
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (c == '\n') {
      state_ = left_ == 0 ? State::kPlain : State::kData;
      return;
    }
    if (c == '\r') continue;
    // Bit 5 makes a letter lower-case and leaves a digit as it is.
    const size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
    if (digit == std::string_view::npos) {
      broken_ = true;
      return;
    }
    left_ = left_ * 16 + digit;
  }
}

std::string_view SseReader::next_body(std::string_view& bytes) {
  switch (state_) {
    case State::kHead:
      take_head(bytes);
      return {};
    case State::kSize:
      take_size(bytes);
      return {};
    case State::kDataEnd: {
      const bool is_end = bytes.front() == '\n';
      bytes.remove_prefix(1);
      if (is_end) state_ = State::kSize;
      return {};
    }
    case State::kData: {
      const std::string_view body = bytes.substr(0, left_);
      bytes.remove_prefix(body.size());
      left_ -= body.size();
      if (left_ == 0) state_ = State::kDataEnd;
      return body;
    }
    case State::kPlain:
      break;
  }
  const std::string_view body = bytes;
  bytes = {};
  return body;
}

bool SseReader::line(std::string_view text, int64_t& sent_us) {
  if (text.empty() || text.front() == '\r') {
    id_seq_ = 0;
    return false;
  }
  if (text.starts_with("id:")) {
    // Only ids of the form <attempt>-<number> can be compared; ids of other forms are not checked.
    const size_t dash = text.find('-');
    if (dash != std::string_view::npos && text.size() < 40) {
      std::from_chars(text.data() + dash + 1, text.data() + text.size(), id_seq_);
    }
    return false;
  }
  if (text.starts_with("event: ")) {
    if (is_ending(text.substr(sizeof "event: " - 1))) ++totals_->endings;
    return false;
  }
  uint64_t seq = 0;
  if (!text.starts_with("data:") || !find_token(text, seq, sent_us)) return false;
  if (id_seq_ != 0 && id_seq_ != seq) ++totals_->wrong_ids;
  if (next_seq_ != 0 && seq > next_seq_) totals_->lost += seq - next_seq_;
  if (next_seq_ != 0 && seq < next_seq_) ++totals_->doubled;
  next_seq_ = seq + 1;
  ++tokens_;
  ++totals_->tokens;
  return true;
}

}  // namespace sluice::bench
