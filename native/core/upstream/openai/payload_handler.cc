#include "core/upstream/openai/payload_handler.h"

#include <charconv>
#include <cmath>

#include "core/upstream/openai/raw_json.h"

namespace sluice {
namespace {

/// A count as sent, a fraction rounded up; absent unless it is an exact integer in JavaScript.
std::optional<std::uint64_t> parse_count(std::string_view digits) {
  constexpr double kSafeIntegerMax = 9007199254740991.0;
  double count = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || !(count >= 0) || count > kSafeIntegerMax) return std::nullopt;
  return static_cast<std::uint64_t>(std::ceil(count));
}

bool is_output(PayloadPlace place) {
  return place == PayloadPlace::kDelta || place == PayloadPlace::kMessage;
}

/// Whether a member of a usage object is one of TokenUsage.
bool is_count(PayloadMember member) {
  return member == PayloadMember::kPromptTokens || member == PayloadMember::kCompletionTokens ||
         member == PayloadMember::kTotalTokens || member == PayloadMember::kEstimated;
}

}  // namespace

void PayloadHandler::begin(std::string_view json, std::string_view raw,
                           rapidjson::InsituStringStream& stream) {
  clear();
  json_ = json.data();
  raw_ = raw;
  stream_ = &stream;
  too_deep = false;
  is_array = false;
  depth_ = 0;
  member_ = Member::kNone;
  capture_ = {};
  root_error_ = {};
  root_is_error_ = false;
}

void PayloadHandler::clear() {
  payload.choices.clear();
  payload.pieces.clear();
  payload.calls.clear();
  payload.usage.reset();
  payload.usage_members.clear();
  payload.error.reset();
  payload.model = {};
  payload.system_fingerprint = {};
  payload.service_tier = {};
  payload.has_surrogate_halves = false;
  payload.is_answer = false;
}

void PayloadHandler::settle(bool is_error_event) {
  if (payload.error) return;
  const bool says_so = root_is_error_ || !root_error_.code.empty() ||
                       root_error_.type.find("rror") != std::string_view::npos;
  const bool is_flat = !payload.is_answer && !root_error_.message.empty() && says_so;
  if (is_error_event || is_flat) payload.error = root_error_;
  if (payload.error) payload.is_answer = true;
}

// --- events

bool PayloadHandler::Key(const char* name, rapidjson::SizeType length, bool) {
  const Place here = place();
  if (here == Place::kOther || here == Place::kLogprobs) {
    member_ = Member::kNone;
    return true;
  }
  member_ = payload_member({name, length});
  member_at_ = static_cast<std::size_t>(name - json_) - 1;
  if (here == Place::kRoot && member_ == Member::kChoices) payload.is_answer = true;
  return true;
}

bool PayloadHandler::Null() {
  if (place() == Place::kUsage) take_scalar();
  return depth_ > 0;
}

bool PayloadHandler::Bool(bool value) {
  if (depth_ == 0) return false;
  if (place() == Place::kUsage && member_ == Member::kEstimated) usage_.is_estimated = value;
  take_scalar();
  if (is_arguments()) output_.take_json_arguments(value ? "true" : "false");
  return true;
}

bool PayloadHandler::RawNumber(const char* chars, rapidjson::SizeType length, bool) {
  if (depth_ == 0) return false;
  take_number({chars, length});
  take_scalar();
  if (is_arguments()) output_.take_json_arguments({chars, length});
  return true;
}

bool PayloadHandler::String(const char* chars, rapidjson::SizeType length, bool) {
  if (depth_ == 0) return false;
  take_string({chars, length});
  return true;
}

