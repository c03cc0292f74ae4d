// A payload as text, for comparisons.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/upstream/openai/payload.h"

namespace sluice {

/// Everything of `payload` but its head fields.
inline std::string payload_text(const OpenAiPayload& payload) {
  std::string all;
  const auto add = [&all](std::string_view part) { all.append(part).append(1, '\n'); };
  const auto count = [&add](const std::optional<std::uint64_t>& value) {
    add(value ? std::to_string(*value) : "none");
  };
  for (const OpenAiChoice& choice : payload.choices) {
    add("choice " + std::to_string(choice.index));
    add(choice.finish_reason);
    add(choice.logprobs);
    add(std::to_string(choice.logprobs_have_tokens) + std::to_string(choice.has_delta));
  }
  for (const OpenAiPiece& piece : payload.pieces) {
    add("piece " + std::to_string(piece.choice) + ' ' + std::to_string(piece.call) + ' ' +
        std::to_string(piece.is_whole) + ' ' + std::to_string(static_cast<int>(piece.kind)));
    add(piece.text);
  }
  for (const OpenAiCall& call : payload.calls) {
    add("call " + (call.index ? std::to_string(*call.index) : "none"));
    add(call.id);
    add(call.name);
    add(call.arguments);
    add(std::to_string(call.arguments_are_json));
  }
  if (payload.usage) {
    add("usage " + std::to_string(payload.usage->is_estimated));
    count(payload.usage->prompt_tokens);
    count(payload.usage->completion_tokens);
    count(payload.usage->total_tokens);
  }
  for (const std::string_view member : payload.usage_members) add(member);
  if (payload.error) {
    add("error");
    add(payload.error->message);
    add(payload.error->type);
    add(payload.error->code);
  }
  add(std::to_string(payload.has_surrogate_halves) + std::to_string(payload.is_answer));
  return all;
}

/// The head fields of `payload`.
inline std::string payload_head(const OpenAiPayload& payload) {
  std::string head(payload.model);
  return head.append(1, '\n')
      .append(payload.system_fingerprint)
      .append(1, '\n')
      .append(payload.service_tier);
}

/// Parses one payload after the other with `kept`, and each with a parser of its own. Returns the
/// first difference; empty: there is none.
class PayloadComparison {
 public:
  std::string difference_at(std::string_view json, bool is_error_event) {
    std::string first(json);
    std::string second(json);
    OpenAiPayloadParser fresh;
    // As text, because a payload is valid until the next parse of any parser.
    const Shown got = Shown::of(kept_.parse(first, is_error_event));
    const Shown expected = Shown::of(fresh.parse(second, is_error_event));
    if (got.is_valid != expected.is_valid) return "one of them takes " + std::string(json);
    if (!got.is_valid) {
      return kept_.problem() == fresh.problem() ? "" : "other problems of " + std::string(json);
    }
    if (got.text != expected.text) return "other content of " + std::string(json);
    const std::string& head = expected.head;
    // A payload that is not parsed has the head fields of the previous one, and does not repeat
    // them.
    const bool is_repeated = got.head == "\n\n" && head == last_head_;
    if (got.head != head && !is_repeated) return "other head of " + std::string(json);
    last_head_ = head;
    return {};
  }

 private:
  struct Shown {
    bool is_valid;
    std::string text;
    std::string head;

    static Shown of(const OpenAiPayload* payload) {
      if (payload == nullptr) return {.is_valid = false, .text = {}, .head = {}};
      return {.is_valid = true, .text = payload_text(*payload), .head = payload_head(*payload)};
    }
  };

  OpenAiPayloadParser kept_;
  std::string last_head_;
};

}  // namespace sluice
