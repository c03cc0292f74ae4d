#include "core/upstream/openai/payload_output.h"

#include <cmath>
#include <cstdint>

namespace sluice {

using Member = PayloadMember;

void PayloadOutput::add(PieceKind kind, std::string_view text) {
  if (text.empty() || payload_.choices.empty()) return;
  payload_.pieces.push_back({.choice = static_cast<std::uint32_t>(payload_.choices.size() - 1),
                             .is_whole = is_whole_,
                             .kind = kind,
                             .text = text});
}

void PayloadOutput::set(PieceKind kind, std::string_view text) {
  if (text.empty() || payload_.choices.empty()) return;
  const auto choice = static_cast<std::uint32_t>(payload_.choices.size() - 1);
  for (auto piece = payload_.pieces.rbegin(); piece != payload_.pieces.rend(); ++piece) {
    if (piece->choice != choice) break;
    if (piece->kind != kind || piece->is_whole != is_whole_) continue;
    piece->text = text;
    return;
  }
  add(kind, text);
}

bool PayloadOutput::take_member(Member member, std::string_view value) {
  switch (member) {
    case Member::kContent:
      set(PieceKind::kText, value);
      return true;
    case Member::kReasoning:
    case Member::kReasoningContent:
      set(PieceKind::kReasoning, value);
      return true;
    case Member::kRefusal:
      set(PieceKind::kRefusal, value);
      return true;
    default:
      return false;
  }
}

// --- parts

void PayloadOutput::take_part_member(Member member, std::string_view value) {
  if (member == Member::kType) part_.type = value;
  if (member == Member::kText || member == Member::kRefusal) part_.text = value;
  if (member == Member::kThinking) add(PieceKind::kReasoning, value);
}

void PayloadOutput::end_part() {
  const bool is_thought = part_.type == "thinking" || part_.type == "reasoning";
  const bool is_refusal = part_.type == "refusal";
  add(is_thought   ? PieceKind::kReasoning
      : is_refusal ? PieceKind::kRefusal
                   : PieceKind::kText,
      part_.text);
}

// --- tool calls

void PayloadOutput::begin_call() {
  if (payload_.choices.empty()) return;
  payload_.pieces.push_back({.choice = static_cast<std::uint32_t>(payload_.choices.size() - 1),
                             .call = static_cast<std::uint32_t>(payload_.calls.size()),
                             .is_whole = is_whole_,
                             .kind = PieceKind::kToolCall,
                             .text = {}});
  payload_.calls.emplace_back();
}

void PayloadOutput::take_call_member(Member member, std::string_view value) {
  if (!has_call()) return;
  OpenAiCall& call = payload_.calls.back();
  switch (member) {
    case Member::kId:
      call.id = value;
      break;
    case Member::kName:
      call.name = value;
      break;
    case Member::kArguments:
    case Member::kInput:  // of a custom tool
      call.arguments = value;
      call.arguments_are_json = false;
      break;
    default:
      break;
  }
}

void PayloadOutput::take_call_index(double index) {
  constexpr double kIndexMax = 1e6;
  const bool fits = index >= 0 && index <= kIndexMax && std::trunc(index) == index;
  if (fits && has_call()) payload_.calls.back().index = static_cast<std::uint32_t>(index);
}

void PayloadOutput::take_json_arguments(std::string_view json) {
  if (!has_call()) return;
  payload_.calls.back().arguments = json;
  payload_.calls.back().arguments_are_json = true;
}

}  // namespace sluice
