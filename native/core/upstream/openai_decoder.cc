#include "core/upstream/openai_decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "core/base/ascii.h"

namespace sluice {

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

namespace {

constexpr std::string_view kDone = "[DONE]";

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

FinishReason classify(std::string_view raw) {
  for (const KnownReason& known : kKnownReasons) {
    if (equals_ignoring_case(raw, known.raw)) return known.reason;
  }
  return FinishReason::kFailed;
}

/// Whether `line` is one JSON value from its first brace to its last, or `[DONE]`.
bool is_whole_payload(std::string_view line) {
  if (line == kDone) return true;
  if (line.empty() || line.front() != '{') return false;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return line.find_first_not_of(' ', i + 1) == std::string_view::npos;
    }
  }
  return false;
}

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// `text` as valid UTF-8, on its own. The view is `text` or `scratch`.
std::string_view whole_text(std::string_view text, Utf8Decoder::Surrogates surrogates,
                            std::string& scratch) {
  Utf8Decoder decoder;
  const std::string_view decoded = decoder.decode(text, scratch, surrogates);
  if (!decoder.holding()) return decoded;
  if (decoded.data() != scratch.data()) scratch.assign(decoded);
  scratch.append(decoder.finish());
  return scratch;
}

}  // namespace

/// Hands the parser's events to the decoder, and the sink along with them.
class OpenAiDecoder::EventAdapter final : public SseSink {
 public:
  EventAdapter(OpenAiDecoder& decoder, OpenAiSink& sink) : decoder_(decoder), sink_(sink) {}
  void on_event(const SseEvent& event) override { decoder_.take_event(event, sink_); }
  void on_unknown_field(std::string_view name, std::string_view value) override {
    if (name == "error") decoder_.take_error_field(value, sink_);
  }
  bool ends_event(std::string_view data) override { return is_whole_payload(data); }

 private:
  OpenAiDecoder& decoder_;
  OpenAiSink& sink_;
};

OpenAiDecoder::OpenAiDecoder(Limits limits) : sse_(limits.event_bytes), choices_(limits.choices) {}

OpenAiDecoder::~OpenAiDecoder() = default;

void OpenAiDecoder::push(std::string_view bytes, OpenAiSink& sink) {
  if (ended_) return;
  EventAdapter adapter(*this, sink);
  const SseParser::Status status = sse_.push(bytes, adapter);
  if (status == SseParser::Status::kEventTooLarge && !ended_) {
    fail("an event exceeds the size limit", sink);
  }
}

void OpenAiDecoder::finish(OpenAiSink& sink) {
  if (ended_) return;
  at_end_of_body_ = true;
  EventAdapter adapter(*this, sink);
  sse_.flush(adapter);
  if (!ended_) flush_texts(sink);
}

void OpenAiDecoder::flush_texts(OpenAiSink& sink) {
  for (std::uint32_t index = 0; index < choices_.size(); ++index) {
    flush_text(index, sink);
    if (choices_[index].ended_by_null) sink.on_finish(index, FinishReason::kStop, "null");
  }
}

void OpenAiDecoder::take_event(const SseEvent& event, OpenAiSink& sink) {
  if (ended_) return;
  const std::string_view data = trim_spaces(event.data);
  if (data.empty()) return;
  if (data == kDone) {
    flush_texts(sink);
    ended_ = true;
    sink.on_done();
    return;
  }
  const bool is_error = event.type == "error";
  const bool is_named = !event.type.empty() && event.type != "message";
  // Parsing destroys it, and a named event need not be JSON at all.
  if (is_named) scratch_.assign(data);
  const OpenAiPayload* payload = payloads_.parse(event.data, is_error);
  if (payload != nullptr) {
    take_payload(*payload, sink);
  } else if (is_error) {
    ended_ = true;
    std::string text;
    sink.on_error({.message = whole_text(scratch_, Utf8Decoder::Surrogates::kReplace, text)});
  } else if (!is_named && !at_end_of_body_) {
    fail(payloads_.problem(), sink);
  }
  // A last event without its blank line that does not parse was cut short: not malformed, missing.
}

void OpenAiDecoder::take_error_field(std::string_view value, OpenAiSink& sink) {
  std::string data(value);
  SseEvent event{.type = "error", .data = data, .last_event_id = {}};
  take_event(event, sink);
}

