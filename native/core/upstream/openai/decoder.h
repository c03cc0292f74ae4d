// Decodes the streamed response of an OpenAI-style server: bytes in, entries out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random_text.h"
#include "core/base/utf8.h"
#include "core/sse/parser.h"
#include "core/streams/event_log.h"
#include "core/upstream/openai/finish_reason.h"
#include "core/upstream/openai/payload.h"
#include "core/upstream/openai/tool_call_table.h"

namespace sluice {

/// Receives the events of a decoder. Views are valid UTF-8, and valid during the call only. A sink
/// must neither call the decoder nor destroy it.
class OpenAiSink {
 public:
  virtual ~OpenAiSink() = default;
  /// What the upstream says of the whole call, as far as it is known: each field from the first
  /// chunk that has it. Again when another field becomes known, before the entries of that chunk.
  virtual void on_head(const AnswerHead& head) = 0;
  /// More output of one choice. Entries of one tool call are adjacent, and its arguments are not
  /// empty. Text is empty only where it has logprobs of its own. JSON may have line ends between
  /// its tokens.
  virtual void on_entry(std::uint32_t choice, const Entry& entry) = 0;
  /// A finish reason of one choice; `raw` is empty where the answer ended without one. More output
  /// may follow, and another finish reason, which replaces this one.
  virtual void on_finish(std::uint32_t choice, FinishReason reason, std::string_view raw) = 0;
  /// Token counts of the whole call: all that are known so far. `members` are the other members
  /// of the upstream's last usage object, as JSON members with commas between them; may be empty.
  virtual void on_usage(const TokenUsage& usage, std::string_view members) = 0;
  /// An error object inside the stream. The last event.
  virtual void on_error(const OpenAiError& error) = 0;
  /// `[DONE]`. The last event.
  virtual void on_done() = 0;
  /// The stream is malformed; `problem` is a short phrase without content of the stream. The last
  /// event.
  virtual void on_malformed(std::string_view problem) = 0;
};

/// Decodes the body of one call, on one thread at a time.
///
/// Accepts chat chunks, completions and whole chat answers, with choices interleaved in any order.
/// The entries of one delta come in the order reasoning, text, refusal, tool calls, extra; what
/// arrives within a tool call comes after it.
///
/// It tolerates known deviations of servers: events without a blank line between them, an `error`
/// line, named events without JSON, a `message` next to the deltas, the finish reason "null",
/// `[DONE]` without any; those of tool calls see ToolCallTable. Text is UTF-8 per choice, kind and
/// call: a character is held until complete, even if its bytes, or the two halves of an escaped
/// surrogate pair, arrive in different deltas; ill-formed sequences become U+FFFD.
class OpenAiDecoder {
 public:
  struct Options {
    std::uint32_t choices = 1;  ///< Choices asked for; an index beyond is malformed.
    std::size_t event_bytes = SseParser::kEventBytesMaxDefault;  ///< See SseParser.
    RandomBits random = system_random_bits;  ///< For the ids of tool calls that have none.
  };

  explicit OpenAiDecoder(Options options);
  ~OpenAiDecoder();
  OpenAiDecoder(const OpenAiDecoder&) = delete;
  OpenAiDecoder& operator=(const OpenAiDecoder&) = delete;

  /// Takes the next bytes of the body. Ignored once `ended`.
  void push(std::string_view bytes, OpenAiSink& sink);

  /// The body has ended in good order: a complete last event counts even without its blank line,
  /// held output is passed on, and a choice whose last finish reason was "null" ends. Not to be
  /// called if the connection broke.
  void finish(OpenAiSink& sink);

  /// Passes on the held entries of the choices that have a finish reason. For an answer that counts
  /// as whole although its body has not ended in good order.
  void flush_finished(OpenAiSink& sink);

  /// Whether the last event has been passed on: done, error or malformed.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  class EventAdapter;
  struct Choice {
    Utf8Decoder text;
    Utf8Decoder reasoning;
    Utf8Decoder refusal;
    std::unique_ptr<ToolCallTable> calls;  // made for the first call
    bool has_begun = false;                // a delta has come, however empty
    bool has_output = false;               // a later `message` only repeats it
    bool is_in_text = true;                // its latest entry is text, or it has none
    bool finished = false;
    bool ended_by_null = false;

    /// Whether nothing of a tool call is missing or held.
    [[nodiscard]] bool is_closed() const { return calls == nullptr || calls->is_closed(); }
  };

  void take_event(const SseEvent& event, OpenAiSink& sink);
  void take_error_field(std::string_view value, OpenAiSink& sink);
  void take_payload(const OpenAiPayload& payload, OpenAiSink& sink);
  void take_head(OpenAiSink& sink);
  void take_usage(OpenAiSink& sink);
  void take_error(const OpenAiError& error, OpenAiSink& sink);
  void fail(std::string_view problem, OpenAiSink& sink);

  void take_output(std::uint32_t index, const OpenAiChoice& choice,
                   std::span<const OpenAiPiece> pieces, OpenAiSink& sink);
  void take_text(std::uint32_t index, std::string_view text, const OpenAiChoice& choice,
                 OpenAiSink& sink);
  void take_call(std::uint32_t index, const OpenAiPiece& piece, OpenAiSink& sink);
  void take_extras(std::uint32_t index, std::span<const OpenAiPiece> pieces, bool skips_whole,
                   OpenAiSink& sink);
  std::string_view decode(Utf8Decoder& decoder, std::string_view text);
  void emit_text(std::uint32_t index, EntryKind kind, std::string_view text, OpenAiSink& sink);
  void emit(std::uint32_t index, const Entry& entry, OpenAiSink& sink);
  static ToolCallTable::Emit emitter(std::uint32_t index, OpenAiSink& sink);
  void check(ToolCallTable::Status status, OpenAiSink& sink);

  void take_finish(std::uint32_t index, std::string_view raw, OpenAiSink& sink);
  void end_choices(OpenAiSink& sink);
  void flush(std::uint32_t index, OpenAiSink& sink);

  SseParser sse_;
  OpenAiPayloadParser payloads_;
  RandomBits random_;
  std::vector<Choice> choices_;
  AnswerHead head_;
  std::unique_ptr<TokenUsage> usage_;  // The latest value of each count.
  // Of the payload under way.
  const OpenAiPayload* payload_ = nullptr;
  Utf8Decoder::Surrogates surrogates_ = Utf8Decoder::Surrogates::kReplace;
  std::string scratch_;
  std::string logprobs_;  // scratch
  bool ended_ = false;
  bool is_done_ = false;
  bool at_end_of_body_ = false;
};

}  // namespace sluice
