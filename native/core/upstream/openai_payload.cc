#include "core/upstream/openai_payload.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <array>
#include <charconv>

#include "core/base/surrogate_escapes.h"

namespace sluice {
namespace {

// Deeper than any honest payload; a hostile one is refused before it costs memory.
constexpr std::size_t kDepthMax = 64;

// Iterative: nesting must not use up the thread's stack. Numbers as strings: each is looked at
// where it matters only.
constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

/// Where in the payload the reader is.
enum class Place : std::uint8_t { kRoot, kChoices, kChoice, kDelta, kUsage, kError, kOther };

/// The members that matter, whatever object they are in.
enum class Member : std::uint8_t {
  kNone,
  kChoices,
  kCode,
  kCompletionTokens,
  kContent,
  kDelta,
  kError,
  kFinishReason,
  kIndex,
  kMessage,
  kPromptTokens,
  kText,
  kType,
  kUsage,
};

struct MemberName {
  std::string_view name;
  Member member;
};

constexpr std::array kMemberNames = {
    MemberName{"choices", Member::kChoices},
    MemberName{"code", Member::kCode},
    MemberName{"completion_tokens", Member::kCompletionTokens},
    MemberName{"content", Member::kContent},
    MemberName{"delta", Member::kDelta},
    MemberName{"error", Member::kError},
    MemberName{"finish_reason", Member::kFinishReason},
    MemberName{"index", Member::kIndex},
    MemberName{"message", Member::kMessage},
    MemberName{"prompt_tokens", Member::kPromptTokens},
    MemberName{"text", Member::kText},
    MemberName{"type", Member::kType},
    MemberName{"usage", Member::kUsage},
};

Member find_member(std::string_view name) {
  for (const MemberName& known : kMemberNames) {
    if (known.name == name) return known.member;
  }
  return Member::kNone;
}

/// A count as sent, or zero if it is no whole number that JavaScript could hold.
std::uint64_t parse_count(std::string_view digits) {
  constexpr std::uint64_t kSafeIntegerMax = (std::uint64_t{1} << 53) - 1;
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && count <= kSafeIntegerMax ? count : 0;
}

/// RapidJSON's SAX events, narrowed down to an OpenAiPayload. A handler returns false to stop.
class PayloadHandler {
 public:
  using Ch = char;

  OpenAiPayload payload;
  OpenAiError root_error;  // What the root would say, were it the error object itself.
  bool too_deep = false;

  void reset() {
    payload.choices.clear();
    payload.usage.reset();
    payload.error.reset();
    payload.has_surrogate_halves = false;
    root_error = {};
    too_deep = false;
    depth_ = 0;
    member_ = Member::kNone;
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
    if (entered == Place::kChoice) payload.choices.emplace_back();
    if (entered == Place::kUsage) payload.usage.emplace();
    if (entered == Place::kError) payload.error.emplace();
    return enter(entered);
  }

  bool StartArray() {
    if (depth_ == 0) return false;
    const bool is_choices = place() == Place::kRoot && member_ == Member::kChoices;
    if (is_choices) payload.choices.clear();
    return enter(is_choices ? Place::kChoices : Place::kOther);
  }

  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool EndArray(rapidjson::SizeType) { return leave(); }

 private:
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

  /// Which object starts here, by where we are and under which name.
  [[nodiscard]] Place object_place() const {
    if (depth_ == 0) return Place::kRoot;
    switch (place()) {
      case Place::kChoices:
        return Place::kChoice;
      case Place::kRoot:
        if (member_ == Member::kUsage) return Place::kUsage;
        return member_ == Member::kError ? Place::kError : Place::kOther;
      case Place::kChoice:
        // A whole answer carries its text under "message", a piece under "delta".
        return member_ == Member::kDelta || member_ == Member::kMessage ? Place::kDelta
                                                                        : Place::kOther;
      default:
        return Place::kOther;
    }
  }

  void take_string(std::string_view value) {
    switch (place()) {
      case Place::kDelta:
        if (member_ == Member::kContent) payload.choices.back().text = value;
        break;
      case Place::kChoice:
        if (member_ == Member::kText) payload.choices.back().text = value;
        if (member_ == Member::kFinishReason) payload.choices.back().finish_reason = value;
        break;
      case Place::kError:
        take_error_member(*payload.error, value);
        break;
      case Place::kRoot:
        if (member_ == Member::kError) payload.error = OpenAiError{value, {}, {}};
        take_error_member(root_error, value);
        break;
      default:
        break;
    }
  }

  void take_number(std::string_view digits) {
    switch (place()) {
      case Place::kChoice:
        if (member_ == Member::kIndex) take_index(digits);
        break;
      case Place::kUsage:
        if (member_ == Member::kPromptTokens) payload.usage->prompt_tokens = parse_count(digits);
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
    if (member_ == Member::kMessage) error.message = value;
    if (member_ == Member::kType) error.type = value;
    if (member_ == Member::kCode) error.code = value;
  }

  std::array<Place, kDepthMax> places_{};
  std::size_t depth_ = 0;
  Member member_ = Member::kNone;  // The last key of the innermost object.
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
  if (is_error_event && !handler.payload.error) handler.payload.error = handler.root_error;
  return &handler.payload;
}

}  // namespace sluice
