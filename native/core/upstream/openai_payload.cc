#include "core/upstream/openai_payload.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/surrogate_escapes.h"

namespace sluice {
namespace {

// Deeper than any legitimate payload; a hostile one is refused before it costs memory.
constexpr std::size_t kDepthMax = 64;

// Iterative: nesting must not exhaust the thread's stack. Numbers as strings: only the relevant
// ones are converted.
constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

/// The position of the reader in the payload.
enum class Place : std::uint8_t {
  kRoot,
  kRoots,  // an array of objects in place of one
  kChoices,
  kChoice,
  kDelta,
  kMessage,
  kParts,  // of a content
  kPart,
  kThoughts,  // parts of a thinking part
  kThought,
  kCalls,
  kUsage,
  kVendor,  // an object that has a `usage` of its own
  kError,
  kErrors,   // an array of them
  kDetails,  // the same, of FastAPI
  kOther,
};

/// The members that matter, whatever object they are in.
enum class Member : std::uint8_t {
  kNone,
  kAudio,
  kChoices,
  kCode,
  kCompletionTokens,
  kContent,
  kDelta,
  kDetail,
  kError,
  kErrors,
  kFinishReason,
  kFunctionCall,
  kImages,
  kIndex,
  kMessage,
  kMsg,
  kObject,
  kPromptTokens,
  kReasoning,
  kReasoningContent,
  kRefusal,
  kStatus,
  kText,
  kThinking,
  kToolCalls,
  kTotalTokens,
  kType,
  kUsage,
  kXGroq,
};

struct MemberName {
  std::string_view name;
  Member member;
};

constexpr std::array kMemberNames = {
    MemberName{"audio", Member::kAudio},
    MemberName{"choices", Member::kChoices},
    MemberName{"code", Member::kCode},
    MemberName{"completion_tokens", Member::kCompletionTokens},
    MemberName{"content", Member::kContent},
    MemberName{"delta", Member::kDelta},
    MemberName{"detail", Member::kDetail},
    MemberName{"error", Member::kError},
    MemberName{"errors", Member::kErrors},
    MemberName{"finish_reason", Member::kFinishReason},
    MemberName{"function_call", Member::kFunctionCall},
    MemberName{"images", Member::kImages},
    MemberName{"index", Member::kIndex},
    MemberName{"message", Member::kMessage},
    MemberName{"msg", Member::kMsg},
    MemberName{"object", Member::kObject},
    MemberName{"prompt_tokens", Member::kPromptTokens},
    MemberName{"reasoning", Member::kReasoning},
    MemberName{"reasoning_content", Member::kReasoningContent},
    MemberName{"refusal", Member::kRefusal},
    MemberName{"status", Member::kStatus},
    MemberName{"text", Member::kText},
    MemberName{"thinking", Member::kThinking},
    MemberName{"tool_calls", Member::kToolCalls},
    MemberName{"total_tokens", Member::kTotalTokens},
    MemberName{"type", Member::kType},
    MemberName{"usage", Member::kUsage},
    MemberName{"x_groq", Member::kXGroq},
};

Member find_member(std::string_view name) {
  for (const MemberName& known : kMemberNames) {
    if (known.name == name) return known.member;
  }
  return Member::kNone;
}

/// A count as sent, a fraction rounded up; absent unless it is an exact integer in JavaScript.
std::optional<std::uint64_t> parse_count(std::string_view digits) {
  constexpr double kSafeIntegerMax = 9007199254740991.0;
  double count = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || !(count >= 0) || count > kSafeIntegerMax) return std::nullopt;
  return static_cast<std::uint64_t>(std::ceil(count));
}

/// RapidJSON's SAX events, narrowed down to an OpenAiPayload. A handler returns false to stop.
class PayloadHandler {
 public:
  using Ch = char;

  OpenAiPayload payload;
  OpenAiError root_error;  // The error if the root is the error object.
  bool too_deep = false;
  bool is_array = false;  // The root is an array of objects: an error.

  void reset() {
    payload.choices.clear();
    payload.pieces.clear();
    payload.usage.reset();
    payload.error.reset();
    payload.has_surrogate_halves = false;
    payload.is_answer = false;
    root_error = {};
    root_is_error_ = false;
    too_deep = false;
    is_array = false;
    depth_ = 0;
    member_ = Member::kNone;
  }

  /// An error without the member `error`: the object itself, if nothing of an answer is in it.
  void settle(bool is_error_event) {
    if (payload.error) return;
    const bool says_so = root_is_error_ || !root_error.code.empty() ||
                         root_error.type.find("rror") != std::string_view::npos;
    const bool is_flat = !payload.is_answer && !root_error.message.empty() && says_so;
    if (is_error_event || is_flat) payload.error = root_error;
    if (payload.error) payload.is_answer = true;
  }

  bool Null() { return depth_ > 0; }
  bool Bool(bool) { return depth_ > 0; }
  bool Int(int) { return depth_ > 0; }
  bool Uint(unsigned) { return depth_ > 0; }
  bool Int64(std::int64_t) { return depth_ > 0; }
  bool Uint64(std::uint64_t) { return depth_ > 0; }
  bool Double(double) { return depth_ > 0; }

