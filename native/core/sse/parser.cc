#include "core/sse/parser.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace sluice {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::uint8_t kBomDone = 0xFF;

// The buffer of a rare large event is freed beyond this size.
constexpr std::size_t kKeptCapacityBytes = std::size_t{16} << 10;

/// Finds line ends in one piece. Remembers where the next CR and the next LF are: searching for
/// both again at every line would be O(N^2) in a piece that holds only one of the two kinds.
class LineEnds {
 public:
  explicit LineEnds(std::string_view bytes)
      : bytes_(bytes), next_cr_(find('\r', 0)), next_lf_(find('\n', 0)) {}

  /// The position of the first CR or LF at or after `from`, or the piece's size.
  std::size_t next(std::size_t from) {
    if (next_cr_ < from) next_cr_ = find('\r', from);
    if (next_lf_ < from) next_lf_ = find('\n', from);
    return std::min(next_cr_, next_lf_);
  }

 private:
  [[nodiscard]] std::size_t find(char wanted, std::size_t from) const {
    const std::size_t found = bytes_.find(wanted, from);
    return found == std::string_view::npos ? bytes_.size() : found;
  }

  std::string_view bytes_;
  std::size_t next_cr_;
  std::size_t next_lf_;
};

// An empty buffer of this thread. Most parsers wait for bytes, with nothing to hold until then.
std::string& spare_buffer() {
  static thread_local std::string buffer;
  return buffer;
}

// Gives an empty buffer the capacity of the spare one.
void take_capacity(std::string& buffer) {
  buffer.swap(spare_buffer());
}

// Empties a buffer, and leaves its capacity to the next one.
void give_capacity(std::string& buffer) {
  buffer.clear();
  std::string& spare = spare_buffer();
  if (buffer.capacity() > spare.capacity() && buffer.capacity() <= kKeptCapacityBytes) {
    buffer.swap(spare);
  }
  std::string().swap(buffer);
}

/// Reads an all-digits value, saturating; false if it is empty or holds anything else.
bool parse_digits(std::string_view text, std::uint64_t& value) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (text.empty()) return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
  }
  return true;
}

}  // namespace

SseParser::SseParser(std::size_t event_bytes_max) : event_bytes_max_(event_bytes_max) {}

SseParser::Status SseParser::push(std::string_view bytes, SseSink& sink) {
  if (status_ != Status::kOk) return status_;
  if (bom_bytes_ != kBomDone) bytes = skip_byte_order_mark(bytes);
  if (skip_line_feed_ && !bytes.empty()) {
    skip_line_feed_ = false;
    if (bytes.front() == '\n') bytes.remove_prefix(1);
  }
  LineEnds ends(bytes);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t end = ends.next(at);
    const std::string_view part = bytes.substr(at, end - at);
    if (!admit(line_.size() + part.size())) return status_;
    if (end == bytes.size()) {
      line_.append(part);
      break;
    }
    if (line_.empty()) {
      take_line(part, sink);
    } else {
      line_.append(part);
      take_line(line_, sink);
      give_capacity(line_);
    }
    at = end + 1;
    if (bytes[end] != '\r') continue;
    if (at == bytes.size()) {
      skip_line_feed_ = true;
    } else if (bytes[at] == '\n') {
      ++at;
    }
  }
  return status_;
}

void SseParser::flush(SseSink& sink) {
  if (status_ != Status::kOk) return;
  if (!line_.empty()) {
    take_line(line_, sink);
    line_.clear();
  }
  dispatch(sink);
}

/// Strips one leading byte order mark, which may arrive in up to three pieces. What looked like
/// one and was not goes to `line_`, ahead of the rest.
std::string_view SseParser::skip_byte_order_mark(std::string_view bytes) {
  while (!bytes.empty() && bom_bytes_ < kByteOrderMark.size()) {
    if (bytes.front() != kByteOrderMark[bom_bytes_]) {
      line_.append(kByteOrderMark.substr(0, bom_bytes_));
      bom_bytes_ = kBomDone;
      return bytes;
    }
    bytes.remove_prefix(1);
    ++bom_bytes_;
  }
  if (bom_bytes_ == kByteOrderMark.size()) bom_bytes_ = kBomDone;
  return bytes;
}

bool SseParser::admit(std::size_t more_bytes) {
  if (more_bytes <= event_bytes_max_ - event_bytes_) return true;
  status_ = Status::kEventTooLarge;
  for (std::string* buffer : {&line_, &data_, &type_}) give_capacity(*buffer);
  return false;
}

void SseParser::take_line(std::string_view line, SseSink& sink) {
  if (line.empty()) return dispatch(sink);
  if (line.front() == ':') return;
  event_bytes_ += line.size();
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return take_field(line, {}, sink);
  std::string_view value = line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  take_field(line.substr(0, colon), value, sink);
}

void SseParser::take_field(std::string_view name, std::string_view value, SseSink& sink) {
  if (name == "data") {
    if (has_data_ && !has_more_data_ && sink.ends_event(data_)) {
      dispatch(sink);
      event_bytes_ = value.size();
    }
    has_more_data_ = has_data_;
    if (has_data_) {
      data_.push_back('\n');
    } else {
      take_capacity(data_);
    }
    data_.append(value);
    has_data_ = true;
  } else if (name == "event") {
    type_.assign(value);
  } else if (name == "id") {
    // A NUL could not be sent back in a Last-Event-ID header, so such an id is no id.
    if (value.find('\0') == std::string_view::npos) last_event_id_.assign(value);
  } else if (name == "retry") {
    std::uint64_t retry_ms = 0;
    if (parse_digits(value, retry_ms)) sink.on_retry(retry_ms);
  } else {
    sink.on_unknown_field(name, value);
  }
}

void SseParser::dispatch(SseSink& sink) {
  event_bytes_ = 0;
  if (has_data_) sink.on_event({type_, data_, last_event_id_});
  has_data_ = false;
  has_more_data_ = false;
  give_capacity(data_);
  give_capacity(type_);
}

}  // namespace sluice
