#include "core/upstream/openai/finish_reason.h"

#include <array>

#include "core/base/ascii.h"

namespace sluice {
namespace {

struct KnownReason {
  std::string_view raw;
  FinishReason reason;
};

constexpr std::array kKnownReasons = {
    KnownReason{"stop", FinishReason::kStop},
    KnownReason{"eos", FinishReason::kStop},
    KnownReason{"eos_token", FinishReason::kStop},
    KnownReason{"end_turn", FinishReason::kStop},
    KnownReason{"stop_sequence", FinishReason::kStop},
    KnownReason{"length", FinishReason::kLength},
    KnownReason{"max_tokens", FinishReason::kLength},
    KnownReason{"model_length", FinishReason::kLength},
    KnownReason{"tool_calls", FinishReason::kToolCalls},
    KnownReason{"tool_use", FinishReason::kToolCalls},
    KnownReason{"function_call", FinishReason::kToolCalls},
    KnownReason{"content_filter", FinishReason::kContentFilter},
    KnownReason{"safety", FinishReason::kContentFilter},
    KnownReason{"refusal", FinishReason::kContentFilter},
};

}  // namespace

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kContentFilter:
      return "content_filter";
    case FinishReason::kFailed:
      break;
  }
  return {};
}

FinishReason classify_finish_reason(std::string_view raw) {
  for (const KnownReason& known : kKnownReasons) {
    if (equals_ignoring_case(raw, known.raw)) return known.reason;
  }
  return FinishReason::kFailed;
}

bool is_null_reason(std::string_view raw) {
  return equals_ignoring_case(raw, "null");
}

}  // namespace sluice