bool PayloadHandler::StartObject() {
  const Place here = place();
  const Place entered = object_place(here, member_);
  switch (entered) {
    case Place::kChoice:
      payload.choices.emplace_back();
      break;
    case Place::kDelta:
    case Place::kMessage:
      payload.choices.back().has_delta = true;
      output_.begin(entered == Place::kMessage);
      break;
    case Place::kUsage:
      usage_ = {};
      usage_members_.clear();
      payload.is_answer = true;
      break;
    case Place::kError:
      if (here != Place::kErrors || !payload.error) payload.error.emplace();
      payload.is_answer = true;
      break;
    case Place::kPart:
      output_.begin_part();
      break;
    case Place::kCall:
      output_.begin_call();
      break;
    case Place::kFunction:
      if (is_output(here)) output_.begin_call();
      break;
    default:
      break;
  }
  if (entered == Place::kOther || entered == Place::kLogprobs) begin_capture();
  return enter(entered);
}

bool PayloadHandler::StartArray() {
  const Place entered = array_place(place(), member_);
  if (entered == Place::kRoots) is_array = true;
  if (entered == Place::kChoices) {
    payload.choices.clear();
    payload.pieces.clear();
    payload.calls.clear();
  }
  if (entered == Place::kOther) begin_capture();
  return enter(entered);
}

bool PayloadHandler::EndObject(rapidjson::SizeType members) {
  if (place() == Place::kPart) output_.end_part();
  if (place() == Place::kUsage && usage_.has_counts()) {
    payload.usage = usage_;
    payload.usage_members.swap(usage_members_);
  }
  leave();
  if (capture_.of != Capture::Of::kNothing && capture_.depth == depth_) end_capture(members == 0);
  return true;
}

bool PayloadHandler::EndArray(rapidjson::SizeType elements) {
  leave();
  if (capture_.of == Capture::Of::kNothing) return true;
  if (place() == Place::kLogprobs && elements > 0) {
    payload.choices.back().logprobs_have_tokens = true;
  }
  if (capture_.depth == depth_) end_capture(elements == 0);
  return true;
}

// --- position

bool PayloadHandler::enter(Place entered) {
  if (depth_ == kDepthMax) {
    too_deep = true;
    return false;
  }
  places_[depth_++] = entered;
  member_ = Member::kNone;
  return true;
}

bool PayloadHandler::leave() {
  --depth_;
  member_ = Member::kNone;
  return true;
}

bool PayloadHandler::is_arguments() const {
  const bool in_call = place() == Place::kCall || place() == Place::kFunction;
  return in_call && member_ == Member::kArguments;
}

// --- raw JSON

std::string_view PayloadHandler::raw_span(std::size_t from, std::size_t end) const {
  return raw_.substr(from, end - from);
}

/// An object or array begins whose members have no meaning here; its raw JSON may have one.
void PayloadHandler::begin_capture() {
  using Of = Capture::Of;
  const Place here = place();
  std::size_t from = stream_->Tell();
  Of of = Of::kNothing;
  if (is_output(here) && !is_known_output(member_)) {
    of = Of::kExtra;
    from = member_at_;
  } else if (here == Place::kUsage && !is_count(member_)) {
    of = Of::kUsageMember;
    from = member_at_;
  } else if (here == Place::kChoice && member_ == Member::kLogprobs) {
    of = Of::kLogprobs;
  } else if (is_arguments()) {
    of = Of::kArguments;
  }
  if (of != Of::kNothing) capture_ = {.of = of, .depth = depth_, .from = from};
}

void PayloadHandler::end_capture(bool is_empty) {
  const std::string_view span = raw_span(capture_.from, stream_->Tell() + 1);
  switch (capture_.of) {
    case Capture::Of::kArguments:
      output_.take_json_arguments(span);
      break;
    case Capture::Of::kExtra:
      if (!is_empty) output_.add(PieceKind::kExtra, span);
      break;
    case Capture::Of::kLogprobs:
      payload.choices.back().logprobs = span;
      break;
    case Capture::Of::kUsageMember:
      usage_members_.push_back(span);
      break;
    case Capture::Of::kNothing:
      break;
  }
  capture_ = {};
}

