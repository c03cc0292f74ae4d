#include "core/upstream/chunked_body.h"

#include <algorithm>

namespace sluice {

namespace {

constexpr std::uint8_t kDigitsMax = 15;  // 60 bits

// -1: no hexadecimal digit.
int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool may_follow_size(char c) {
  return c == '\r' || c == '\n' || c == ';' || c == ' ' || c == '\t';
}

}  // namespace

ChunkDecoder::Status ChunkDecoder::status() const {
  if (state_ == State::kEnd) return Status::kEnd;
  return state_ == State::kBad ? Status::kBad : Status::kMore;
}

ChunkDecoder::Status ChunkDecoder::push(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && status() == Status::kMore) {
    if (state_ != State::kData) {
      take_control(bytes.front());
      bytes.remove_prefix(1);
      continue;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    out.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    left_ -= size;
    if (left_ == 0) state_ = State::kDataEnd;
  }
  has_excess_ = has_excess_ || (state_ == State::kEnd && !bytes.empty());
  return status();
}

void ChunkDecoder::take_control(char c) {
  switch (state_) {
    case State::kSize:
      if (const int digit = digit_of(c); digit >= 0 && digits_ < kDigitsMax) {
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        ++digits_;
        return;
      } else if (digits_ == 0 || !may_follow_size(c)) {
        state_ = State::kBad;
        return;
      }
      state_ = State::kExtension;
      [[fallthrough]];
    case State::kExtension:
      if (c == '\n') state_ = left_ > 0 ? State::kData : State::kTrailerStart;
      break;
    case State::kDataEnd:
      if (c == '\n') {
        state_ = State::kSize;
        digits_ = 0;
      } else if (c != '\r') {
        state_ = State::kBad;
      }
      break;
    case State::kTrailerStart:
      if (c == '\n') state_ = State::kEnd;
      if (c != '\n' && c != '\r') state_ = State::kTrailer;
      break;
    case State::kTrailer:
      if (c == '\n') state_ = State::kTrailerStart;
      break;
    case State::kData:
    case State::kEnd:
    case State::kBad:
      break;
  }
}

}  // namespace sluice
