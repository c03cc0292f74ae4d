// Decodes the streamed response of an OpenAI-style server: bytes in, events out.
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
  kFailed,  ///< The upstream failed, or sent an unknown reason; see the raw one.
};

/// The reason of a completed job (`stop`, `length`, ...); empty for kFailed.
std::string_view name_of(FinishReason reason);

/// Receives the events of a decoder. Views are valid UTF-8, and valid during the call only. A sink
/// must neither call the decoder nor destroy it.
class OpenAiSink {
 public:
  virtual ~OpenAiSink() = default;
  /// More text, never empty, for one choice.
  virtual void on_text(std::uint32_t index, std::string_view text) = 0;
  /// More output of another kind for one choice, the source of typed events in a log. For tool
  /// calls and extras only the presence is reported.
  virtual void on_other(std::uint32_t index, PieceKind kind, std::string_view text) = 0;
  /// A finish reason of one choice. More output may follow, and another finish reason, which
  /// replaces this one.
  virtual void on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) = 0;
  /// Token counts of the whole call: all that are known so far.
  virtual void on_usage(const TokenUsage& usage) = 0;
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
/// Accepts chat chunks and completions, with choices interleaved in any order. It tolerates known
/// deviations of servers: events without a blank line between them, an `error` line, named events
/// without JSON, a `message` next to the deltas, the finish reason "null". Text is UTF-8 per
/// choice: a character is held until complete, even if its bytes, or the two halves of an escaped
/// surrogate pair, arrive in different deltas; ill-formed sequences become U+FFFD.
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

  /// The body has ended in good order: a complete last event counts even without its blank line,
  /// held text is passed on, and a choice whose last finish reason was "null" ends. Not to be
  /// called if the connection broke.
  void finish(OpenAiSink& sink);

  /// Whether the last event has been passed on: done, error or malformed.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  class EventAdapter;
  struct Choice {
    Utf8Decoder text;
    bool has_delta = false;  // A later `message` only repeats the deltas.
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
  TokenUsage usage_;  // The latest value of each count.
  std::string scratch_;
  bool ended_ = false;
  bool at_end_of_body_ = false;
};

}  // namespace sluice
