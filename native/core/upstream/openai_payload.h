// One JSON payload of an OpenAI-style stream, reduced to the few fields that matter here.
//
// A parser belongs to one decoder and is used by one thread at a time; it keeps its buffers from
// payload to payload. RapidJSON stays behind this header.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What the model's server says it has counted.
struct TokenUsage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// The error object of a stream; each field is empty where the upstream left it out.
struct OpenAiError {
  std::string_view message;
  std::string_view type;
  std::string_view code;  ///< Numbers come as their digits.
};

/// One entry of `choices`.
struct OpenAiChoice {
  double index = 0;  ///< As sent: any number at all, so check it.
  std::string_view text;
  std::string_view finish_reason;  ///< Empty while the choice goes on.
};

/// Views into the parsed payload: valid while that lives unchanged.
struct OpenAiPayload {
  std::vector<OpenAiChoice> choices;
  std::optional<TokenUsage> usage;
  std::optional<OpenAiError> error;
  /// Text may hold UTF-16 surrogate halves in their three-byte form: decode it with
  /// Utf8Decoder::Surrogates::kJoin.
  bool has_surrogate_halves = false;
};

/// Reads chat chunks (`choices[].delta.content`), completions (`choices[].text`) and whole chat
/// answers (`choices[].message.content`). Unknown members are skipped, members of an unexpected
/// type count as absent; of a repeated member the last one counts.
class OpenAiPayloadParser {
 public:
  OpenAiPayloadParser();
  ~OpenAiPayloadParser();

  /// Parses `json` in place, which destroys its content. Null if it is malformed, see `problem`;
  /// else the payload, valid until the next call and as long as `json`.
  /// `is_error_event` says that the event was named `error`: the root is then the error object
  /// itself unless it has an `error` member.
  const OpenAiPayload* parse(std::string& json, bool is_error_event);

  /// Why the last `parse` failed: a short phrase without any of the payload's content.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  std::string problem_;
};

}  // namespace sluice
