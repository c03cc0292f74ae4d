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

/// Token counts of the upstream. What it left out, or sent as something else than a count, is
/// absent.
struct TokenUsage {
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> completion_tokens;
  std::optional<std::uint64_t> total_tokens;
};

/// The error object of a stream; each field is empty where the upstream left it out.
struct OpenAiError {
  std::string_view message = {};
  std::string_view type = {};
  std::string_view code = {};  ///< Numbers come as their digits.
};

/// What a piece of a choice is. Of calls and extras only the presence is told so far.
enum class PieceKind : std::uint8_t { kReasoning, kText, kRefusal, kToolCall, kExtra };

/// A piece of one choice's output.
struct OpenAiPiece {
  std::uint32_t choice = 0;  ///< Its place in `choices`.
  bool is_whole = false;     ///< Of a `message`: the whole of it, not what was added.
  PieceKind kind = PieceKind::kText;
  std::string_view text;
};

/// One entry of `choices`.
struct OpenAiChoice {
  double index = 0;                ///< As sent: any number at all, so check it.
  std::string_view finish_reason;  ///< As sent; empty where there is none.
};

/// Views into the parsed payload: valid while that lives unchanged.
struct OpenAiPayload {
  std::vector<OpenAiChoice> choices;
  std::vector<OpenAiPiece> pieces;  ///< Of one choice in the order of PieceKind.
  std::optional<TokenUsage> usage;
  std::optional<OpenAiError> error;
  /// Text may hold UTF-16 surrogate halves in their three-byte form: decode it with
  /// Utf8Decoder::Surrogates::kJoin.
  bool has_surrogate_halves = false;
  /// It has a member that belongs to an answer (`choices`, counts, an error).
  bool is_answer = false;
};

/// Reads chat chunks (`choices[].delta`), completions (`choices[].text`) and whole chat answers
/// (`choices[].message`); `content` may be text, null, or an array of parts. Errors are found as
/// `error` (an object or text, at the root, in a choice, or in an array of objects), as a flat
/// object with `message`, as `detail`, and as `errors`. Unknown members are skipped, members of an
/// unexpected type count as absent; of a repeated member the last one counts.
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