void OpenAiDecoder::take_payload(const OpenAiPayload& payload, OpenAiSink& sink) {
  if (payload.error) return take_error(payload, sink);
  const auto surrogates = payload.has_surrogate_halves ? Utf8Decoder::Surrogates::kJoin
                                                       : Utf8Decoder::Surrogates::kReplace;
  std::size_t next = 0;  // Of the pieces.
  for (std::uint32_t place = 0; place < payload.choices.size(); ++place) {
    const OpenAiChoice& choice = payload.choices[place];
    const bool in_range = choice.index >= 0 && choice.index < static_cast<double>(choices_.size());
    if (!in_range || std::trunc(choice.index) != choice.index) {
      return fail("a choice's index is not one that was asked for", sink);
    }
    const auto index = static_cast<std::uint32_t>(choice.index);
    const std::size_t first = next;
    while (next < payload.pieces.size() && payload.pieces[next].choice == place) ++next;
    const std::span pieces(payload.pieces.begin() + static_cast<std::ptrdiff_t>(first),
                           payload.pieces.begin() + static_cast<std::ptrdiff_t>(next));
    Choice& state = choices_[index];
    const bool has_delta =
        std::ranges::any_of(pieces, [](const OpenAiPiece& piece) { return !piece.is_whole; });
    state.has_delta = state.has_delta || has_delta;
    const bool takes_whole = !state.has_delta;
    for (const OpenAiPiece& piece : pieces) {
      if (!piece.is_whole || takes_whole) take_piece(piece, index, surrogates, sink);
    }
    if (takes_whole && !pieces.empty()) state.has_delta = true;
    take_choice(choice, surrogates, sink);
  }
  if (payload.usage) take_usage(*payload.usage, sink);
}

void OpenAiDecoder::take_piece(const OpenAiPiece& piece, std::uint32_t index,
                               Utf8Decoder::Surrogates surrogates, OpenAiSink& sink) {
  if (piece.kind != PieceKind::kText) return sink.on_other(index, piece.kind, piece.text);
  const std::string_view text = choices_[index].text.decode(piece.text, scratch_, surrogates);
  if (!text.empty()) sink.on_text(index, text);
}

void OpenAiDecoder::take_usage(const TokenUsage& usage, OpenAiSink& sink) {
  if (usage.prompt_tokens) usage_.prompt_tokens = usage.prompt_tokens;
  if (usage.completion_tokens) usage_.completion_tokens = usage.completion_tokens;
  if (usage.total_tokens) usage_.total_tokens = usage.total_tokens;
  sink.on_usage(usage_);
}

void OpenAiDecoder::take_error(const OpenAiPayload& payload, OpenAiSink& sink) {
  const auto surrogates = payload.has_surrogate_halves ? Utf8Decoder::Surrogates::kJoin
                                                       : Utf8Decoder::Surrogates::kReplace;
  std::array<std::string, 3> scratch;
  ended_ = true;
  sink.on_error({.message = whole_text(payload.error->message, surrogates, scratch[0]),
                 .type = whole_text(payload.error->type, surrogates, scratch[1]),
                 .code = whole_text(payload.error->code, surrogates, scratch[2])});
}

void OpenAiDecoder::take_choice(const OpenAiChoice& choice, Utf8Decoder::Surrogates surrogates,
                                OpenAiSink& sink) {
  if (choice.finish_reason.empty()) return;
  const auto index = static_cast<std::uint32_t>(choice.index);
  // Some send it with every chunk: it is an end only where nothing else is.
  Choice& state = choices_[index];
  if (equals_ignoring_case(choice.finish_reason, "null")) {
    state.ended_by_null = !state.finished;
    return;
  }
  state.finished = true;
  state.ended_by_null = false;
  flush_text(index, sink);
  std::string scratch;
  sink.on_finish(index, classify(choice.finish_reason),
                 whole_text(choice.finish_reason, surrogates, scratch));
}

void OpenAiDecoder::flush_text(std::uint32_t index, OpenAiSink& sink) {
  const std::string_view rest = choices_[index].text.finish();
  if (!rest.empty()) sink.on_text(index, rest);
}

void OpenAiDecoder::fail(std::string_view problem, OpenAiSink& sink) {
  ended_ = true;
  sink.on_malformed(problem);
}

}  // namespace sluice
