#include "core/upstream/openai_payload.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>

#include "core/base/surrogate_escapes.h"
#include "core/upstream/payload_handler.h"

namespace sluice {
namespace {

// Iterative: nesting must not exhaust the thread's stack. Numbers as strings: only the relevant
// ones are converted.
constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

// A copy that a rare large payload has blown up is given back beyond this size.
constexpr std::size_t kKeptCapacityBytes = std::size_t{16} << 10;

}  // namespace

class OpenAiPayloadParser::Impl {
 public:
  /// The payload before it is parsed in place, for spans of raw JSON.
  std::string raw;
  PayloadHandler handler;
  rapidjson::Reader reader;
};

OpenAiPayloadParser::OpenAiPayloadParser() : impl_(std::make_unique<Impl>()) {}
OpenAiPayloadParser::~OpenAiPayloadParser() = default;

const OpenAiPayload* OpenAiPayloadParser::parse(std::string& json, bool is_error_event) {
  PayloadHandler& handler = impl_->handler;
  const bool has_surrogate_halves = unescape_lone_surrogates(json);
  std::string& raw = impl_->raw;
  if (raw.capacity() > kKeptCapacityBytes && json.size() <= kKeptCapacityBytes) {
    std::string().swap(raw);
  }
  raw.assign(json);
  rapidjson::InsituStringStream stream(json.data());
  handler.begin(json, raw, stream);
  const rapidjson::ParseResult result = impl_->reader.Parse<kParseFlags>(stream, handler);
  if (result.IsError()) {
    if (handler.too_deep) {
      problem_ = "nested too deeply";
    } else if (result.Code() == rapidjson::kParseErrorTermination) {
      problem_ = "not a JSON object";
    } else {
      problem_ = rapidjson::GetParseError_En(result.Code());
    }
    return nullptr;
  }
  // RapidJSON takes a NUL for the end of the text.
  if (stream.Tell() != json.size()) {
    problem_ = "a NUL character after the object";
    return nullptr;
  }
  handler.payload.has_surrogate_halves = has_surrogate_halves;
  handler.settle(is_error_event);
  if (handler.is_array && !handler.payload.error) {
    problem_ = "not a JSON object";
    return nullptr;
  }
  const auto comes_first = [](const OpenAiPiece& a, const OpenAiPiece& b) {
    return a.choice != b.choice ? a.choice < b.choice : a.kind < b.kind;
  };
  std::vector<OpenAiPiece>& pieces = handler.payload.pieces;
  if (!std::ranges::is_sorted(pieces, comes_first)) std::ranges::stable_sort(pieces, comes_first);
  return &handler.payload;
}

}  // namespace sluice
