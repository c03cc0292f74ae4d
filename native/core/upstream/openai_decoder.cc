#include "core/upstream/openai_decoder.h"

#include <array>
#include <cmath>

namespace sluice {
namespace {

constexpr std::string_view kDone = "[DONE]";

FinishReason classify(std::string_view raw) {
  return raw == "length" || raw == "max_tokens" ? FinishReason::kLength : FinishReason::kStop;
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
  if (ended_) return;
  for (std::uint32_t index = 0; index < choices_.size(); ++index) flush_text(index, sink);
}

void OpenAiDecoder::take_event(const SseEvent& event, OpenAiSink& sink) {
  if (ended_) return;
  const std::string_view data = trim_spaces(event.data);
  if (data.empty()) return;
  if (data == kDone) {
    for (std::uint32_t index = 0; index < choices_.size(); ++index) flush_text(index, sink);
    ended_ = true;
    sink.on_done();
    return;
  }
  const OpenAiPayload* payload = payloads_.parse(event.data, event.type == "error");
  if (payload != nullptr) {
    take_payload(*payload, sink);
  } else if (!at_end_of_body_) {
    fail(payloads_.problem(), sink);
  }
  // A last event without its blank line that does not parse was cut short: not malformed, missing.
}

void OpenAiDecoder::take_payload(const OpenAiPayload& payload, OpenAiSink& sink) {
  if (payload.error) return take_error(payload, sink);
  for (const OpenAiChoice& choice : payload.choices) {
    const bool in_range = choice.index >= 0 && choice.index < static_cast<double>(choices_.size());
    if (!in_range || std::trunc(choice.index) != choice.index) {
      return fail("a choice's index is not one that was asked for", sink);
    }
    take_choice(choice,
                payload.has_surrogate_halves ? Utf8Decoder::Surrogates::kJoin
                                             : Utf8Decoder::Surrogates::kReplace,
                sink);
  }
  if (payload.usage) sink.on_usage(*payload.usage);
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
  const auto index = static_cast<std::uint32_t>(choice.index);
  Choice& state = choices_[index];
  if (state.finished) return;
  const std::string_view text = state.text.decode(choice.text, scratch_, surrogates);
  if (!text.empty()) sink.on_delta(index, text);
  if (choice.finish_reason.empty()) return;
  flush_text(index, sink);
  state.finished = true;
  std::string scratch;
  sink.on_finish(index, classify(choice.finish_reason),
                 whole_text(choice.finish_reason, surrogates, scratch));
}

void OpenAiDecoder::flush_text(std::uint32_t index, OpenAiSink& sink) {
  const std::string_view rest = choices_[index].text.finish();
  if (!rest.empty()) sink.on_delta(index, rest);
}

void OpenAiDecoder::fail(std::string_view problem, OpenAiSink& sink) {
  ended_ = true;
  sink.on_malformed(problem);
}

}  // namespace sluice
