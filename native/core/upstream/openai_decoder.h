// Decodes the body of a streamed answer of an OpenAI-style server: bytes in, events out.
//
// One decoder per upstream call, used by one thread at a time; it knows neither threads, sockets
// nor JavaScript. It ends with `finish` when the body ended in good order; one whose connection
// broke is simply dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/sse/parser.h"
#include "core/upstream/openai_payload.h"

namespace sluice {

/// How a choice ended.
enum class FinishReason : std::uint8_t {
  kStop,
  kLength,
  kToolCalls,
  kContentFilter,
  kFailed,  ///< The upstream gave up, or sent a reason that nobody knows; the raw one tells more.
};

/// `length` and so on, as completed jobs have it; empty for kFailed.
std::string_view name_of(FinishReason reason);

/// Receives what the decoder finds. Views are valid during the call only and are valid UTF-8.
/// A sink must not call the decoder nor destroy it.
class OpenAiSink {
 public:
  virtual ~OpenAiSink() = default;
  /// More text, never empty, for one choice.
  virtual void on_text(std::uint32_t index, std::string_view text) = 0;
  /// More output of another kind for one choice: where typed entries of a log come from. So far
  /// only the presence of calls and extras is told.
  virtual void on_other(std::uint32_t index, PieceKind kind, std::string_view text) = 0;
  /// The end of one choice, by the upstream's word. More output may follow, and another end, which
  /// replaces it.
  virtual void on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) = 0;
  /// Token counts for the whole call: all those known by now.
  virtual void on_usage(const TokenUsage& usage) = 0;
  /// An error object inside the stream. Nothing follows it.
  virtual void on_error(const OpenAiError& error) = 0;
  /// `[DONE]`. Nothing follows it.
  virtual void on_done() = 0;
  /// The stream is not what it should be; `problem` is a short phrase that quotes none of it.
  /// Nothing follows it.
  virtual void on_malformed(std::string_view problem) = 0;
};

/// Takes chat chunks and completions alike, their choices interleaved in any order, and is lenient
/// with what servers are known to send: events without a blank line between them, an `error` line,
/// named events without JSON, a `message` beside the deltas, the finish reason "null". Text is
/// UTF-8 per choice: a character is held until whole even if its bytes, or the two halves of an
/// escaped surrogate pair, come in different deltas; what is ill-formed becomes U+FFFD.
class OpenAiDecoder {
 public:
  struct Limits {
    std::uint32_t choices = 1;  ///< Choices asked for; an index beyond is malformed.
    std::size_t event_bytes = SseParser::kEventBytesMaxDefault;  ///< See SseParser.
  };

  explicit OpenAiDecoder(Limits limits);
  ~OpenAiDecoder();
  OpenAiDecoder(const OpenAiDecoder&) = delete;
  OpenAiDecoder& operator=(const OpenAiDecoder&) = delete;

  /// Takes the next bytes of the body. Ignored once `ended`.
  void push(std::string_view bytes, OpenAiSink& sink);

  /// The body has ended in good order: a last event that lacks its blank line still counts if it
  /// is whole, text held back is given out, and a choice whose last finish reason was "null" ends.
  void finish(OpenAiSink& sink);

  /// Whether an event has come that nothing follows: done, error or malformed.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  class EventAdapter;
  struct Choice {
    Utf8Decoder text;
    bool has_delta = false;  // A `message` that comes now only repeats it.
    bool finished = false;
    bool ended_by_null = false;
  };

  void take_event(const SseEvent& event, OpenAiSink& sink);
  void take_payload(const OpenAiPayload& payload, OpenAiSink& sink);
  void take_error(const OpenAiPayload& payload, OpenAiSink& sink);
  void take_choice(const OpenAiChoice& choice, Utf8Decoder::Surrogates surrogates,
                   OpenAiSink& sink);
  void take_piece(const OpenAiPiece& piece, std::uint32_t index, Utf8Decoder::Surrogates surrogates,
                  OpenAiSink& sink);
  void take_usage(const TokenUsage& usage, OpenAiSink& sink);
  void take_error_field(std::string_view value, OpenAiSink& sink);
  void flush_texts(OpenAiSink& sink);
  void flush_text(std::uint32_t index, OpenAiSink& sink);
  void fail(std::string_view problem, OpenAiSink& sink);

  SseParser sse_;
  OpenAiPayloadParser payloads_;
  std::vector<Choice> choices_;
  TokenUsage usage_;  // Each count as it came last.
  std::string scratch_;
  bool ended_ = false;
  bool at_end_of_body_ = false;
};

}  // namespace sluice
