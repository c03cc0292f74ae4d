// Parses one JSON payload of an OpenAI-style stream into the few fields that the decoder needs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Token counts of the upstream. Missing or invalid ones are absent.
struct TokenUsage {
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> completion_tokens;
  std::optional<std::uint64_t> total_tokens;
};

/// The error object of a stream; missing fields are empty.
struct OpenAiError {
  std::string_view message = {};
  std::string_view type = {};
  std::string_view code = {};  ///< A number as its digits.
};

/// The kind of a piece of output. For tool calls and extras only the presence is reported.
enum class PieceKind : std::uint8_t { kReasoning, kText, kRefusal, kToolCall, kExtra };

/// A piece of one choice's output.
struct OpenAiPiece {
  std::uint32_t choice = 0;  ///< Index in `choices`.
  bool is_whole = false;     ///< From a `message`: the whole output, not a delta.
  PieceKind kind = PieceKind::kText;
  std::string_view text;
};

/// One entry of `choices`.
struct OpenAiChoice {
  double index = 0;                ///< As sent; any number, so validate it.
  std::string_view finish_reason;  ///< As sent; empty if absent.
};

/// Views into the parsed payload, valid while it exists unchanged.
struct OpenAiPayload {
  std::vector<OpenAiChoice> choices;
  std::vector<OpenAiPiece> pieces;  ///< Of one choice in the order of PieceKind.
  std::optional<TokenUsage> usage;
  std::optional<OpenAiError> error;
  /// Text may hold UTF-16 surrogate halves in their three-byte form: decode it with
  /// Utf8Decoder::Surrogates::kJoin.
  bool has_surrogate_halves = false;
  /// The payload has a member of a response (`choices`, counts, an error).
  bool is_answer = false;
};

/// Reads chat chunks (`choices[].delta`), completions (`choices[].text`) and whole chat answers
/// (`choices[].message`); `content` may be text, null, or an array of parts. Errors are found as
/// `error` (an object or text, at the root, in a choice, or in an array of objects), as a flat
/// object with `message`, as `detail`, and as `errors`. Unknown members are skipped, members of an
/// unexpected type count as absent; the last of repeated members counts. One thread at a time; the
/// parser keeps its buffers between payloads.
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