/// A value that is no object or array, where its raw JSON has a meaning.
void PayloadHandler::take_scalar() {
  const Place here = place();
  if (is_output(here) && !is_known_output(member_)) {
    output_.add(PieceKind::kExtra, raw_span(member_at_, scalar_member_end(raw_, member_at_)));
  } else if (here == Place::kUsage && !is_count(member_)) {
    usage_members_.push_back(raw_span(member_at_, scalar_member_end(raw_, member_at_)));
  }
}

// --- members

void PayloadHandler::take_string(std::string_view value) {
  switch (place()) {
    case Place::kDelta:
    case Place::kMessage:
      if (!output_.take_member(member_, value) && !value.empty()) take_scalar();
      break;
    case Place::kParts:
      output_.add(PieceKind::kText, value);
      break;
    case Place::kPart:
      output_.take_part_member(member_, value);
      break;
    case Place::kThought:
      if (member_ == Member::kText) output_.add(PieceKind::kReasoning, value);
      break;
    case Place::kCall:
      output_.take_call_member(member_, value);
      break;
    case Place::kFunction:
      if (member_ != Member::kId) output_.take_call_member(member_, value);
      break;
    case Place::kChoice:
      take_choice_member(value);
      break;
    case Place::kUsage:
      take_scalar();
      break;
    case Place::kError:
      take_error_member(*payload.error, value);
      break;
    case Place::kErrors:
      take_root_error(value);
      break;
    case Place::kRoot:
      take_root_member(value);
      break;
    default:
      break;
  }
}

void PayloadHandler::take_choice_member(std::string_view value) {
  if (member_ == Member::kText) {
    payload.choices.back().has_delta = true;
    output_.begin(false);
    output_.set(PieceKind::kText, value);
  }
  if (member_ == Member::kFinishReason) payload.choices.back().finish_reason = value;
}

// --- the answer as a whole

void PayloadHandler::take_root_member(std::string_view value) {
  switch (member_) {
    case Member::kError:
    case Member::kDetail:
      take_root_error(value);
      break;
    case Member::kObject:
      root_is_error_ = value == "error";
      break;
    case Member::kModel:
      payload.model = value;
      break;
    case Member::kSystemFingerprint:
      payload.system_fingerprint = value;
      break;
    case Member::kServiceTier:
      payload.service_tier = value;
      break;
    default:
      take_error_member(root_error_, value);
      break;
  }
}

void PayloadHandler::take_root_error(std::string_view message) {
  if (message.empty()) return;
  payload.error = OpenAiError{message, {}, {}};
  payload.is_answer = true;
}

void PayloadHandler::take_error_member(OpenAiError& error, std::string_view value) const {
  if (member_ == Member::kMessage || member_ == Member::kMsg) error.message = value;
  if (member_ == Member::kType) error.type = value;
  if (member_ == Member::kStatus && error.type.empty()) error.type = value;
  if (member_ == Member::kCode) error.code = value;
}

void PayloadHandler::take_number(std::string_view digits) {
  switch (place()) {
    case Place::kChoice:
      if (member_ == Member::kIndex) take_index(digits);
      break;
    case Place::kCall:
      if (member_ == Member::kIndex) take_index(digits);
      if (member_ == Member::kId) output_.take_call_member(member_, digits);
      break;
    case Place::kUsage:
      take_count(digits);
      break;
    case Place::kError:
      if (member_ == Member::kCode) payload.error->code = digits;
      break;
    case Place::kRoot:
      if (member_ == Member::kCode) root_error_.code = digits;
      break;
    default:
      break;
  }
}

void PayloadHandler::take_count(std::string_view digits) {
  if (member_ == Member::kPromptTokens) usage_.prompt_tokens = parse_count(digits);
  if (member_ == Member::kCompletionTokens) usage_.completion_tokens = parse_count(digits);
  if (member_ == Member::kTotalTokens) usage_.total_tokens = parse_count(digits);
}

void PayloadHandler::take_index(std::string_view digits) {
  double index = -1;
  std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (place() == Place::kChoice) {
    payload.choices.back().index = index;
  } else {
    output_.take_call_index(index);
  }
}

}  // namespace sluice