  bool Key(const char* name, rapidjson::SizeType length, bool) {
    member_ = place() == Place::kOther ? Member::kNone : find_member({name, length});
    if (place() == Place::kRoot && member_ == Member::kChoices) payload.is_answer = true;
    return true;
  }

  bool String(const char* chars, rapidjson::SizeType length, bool) {
    if (depth_ == 0) return false;
    take_string({chars, length});
    return true;
  }

  bool RawNumber(const char* chars, rapidjson::SizeType length, bool) {
    if (depth_ == 0) return false;
    take_number({chars, length});
    return true;
  }

  bool StartObject() {
    const Place entered = object_place();
    switch (entered) {
      case Place::kChoice:
        payload.choices.emplace_back();
        break;
      case Place::kUsage:
        payload.usage.emplace();
        payload.is_answer = true;
        break;
      case Place::kError:
        if (place() != Place::kErrors || !payload.error) payload.error.emplace();
        payload.is_answer = true;
        break;
      case Place::kPart:
        part_ = {};
        break;
      default:
        break;
    }
    const bool is_call = place() == Place::kCalls ||
                         (place() == Place::kDelta && member_ == Member::kFunctionCall) ||
                         (place() == Place::kMessage && member_ == Member::kFunctionCall);
    if (is_call) add_piece(PieceKind::kToolCall, "{}");
    return enter(entered);
  }

  bool StartArray() {
    const Place entered = array_place();
    if (entered == Place::kChoices) {
      payload.choices.clear();
      payload.pieces.clear();
    }
    return enter(entered);
  }

  bool EndObject(rapidjson::SizeType) {
    if (place() == Place::kPart) add_part();
    return leave();
  }
  bool EndArray(rapidjson::SizeType length) {
    const bool has_media = length > 0 && media_depth_ == depth_;
    if (media_depth_ == depth_) media_depth_ = 0;
    const bool left = leave();
    if (has_media) add_piece(PieceKind::kExtra, "[]");
    return left;
  }

 private:
  struct Part {
    std::string_view type;
    std::string_view text;
  };

  [[nodiscard]] Place place() const { return depth_ == 0 ? Place::kOther : places_[depth_ - 1]; }

  bool enter(Place entered) {
    if (depth_ == kDepthMax) {
      too_deep = true;
      return false;
    }
    places_[depth_++] = entered;
    member_ = Member::kNone;
    return true;
  }

  bool leave() {
    --depth_;
    member_ = Member::kNone;
    return true;
  }

  /// The kind of object that starts here, by the position and the member name.
  [[nodiscard]] Place object_place() const {
    if (depth_ == 0) return Place::kRoot;
    switch (place()) {
      case Place::kRoots:
        return Place::kRoot;
      case Place::kChoices:
        return Place::kChoice;
      case Place::kRoot:
        if (member_ == Member::kUsage) return Place::kUsage;
        if (member_ == Member::kXGroq) return Place::kVendor;
        return member_ == Member::kError ? Place::kError : Place::kOther;
      case Place::kVendor:
        return member_ == Member::kUsage ? Place::kUsage : Place::kOther;
      case Place::kChoice:
        if (member_ == Member::kUsage) return Place::kUsage;
        if (member_ == Member::kError) return Place::kError;
        // A whole answer carries its output under "message", a piece under "delta".
        if (member_ == Member::kMessage) return Place::kMessage;
        return member_ == Member::kDelta ? Place::kDelta : Place::kOther;
      case Place::kDelta:
      case Place::kMessage:
        return member_ == Member::kContent ? Place::kPart : Place::kOther;
      case Place::kParts:
        return Place::kPart;
      case Place::kThoughts:
        return Place::kThought;
      case Place::kErrors:
      case Place::kDetails:
        return Place::kError;
      default:
        return Place::kOther;
    }
  }

  [[nodiscard]] Place array_place() {
    if (depth_ == 0) {
      is_array = true;
      return Place::kRoots;
    }
    switch (place()) {
      case Place::kRoot:
        if (member_ == Member::kChoices) return Place::kChoices;
        if (member_ == Member::kErrors) return Place::kErrors;
        return member_ == Member::kDetail ? Place::kDetails : Place::kOther;
      case Place::kDelta:
      case Place::kMessage:
        if (member_ == Member::kContent) return Place::kParts;
        if (member_ == Member::kToolCalls) return Place::kCalls;
        if (member_ == Member::kImages) media_depth_ = depth_ + 1;
        return Place::kOther;
      case Place::kPart:
        return member_ == Member::kThinking ? Place::kThoughts : Place::kOther;
      default:
        return Place::kOther;
    }
  }

  void add_piece(PieceKind kind, std::string_view text) {
    if (text.empty() || payload.choices.empty()) return;
    const auto choice = static_cast<std::uint32_t>(payload.choices.size() - 1);
    payload.pieces.push_back(
        {.choice = choice, .is_whole = in_message(), .kind = kind, .text = text});
  }

