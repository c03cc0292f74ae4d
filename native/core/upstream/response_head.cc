#include "core/upstream/response_head.h"

#include <picohttpparser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "core/base/ascii.h"
#include "core/upstream/field_value.h"

namespace sluice {

namespace {

constexpr std::size_t kHeadersMax = 512;

// A head up to this size is parsed anew with each piece, so that an invalid one is found at once.
// In a longer one the parser first looks for the empty line, which takes linear time in all.
constexpr std::size_t kParsedAnewBytes = 4096;

constexpr std::string_view kProtocol = "HTTP/1.";

enum : int { kSwitchingProtocols = 101, kNoContent = 204, kNotModified = 304 };

// The headers that decide where the body ends and whether the connection is kept.
class Framing {
 public:
  void store(std::string_view name, std::string_view value) {
    if (equals_ignoring_case(name, "content-length")) {
      each_element(value, [this](std::string_view element) { store_length(element); });
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
      if (!codings_.empty()) codings_ += ", ";
      codings_ += value;
    } else if (equals_ignoring_case(name, "connection")) {
      each_element(value, [this](std::string_view element) {
        closes_ = closes_ || equals_ignoring_case(element, "close");
        keeps_ = keeps_ || equals_ignoring_case(element, "keep-alive");
      });
    }
  }

  // False for a response that cannot be read.
  [[nodiscard]] bool apply(bool is_http_1_0, ResponseHead& parsed) const {
    const int status = parsed.head.status;
    if (bad_length_ || status < 100 || status == kSwitchingProtocols) return false;
    parsed.keeps_alive = is_http_1_0 ? keeps_ && !closes_ : !closes_;
    if (status < 200 || status == kNoContent || status == kNotModified) {
      parsed.framing = BodyFraming::kNone;
    } else if (has_codings()) {
      apply_codings(parsed);
      // Another reader of this connection may have gone by the length.
      parsed.keeps_alive = parsed.keeps_alive && !length_ && !is_http_1_0;
    } else if (length_) {
      parsed.framing = BodyFraming::kLength;
      parsed.length = *length_;
    } else {
      parsed.framing = BodyFraming::kUntilClose;
    }
    if (parsed.framing == BodyFraming::kUntilClose) parsed.keeps_alive = false;
    return true;
  }

 private:
  void store_length(std::string_view text) {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const bool valid = error == std::errc{} && end == text.data() + text.size();
    bad_length_ = bad_length_ || !valid || length_.value_or(length) != length;
    length_ = length;
  }

  // `identity`, of RFC 2616, is none.
  [[nodiscard]] bool has_codings() const {
    return !codings_.empty() && !equals_ignoring_case(codings_, "identity");
  }

  void apply_codings(ResponseHead& parsed) const {
    std::string_view last;
    each_element(codings_, [&](std::string_view element) { last = element; });
    const bool chunked = equals_ignoring_case(last, "chunked");
    parsed.framing = chunked ? BodyFraming::kChunked : BodyFraming::kUntilClose;
    if (!equals_ignoring_case(codings_, "chunked")) parsed.head.content_encoding = codings_;
  }

  std::optional<std::uint64_t> length_;
  std::string codings_;
  bool bad_length_ = false;
  bool closes_ = false;
  bool keeps_ = false;
};

// The value of the first header, with the lines that continue it.
std::string_view unfold(std::span<const phr_header> headers, std::string& joined) {
  std::string_view value(headers.front().value, headers.front().value_len);
  if (headers.size() == 1) return value;
  joined.assign(value);
  for (const phr_header& line : headers.subspan(1)) {
    joined.append(" ").append(line.value, line.value_len);
  }
  return trim_field(joined);
}

}  // namespace

void store_header(std::string_view name, std::string_view value, UpstreamHead& head) {
  const std::array<std::pair<std::string_view, std::string*>, 5> wanted{
      {{"content-type", &head.content_type},
       {"retry-after", &head.retry_after},
       {"retry-after-ms", &head.retry_after_ms},
       {"location", &head.location},
       {"content-encoding", &head.content_encoding}}};
  for (const auto& [lower, member] : wanted) {
    if (equals_ignoring_case(name, lower)) *member = value;
  }
}

HeadResult parse_response_head(std::string_view bytes, std::size_t seen, ResponseHead& parsed) {
  const std::size_t known = std::min(bytes.size(), kProtocol.size());
  if (bytes.substr(0, known) != kProtocol.substr(0, known)) return {HeadResult::Status::kBad};
  std::array<phr_header, kHeadersMax> headers;
  std::size_t count = headers.size();
  int minor_version = 0;
  int status = 0;
  const char* reason = nullptr;
  std::size_t reason_size = 0;
  const int size =
      phr_parse_response(bytes.data(), bytes.size(), &minor_version, &status, &reason, &reason_size,
                         headers.data(), &count, seen > kParsedAnewBytes ? seen : 0);
  if (size == -2) return {HeadResult::Status::kMore};
  if (size < 0) return {HeadResult::Status::kBad};

  parsed = {};
  parsed.head.status = status;
  Framing framing;
  std::string joined;
  const std::span<const phr_header> all(headers.data(), count);
  for (std::size_t at = 0; at < count;) {
    std::size_t next = at + 1;
    while (next < count && all[next].name == nullptr) ++next;
    const std::string_view name(all[at].name, all[at].name_len);
    const std::string_view value = unfold(all.subspan(at, next - at), joined);
    store_header(name, value, parsed.head);
    framing.store(name, value);
    at = next;
  }
  if (!framing.apply(minor_version == 0, parsed)) return {HeadResult::Status::kBad};
  return {HeadResult::Status::kWhole, static_cast<std::size_t>(size)};
}

}  // namespace sluice
