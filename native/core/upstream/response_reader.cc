#include "core/upstream/response_reader.h"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

constexpr std::size_t kHeadBytesMax = 64 * 1024;

}  // namespace

ResponseReader::Status ResponseReader::push(std::string_view bytes, std::string& scratch,
                                            Part& part) {
  part = {};
  if (status_ == Status::kMore && !has_head_) bytes = take_head(bytes, part);
  if (status_ == Status::kMore && has_head_) bytes = take_body(bytes, scratch, part);
  if (status_ == Status::kEnd && !bytes.empty()) has_excess_ = true;
  return status_;
}

// Returns the bytes behind the head.
std::string_view ResponseReader::take_head(std::string_view bytes, Part& part) {
  std::size_t seen = partial_.size();
  std::string_view input = bytes;
  if (seen > 0) input = partial_.append(bytes);
  while (!has_head_) {
    ResponseHead parsed;
    const HeadResult result = parse_response_head(input, seen, parsed);
    const bool whole = result.status == HeadResult::Status::kWhole;
    const std::size_t size = whole ? result.size : input.size();
    if (result.status == HeadResult::Status::kBad || size > kHeadBytesMax - head_bytes_) {
      status_ = Status::kBad;
      return {};
    }
    if (!whole) {
      if (input.size() != partial_.size()) partial_ = std::string(input);
      return {};
    }
    head_bytes_ += size;
    input.remove_prefix(size);
    seen = 0;
    if (parsed.head.status < 200) continue;
    begin_body(parsed);
    part.head = std::move(parsed.head);
  }
  const std::size_t rest = std::min(input.size(), bytes.size());
  std::string().swap(partial_);
  return bytes.substr(bytes.size() - rest);
}

void ResponseReader::begin_body(const ResponseHead& parsed) {
  has_head_ = true;
  framing_ = parsed.framing;
  left_ = parsed.length;
  keeps_alive_ = parsed.keeps_alive;
  const bool empty = framing_ == BodyFraming::kLength && left_ == 0;
  if (empty || framing_ == BodyFraming::kNone) status_ = Status::kEnd;
}

// Returns the bytes behind the body.
std::string_view ResponseReader::take_body(std::string_view bytes, std::string& scratch,
                                           Part& part) {
  if (framing_ == BodyFraming::kUntilClose) {
    part.body = bytes;
  } else if (framing_ == BodyFraming::kLength) {
    part.body =
        bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
    left_ -= part.body.size();
    if (left_ == 0) status_ = Status::kEnd;
    return bytes.substr(part.body.size());
  } else {
    scratch.clear();
    const ChunkDecoder::Status status = chunks_.push(bytes, scratch);
    part.body = scratch;
    if (status == ChunkDecoder::Status::kEnd) status_ = Status::kEnd;
    if (status == ChunkDecoder::Status::kBad) status_ = Status::kBad;
    has_excess_ = chunks_.has_excess();
  }
  return {};
}

ResponseReader::Status ResponseReader::finish() {
  const bool complete = has_head_ && framing_ == BodyFraming::kUntilClose;
  if (status_ == Status::kMore && complete) status_ = Status::kEnd;
  return status_;
}

}  // namespace sluice