  [[nodiscard]] bool in_message() const {
    for (std::size_t i = depth_; i > 0; --i) {
      if (places_[i - 1] == Place::kMessage) return true;
    }
    return false;
  }

  void add_part() {
    const bool is_thought = part_.type == "thinking" || part_.type == "reasoning";
    const bool is_refusal = part_.type == "refusal";
    add_piece(is_thought   ? PieceKind::kReasoning
              : is_refusal ? PieceKind::kRefusal
                           : PieceKind::kText,
              part_.text);
  }

  void take_string(std::string_view value) {
    switch (place()) {
      case Place::kDelta:
      case Place::kMessage:
        take_output(value);
        break;
      case Place::kParts:
        add_piece(PieceKind::kText, value);
        break;
      case Place::kPart:
        if (member_ == Member::kType) part_.type = value;
        if (member_ == Member::kText || member_ == Member::kRefusal) part_.text = value;
        if (member_ == Member::kThinking) add_piece(PieceKind::kReasoning, value);
        break;
      case Place::kThought:
        if (member_ == Member::kText) add_piece(PieceKind::kReasoning, value);
        break;
      case Place::kChoice:
        if (member_ == Member::kText) set_piece(PieceKind::kText, value);
        if (member_ == Member::kFinishReason) payload.choices.back().finish_reason = value;
        break;
      case Place::kError:
        take_error_member(*payload.error, value);
        break;
      case Place::kErrors:
        take_root_error(value);
        break;
      case Place::kRoot:
        if (member_ == Member::kError || member_ == Member::kDetail) take_root_error(value);
        if (member_ == Member::kObject) root_is_error_ = value == "error";
        take_error_member(root_error, value);
        break;
      default:
        break;
    }
  }

  void take_root_error(std::string_view message) {
    if (message.empty()) return;
    payload.error = OpenAiError{message, {}, {}};
    payload.is_answer = true;
  }

  void take_output(std::string_view value) {
    switch (member_) {
      case Member::kContent:
        set_piece(PieceKind::kText, value);
        break;
      case Member::kReasoning:
      case Member::kReasoningContent:
        set_piece(PieceKind::kReasoning, value);
        break;
      case Member::kRefusal:
        set_piece(PieceKind::kRefusal, value);
        break;
      default:
        break;
    }
  }

  /// In place of an earlier one of its kind in the same delta: members may be repeated, and the
  /// same text may come under two names.
  void set_piece(PieceKind kind, std::string_view text) {
    if (text.empty() || payload.choices.empty()) return;
    const auto choice = static_cast<std::uint32_t>(payload.choices.size() - 1);
    const bool is_whole = in_message();
    for (auto piece = payload.pieces.rbegin(); piece != payload.pieces.rend(); ++piece) {
      if (piece->choice != choice) break;
      if (piece->kind != kind || piece->is_whole != is_whole) continue;
      piece->text = text;
      return;
    }
    add_piece(kind, text);
  }

  void take_number(std::string_view digits) {
    switch (place()) {
      case Place::kChoice:
        if (member_ == Member::kIndex) take_index(digits);
        break;
      case Place::kUsage:
        if (member_ == Member::kPromptTokens) payload.usage->prompt_tokens = parse_count(digits);
        if (member_ == Member::kTotalTokens) payload.usage->total_tokens = parse_count(digits);
        if (member_ == Member::kCompletionTokens) {
          payload.usage->completion_tokens = parse_count(digits);
        }
        break;
      case Place::kError:
        if (member_ == Member::kCode) payload.error->code = digits;
        break;
      case Place::kRoot:
        if (member_ == Member::kCode) root_error.code = digits;
        break;
      default:
        break;
    }
  }

  void take_index(std::string_view digits) {
    double index = -1;
    std::from_chars(digits.data(), digits.data() + digits.size(), index);
    payload.choices.back().index = index;
  }

  void take_error_member(OpenAiError& error, std::string_view value) const {
    if (member_ == Member::kMessage || member_ == Member::kMsg) error.message = value;
    if (member_ == Member::kType) error.type = value;
    if (member_ == Member::kStatus && error.type.empty()) error.type = value;
    if (member_ == Member::kCode) error.code = value;
  }

  std::array<Place, kDepthMax> places_{};
  std::size_t depth_ = 0;
  std::size_t media_depth_ = 0;    // Of the array of images that the reader is in; 0: none.
  Member member_ = Member::kNone;  // The last key of the innermost object.
  Part part_;
  bool root_is_error_ = false;
};

}  // namespace

class OpenAiPayloadParser::Impl {
 public:
  PayloadHandler handler;
  rapidjson::Reader reader;
};

OpenAiPayloadParser::OpenAiPayloadParser() : impl_(std::make_unique<Impl>()) {}
OpenAiPayloadParser::~OpenAiPayloadParser() = default;

const OpenAiPayload* OpenAiPayloadParser::parse(std::string& json, bool is_error_event) {
  PayloadHandler& handler = impl_->handler;
  handler.reset();
  const bool has_surrogate_halves = unescape_lone_surrogates(json);
  rapidjson::InsituStringStream stream(json.data());
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
