// The objects and members of OpenAI-style payloads that matter. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// The position of a reader in a payload.
enum class PayloadPlace : std::uint8_t {
  kOutside,  // of the payload
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
  kCall,
  kFunction,  // of a call
  kLogprobs,
  kUsage,
  kVendor,  // an object that has a `usage` of its own
  kError,
  kErrors,   // an array of them
  kDetails,  // the same, of FastAPI
  kOther,
};

/// The members that matter, in any object.
enum class PayloadMember : std::uint8_t {
  kNone,
  kArguments,
  kChoices,
  kCode,
  kCompletionTokens,
  kContent,
  kCustom,
  kDelta,
  kDetail,
  kError,
  kErrors,
  kEstimated,
  kFinishReason,
  kFunction,
  kFunctionCall,
  kId,
  kIndex,
  kInput,
  kLogprobs,
  kMessage,
  kModel,
  kMsg,
  kName,
  kObject,
  kPromptTokens,
  kReasoning,
  kReasoningContent,
  kRefusal,
  kRole,
  kServiceTier,
  kStatus,
  kSystemFingerprint,
  kText,
  kThinking,
  kToolCalls,
  kTotalTokens,
  kType,
  kUsage,
  kXGroq,
};

PayloadMember payload_member(std::string_view name);

/// The kind of an object that is the value of `member` in `place`, or an element there.
PayloadPlace object_place(PayloadPlace place, PayloadMember member);

/// Likewise of an array.
PayloadPlace array_place(PayloadPlace place, PayloadMember member);

/// Whether a delta or message may have the member without its being an extra.
bool is_known_output(PayloadMember member);

}  // namespace sluice
