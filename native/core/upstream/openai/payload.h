// Parses one JSON payload of an OpenAI-style stream into the few fields that the decoder needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Token counts of the upstream. Missing or invalid ones are absent.
struct TokenUsage {
  std::optional<std::uint64_t> prompt_tokens = {};
  std::optional<std::uint64_t> completion_tokens = {};
  std::optional<std::uint64_t> total_tokens = {};
  bool is_estimated = false;  ///< The upstream says that it has counted itself.

  [[nodiscard]] bool has_counts() const {
    return prompt_tokens || completion_tokens || total_tokens;
  }
};

/// The error object of a stream; missing fields are empty.
struct OpenAiError {
  std::string_view message = {};
  std::string_view type = {};
  std::string_view code = {};  ///< A number as its digits.
};

/// The kind of a piece of output.
enum class PieceKind : std::uint8_t { kReasoning, kText, kRefusal, kToolCall, kExtra };

/// A piece of one choice's output.
struct OpenAiPiece {
  std::uint32_t choice = 0;  ///< Place in `choices`.
  std::uint32_t call = 0;    ///< Of kToolCall: place in `calls`.
  bool is_whole = false;     ///< From a `message`: the whole output, not a delta.
  PieceKind kind = PieceKind::kText;
  /// The text. Of kExtra one member of the delta as raw JSON, name and value. Of kToolCall unused.
  std::string_view text;
};

/// A piece of a tool call; missing fields are empty.
struct OpenAiCall {
  std::optional<std::uint32_t> index = {};
  std::string_view id = {};
  std::string_view name = {};
  std::string_view arguments = {};
  bool arguments_are_json = false;  ///< `arguments` is raw JSON: it came as no string.
};

/// One entry of `choices`.
struct OpenAiChoice {
  double index = 0;                   ///< As sent; any number, so validate it.
  std::string_view finish_reason;     ///< As sent; empty if absent.
  std::string_view logprobs;          ///< Raw JSON; empty if absent or null.
  bool logprobs_have_tokens = false;  ///< An array of them is not empty.
  bool has_delta = false;             ///< Has `delta`, `message` or `text`, empty ones included.
};

/// Views into the parsed payload, valid while it exists unchanged. Raw JSON may have line ends
/// between its tokens.
struct OpenAiPayload {
  std::vector<OpenAiChoice> choices;
  std::vector<OpenAiPiece> pieces;  ///< Of one choice in the order of PieceKind.
  std::vector<OpenAiCall> calls;
  std::optional<TokenUsage> usage;  ///< Has at least one count.
  /// The members of the usage object besides those of TokenUsage: raw JSON, each with its name.
  std::vector<std::string_view> usage_members;
  std::optional<OpenAiError> error;
  std::string_view model;
  std::string_view system_fingerprint;
  std::string_view service_tier;
  /// Text may hold UTF-16 surrogate halves in their three-byte form: decode it with
  /// Utf8Decoder::Surrogates::kJoin.
  bool has_surrogate_halves = false;
  /// The payload has a member of a response (`choices`, counts, an error).
  bool is_answer = false;
};

/// Reads chat chunks (`choices[].delta`), completions (`choices[].text`) and whole chat answers
/// (`choices[].message`); `content` may be text, null, or an array of parts. Errors are found as
/// `error` (an object or text, at the root, in a choice, or in an array of objects), as a flat
/// object with `message`, as `detail`, and as `errors`. Members of an unexpected type count as
/// absent; the last of repeated members counts. Unknown members of a delta or message are extras
/// unless they are null or empty; other unknown members are skipped. One thread at a time.
///
/// Streams wait most of their time, so all parsers of a thread share the buffers of a parse: a
/// payload is valid until any of them parses the next one.
///
/// A stream consists of payloads that differ in their text alone. Such a payload, with the same
/// bytes before and after a text without escapes as the last one that was parsed, is not parsed:
/// it has that one's choice with the new text. `model`, `system_fingerprint` and `service_tier`,
/// which are the same as well, are absent from it.
class OpenAiPayloadParser {
 public:
  /// Parses `json` in place, which destroys its content. Null if it is malformed, see `problem`;
  /// else the payload, valid until a parser of this thread is called again and as long as `json`.
  /// `is_error_event` says that the event was named `error`: the root is then the error object
  /// itself unless it has an `error` member.
  const OpenAiPayload* parse(std::string& json, bool is_error_event);

  /// Why the last `parse` failed: a short phrase without any of the payload's content.
  [[nodiscard]] std::string_view problem() const { return problem_; }

 private:
  class Buffers;

  static Buffers& buffers();
  const OpenAiPayload* parse_whole(std::string& json, bool is_error_event);
  void learn(std::string_view json);
  [[nodiscard]] const OpenAiPayload* repeat(std::string_view json) const;

  // The last payload, if its output is the text of one delta, and where that text is in it. 0 bytes
  // of text: there is none.
  std::string last_;
  std::size_t text_at_ = 0;
  std::size_t text_bytes_ = 0;
  double choice_index_ = 0;
  std::string_view problem_;  // of static text
};

}  // namespace sluice
