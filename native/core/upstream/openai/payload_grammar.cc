#include "core/upstream/openai/payload_grammar.h"

#include "core/base/name_table.h"

namespace sluice {
namespace {

using Place = PayloadPlace;
using Member = PayloadMember;
using Named = NamedValue<Member>;

constexpr NameTable kMembers(std::array{
    Named{"arguments", Member::kArguments},
    Named{"choices", Member::kChoices},
    Named{"code", Member::kCode},
    Named{"completion_tokens", Member::kCompletionTokens},
    Named{"content", Member::kContent},
    Named{"custom", Member::kCustom},
    Named{"delta", Member::kDelta},
    Named{"detail", Member::kDetail},
    Named{"error", Member::kError},
    Named{"errors", Member::kErrors},
    Named{"estimated", Member::kEstimated},
    Named{"finish_reason", Member::kFinishReason},
    Named{"function", Member::kFunction},
    Named{"function_call", Member::kFunctionCall},
    Named{"id", Member::kId},
    Named{"index", Member::kIndex},
    Named{"input", Member::kInput},
    Named{"logprobs", Member::kLogprobs},
    Named{"message", Member::kMessage},
    Named{"model", Member::kModel},
    Named{"msg", Member::kMsg},
    Named{"name", Member::kName},
    Named{"object", Member::kObject},
    Named{"prompt_tokens", Member::kPromptTokens},
    Named{"reasoning", Member::kReasoning},
    Named{"reasoning_content", Member::kReasoningContent},
    Named{"refusal", Member::kRefusal},
    Named{"role", Member::kRole},
    Named{"service_tier", Member::kServiceTier},
    Named{"status", Member::kStatus},
    Named{"system_fingerprint", Member::kSystemFingerprint},
    Named{"text", Member::kText},
    Named{"thinking", Member::kThinking},
    Named{"tool_calls", Member::kToolCalls},
    Named{"total_tokens", Member::kTotalTokens},
    Named{"type", Member::kType},
    Named{"usage", Member::kUsage},
    Named{"x_groq", Member::kXGroq},
});

Place object_in_root(Member member) {
  if (member == Member::kUsage) return Place::kUsage;
  if (member == Member::kXGroq) return Place::kVendor;
  return member == Member::kError ? Place::kError : Place::kOther;
}

Place object_in_choice(Member member) {
  switch (member) {
    // A whole answer carries its output under "message", a piece under "delta".
    case Member::kDelta:
      return Place::kDelta;
    case Member::kMessage:
      return Place::kMessage;
    case Member::kLogprobs:
      return Place::kLogprobs;
    case Member::kUsage:
      return Place::kUsage;
    case Member::kError:
      return Place::kError;
    default:
      return Place::kOther;
  }
}

Place object_in_output(Member member) {
  if (member == Member::kContent) return Place::kPart;
  if (member == Member::kToolCalls) return Place::kCall;
  return member == Member::kFunctionCall ? Place::kFunction : Place::kOther;
}

}  // namespace

PayloadMember payload_member(std::string_view name) {
  return kMembers.find(name, Member::kNone);
}

PayloadPlace object_place(PayloadPlace place, PayloadMember member) {
  switch (place) {
    case Place::kOutside:
    case Place::kRoots:
      return Place::kRoot;
    case Place::kRoot:
      return object_in_root(member);
    case Place::kVendor:
      return member == Member::kUsage ? Place::kUsage : Place::kOther;
    case Place::kChoices:
      return Place::kChoice;
    case Place::kChoice:
      return object_in_choice(member);
    case Place::kDelta:
    case Place::kMessage:
      return object_in_output(member);
    case Place::kParts:
      return Place::kPart;
    case Place::kThoughts:
      return Place::kThought;
    case Place::kCalls:
      return Place::kCall;
    case Place::kCall:
      return member == Member::kFunction || member == Member::kCustom ? Place::kFunction
                                                                      : Place::kOther;
    case Place::kErrors:
    case Place::kDetails:
      return Place::kError;
    default:
      return Place::kOther;
  }
}

PayloadPlace array_place(PayloadPlace place, PayloadMember member) {
  switch (place) {
    case Place::kOutside:
      return Place::kRoots;
    case Place::kRoot:
      if (member == Member::kChoices) return Place::kChoices;
      if (member == Member::kErrors) return Place::kErrors;
      return member == Member::kDetail ? Place::kDetails : Place::kOther;
    case Place::kDelta:
    case Place::kMessage:
      if (member == Member::kContent) return Place::kParts;
      return member == Member::kToolCalls ? Place::kCalls : Place::kOther;
    case Place::kPart:
      return member == Member::kThinking ? Place::kThoughts : Place::kOther;
    default:
      return Place::kOther;
  }
}

bool is_known_output(PayloadMember member) {
  switch (member) {
    case Member::kContent:
    case Member::kFunctionCall:
    case Member::kReasoning:
    case Member::kReasoningContent:
    case Member::kRefusal:
    case Member::kRole:
    case Member::kToolCalls:
      return true;
    default:
      return false;
  }
}

}  // namespace sluice
