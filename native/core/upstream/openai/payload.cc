#include "core/upstream/openai/payload.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>

#include "core/base/surrogate_escapes.h"
#include "core/upstream/openai/payload_handler.h"

namespace sluice {
namespace {

// Iterative: nesting must not exhaust the thread's stack. Numbers as strings: only the relevant
// ones are converted.
constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

/// Whether a byte of a JSON string stands for itself, wherever it is in the string.
bool is_plain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

/// Whether the output of a payload is the text of one delta, and nothing else is in it.
bool is_text_alone(const OpenAiPayload& payload) {
  if (payload.choices.size() != 1 || payload.pieces.size() != 1) return false;
  const OpenAiChoice& choice = payload.choices.front();
  const OpenAiPiece& piece = payload.pieces.front();
  const bool has_text = piece.kind == PieceKind::kText && !piece.is_whole;
  const bool has_others = !choice.finish_reason.empty() || !choice.logprobs.empty() ||
                          choice.logprobs_have_tokens || !payload.calls.empty();
  return has_text && !has_others && !payload.usage && !payload.error &&
         !payload.has_surrogate_halves;
}

// A copy that a rare large payload has blown up is given back beyond this size.
constexpr std::size_t kKeptCapacityBytes = std::size_t{16} << 10;

}  // namespace

class OpenAiPayloadParser::Buffers {
 public:
  /// The payload before it is parsed in place, for spans of raw JSON.
  std::string raw;
  PayloadHandler handler;
  rapidjson::Reader reader;
};

OpenAiPayloadParser::Buffers& OpenAiPayloadParser::buffers() {
  static thread_local Buffers shared;
  return shared;
}

/// After a successful parse of `json`.
void OpenAiPayloadParser::learn(std::string_view json) {
  const OpenAiPayload& payload = buffers().handler.payload;
  if (json.size() > kKeptCapacityBytes || !is_text_alone(payload)) return;
  const std::string_view text = payload.pieces.front().text;
  // Parsed in place, a string begins where it began before.
  const auto at = static_cast<std::size_t>(text.data() - json.data());
  const std::string_view before(buffers().raw);
  const bool has_escapes = before.substr(at, text.size()) != text ||
                           before.substr(at + text.size(), 1) != "\"" ||
                           !std::ranges::all_of(text, is_plain);
  if (has_escapes) return;
  last_ = before;
  text_at_ = at;
  text_bytes_ = text.size();
  choice_index_ = payload.choices.front().index;
}

/// The payload of `json`, if it differs from the last one in its text alone; else nullptr.
const OpenAiPayload* OpenAiPayloadParser::repeat(std::string_view json) const {
  const std::size_t others = last_.size() - text_bytes_;
  if (text_bytes_ == 0 || json.size() <= others) return nullptr;
  const std::string_view last(last_);
  if (!json.starts_with(last.substr(0, text_at_))) return nullptr;
  if (!json.ends_with(last.substr(text_at_ + text_bytes_))) return nullptr;
  const std::string_view text = json.substr(text_at_, json.size() - others);
  if (!std::ranges::all_of(text, is_plain)) return nullptr;
  PayloadHandler& handler = buffers().handler;
  handler.clear();
  OpenAiChoice& choice = handler.payload.choices.emplace_back();
  choice.index = choice_index_;
  choice.has_delta = true;
  handler.payload.pieces.emplace_back().text = text;
  handler.payload.is_answer = true;
  return &handler.payload;
}

const OpenAiPayload* OpenAiPayloadParser::parse(std::string& json, bool is_error_event) {
  if (!is_error_event) {
    if (const OpenAiPayload* const payload = repeat(json)) return payload;
  }
  text_bytes_ = 0;
  const OpenAiPayload* const payload = parse_whole(json, is_error_event);
  if (payload != nullptr && !is_error_event) learn(json);
  return payload;
}

const OpenAiPayload* OpenAiPayloadParser::parse_whole(std::string& json, bool is_error_event) {
  PayloadHandler& handler = buffers().handler;
  const bool has_surrogate_halves = unescape_lone_surrogates(json);
  std::string& raw = buffers().raw;
  if (raw.capacity() > kKeptCapacityBytes && json.size() <= kKeptCapacityBytes) {
    std::string().swap(raw);
  }
  raw.assign(json);
  rapidjson::InsituStringStream stream(json.data());
  handler.begin(json, raw, stream);
  const rapidjson::ParseResult result = buffers().reader.Parse<kParseFlags>(stream, handler);
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
