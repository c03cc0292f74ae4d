#include "core/upstream/openai/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/upstream/openai/raw_json.h"

namespace sluice {
namespace {

constexpr std::string_view kDone = "[DONE]";

// Longer than any name of a model; what exceeds it counts as absent.
constexpr std::size_t kHeadFieldBytesMax = 1024;

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

OpenAiDecoder::OpenAiDecoder(Options options)
    : sse_(options.event_bytes), random_(std::move(options.random)), choices_(options.choices) {}

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
  if (!ended_) end_choices(sink);
}

void OpenAiDecoder::flush_finished(OpenAiSink& sink) {
  if (ended_) return;
  for (std::uint32_t index = 0; index < choices_.size(); ++index) {
    if (choices_[index].finished) flush(index, sink);
  }
}

// --- events

void OpenAiDecoder::take_event(const SseEvent& event, OpenAiSink& sink) {
  if (ended_) return;
  const std::string_view data = trim_spaces(event.data);
  if (data.empty()) return;
  if (data == kDone) {
    is_done_ = true;
    end_choices(sink);
    if (std::exchange(ended_, true)) return;
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
  payload_ = &payload;
  surrogates_ = payload.has_surrogate_halves ? Utf8Decoder::Surrogates::kJoin
                                             : Utf8Decoder::Surrogates::kReplace;
  if (payload.error) return take_error(*payload.error, sink);
  take_head(sink);
  const std::span<const OpenAiPiece> pieces = payload.pieces;
  std::size_t next = 0;
  for (std::uint32_t place = 0; place < payload.choices.size() && !ended_; ++place) {
    const OpenAiChoice& choice = payload.choices[place];
    const bool in_range = choice.index >= 0 && choice.index < static_cast<double>(choices_.size());
    if (!in_range || std::trunc(choice.index) != choice.index) {
      return fail("a choice's index is not one that was asked for", sink);
    }
    const std::size_t first = next;
    while (next < pieces.size() && pieces[next].choice == place) ++next;
    const auto index = static_cast<std::uint32_t>(choice.index);
    take_output(index, choice, pieces.subspan(first, next - first), sink);
    if (!ended_ && !choice.finish_reason.empty()) take_finish(index, choice.finish_reason, sink);
  }
  if (!ended_ && payload.usage) take_usage(sink);
}

void OpenAiDecoder::take_head(OpenAiSink& sink) {
  bool is_new = false;
  const auto take = [&](std::string& field, std::string_view value) {
    if (value.empty() || !field.empty() || value.size() > kHeadFieldBytesMax) return;
    field = whole_text(value, surrogates_, scratch_);
    is_new = true;
  };
  take(head_.model, payload_->model);
  take(head_.system_fingerprint, payload_->system_fingerprint);
  take(head_.service_tier, payload_->service_tier);
  if (is_new) sink.on_head(head_);
}

void OpenAiDecoder::take_usage(OpenAiSink& sink) {
  const TokenUsage& usage = *payload_->usage;
  if (usage_ == nullptr) usage_ = std::make_unique<TokenUsage>();
  if (usage.prompt_tokens) usage_->prompt_tokens = usage.prompt_tokens;
  if (usage.completion_tokens) usage_->completion_tokens = usage.completion_tokens;
  if (usage.total_tokens) usage_->total_tokens = usage.total_tokens;
  usage_->is_estimated = usage.is_estimated;
  std::string members;
  for (const std::string_view member : payload_->usage_members) {
    if (!members.empty()) members.push_back(',');
    members.append(whole_text(member, surrogates_, scratch_));
  }
  // Within strings they are escaped.
  std::ranges::replace_if(
      members, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  sink.on_usage(*usage_, members);
}

void OpenAiDecoder::take_error(const OpenAiError& error, OpenAiSink& sink) {
  std::array<std::string, 3> scratch;
  ended_ = true;
  sink.on_error({.message = whole_text(error.message, surrogates_, scratch[0]),
                 .type = whole_text(error.type, surrogates_, scratch[1]),
                 .code = whole_text(error.code, surrogates_, scratch[2])});
}

void OpenAiDecoder::fail(std::string_view problem, OpenAiSink& sink) {
  ended_ = true;
  sink.on_malformed(problem);
}

// --- output

void OpenAiDecoder::take_output(std::uint32_t index, const OpenAiChoice& choice,
                                std::span<const OpenAiPiece> pieces, OpenAiSink& sink) {
  Choice& state = choices_[index];
  if (choice.has_delta) state.has_begun = true;
  if (pieces.empty()) {
    // The bytes of a character that is not whole yet. Logprobs of other kinds have no place.
    if (choice.logprobs_have_tokens && state.is_in_text) take_text(index, {}, choice, sink);
    return;
  }
  const auto is_delta = [](const OpenAiPiece& piece) { return !piece.is_whole; };
  const bool has_delta = std::ranges::any_of(pieces, is_delta);
  const bool skips_whole = state.has_output || has_delta;
  state.has_output = true;
  if (state.calls != nullptr) state.calls->begin_delta();
  bool has_text = false;
  for (std::size_t i = 0; i < pieces.size() && !ended_; ++i) {
    const OpenAiPiece& piece = pieces[i];
    if (piece.is_whole && skips_whole) continue;
    switch (piece.kind) {
      case PieceKind::kReasoning:
        emit_text(index, EntryKind::kReasoning, decode(state.reasoning, piece.text), sink);
        break;
      case PieceKind::kText:
        take_text(index, piece.text, has_text ? OpenAiChoice{} : choice, sink);
        has_text = true;
        break;
      case PieceKind::kRefusal:
        emit_text(index, EntryKind::kRefusal, decode(state.refusal, piece.text), sink);
        break;
      case PieceKind::kToolCall:
        take_call(index, piece, sink);
        break;
      case PieceKind::kExtra:
        return take_extras(index, pieces.subspan(i), skips_whole, sink);
    }
  }
}

void OpenAiDecoder::take_text(std::uint32_t index, std::string_view text,
                              const OpenAiChoice& choice, OpenAiSink& sink) {
  const std::string_view decoded = decode(choices_[index].text, text);
  if (decoded.empty() && !choice.logprobs_have_tokens) return;
  std::string_view logprobs;
  if (!choice.logprobs.empty()) logprobs = whole_text(choice.logprobs, surrogates_, logprobs_);
  emit(index, {.kind = EntryKind::kText, .text = decoded, .aux = logprobs}, sink);
}

void OpenAiDecoder::take_call(std::uint32_t index, const OpenAiPiece& piece, OpenAiSink& sink) {
  const OpenAiCall& call = payload_->calls[piece.call];
  std::array<std::string, 3> scratch;
  const std::string_view arguments = call.arguments_are_json
                                         ? whole_text(call.arguments, surrogates_, scratch[0])
                                         : call.arguments;
  const ToolCallPiece taken{.index = call.index,
                            .id = whole_text(call.id, surrogates_, scratch[1]),
                            .name = whole_text(call.name, surrogates_, scratch[2]),
                            .arguments = arguments,
                            .surrogates = surrogates_,
                            .is_whole = piece.is_whole};
  Choice& state = choices_[index];
  state.is_in_text = false;
  if (state.calls == nullptr) {
    state.calls = std::make_unique<ToolCallTable>();
    state.calls->begin_delta();
  }
  check(state.calls->take(taken, random_, emitter(index, sink)), sink);
}

/// One entry of all extras of a delta: they come last.
void OpenAiDecoder::take_extras(std::uint32_t index, std::span<const OpenAiPiece> pieces,
                                bool skips_whole, OpenAiSink& sink) {
  std::string members;
  for (const OpenAiPiece& piece : pieces) {
    if (piece.is_whole && skips_whole) continue;
    members.push_back(members.empty() ? '{' : ',');
    members.append(whole_text(piece.text, surrogates_, scratch_));
  }
  if (members.empty()) return;
  members.push_back('}');
  emit_text(index, EntryKind::kExtra, members, sink);
}

std::string_view OpenAiDecoder::decode(Utf8Decoder& decoder, std::string_view text) {
  return decoder.decode(text, scratch_, surrogates_);
}

void OpenAiDecoder::emit_text(std::uint32_t index, EntryKind kind, std::string_view text,
                              OpenAiSink& sink) {
  if (!text.empty()) emit(index, {.kind = kind, .text = text}, sink);
}

/// Passes on an entry that is not of a tool call.
void OpenAiDecoder::emit(std::uint32_t index, const Entry& entry, OpenAiSink& sink) {
  Choice& state = choices_[index];
  state.is_in_text = entry.kind == EntryKind::kText;
  if (state.is_closed()) {
    sink.on_entry(index, entry);
  } else {
    check(state.calls->pass(entry, emitter(index, sink)), sink);
  }
}

ToolCallTable::Emit OpenAiDecoder::emitter(std::uint32_t index, OpenAiSink& sink) {
  return [index, &sink](const Entry& entry) { sink.on_entry(index, entry); };
}

void OpenAiDecoder::check(ToolCallTable::Status status, OpenAiSink& sink) {
  if (status == ToolCallTable::Status::kTooManyCalls) fail("too many tool calls", sink);
  if (status == ToolCallTable::Status::kTooManyHeldBytes) {
    fail("output that waits for a tool call exceeds the size limit", sink);
  }
}

// --- ends

void OpenAiDecoder::take_finish(std::uint32_t index, std::string_view raw, OpenAiSink& sink) {
  Choice& state = choices_[index];
  if (is_null_reason(raw)) {
    state.ended_by_null = !state.finished;
    return;
  }
  flush(index, sink);
  if (ended_) return;
  state.finished = true;
  state.ended_by_null = false;
  std::string scratch;
  sink.on_finish(index, classify_finish_reason(raw), whole_text(raw, surrogates_, scratch));
}

/// The answer has ended, and all choices with it.
void OpenAiDecoder::end_choices(OpenAiSink& sink) {
  for (std::uint32_t index = 0; index < choices_.size() && !ended_; ++index) {
    flush(index, sink);
    if (ended_) return;
    const Choice& state = choices_[index];
    if (state.ended_by_null) {
      sink.on_finish(index, FinishReason::kStop, "null");
    } else if (is_done_ && state.has_begun && !state.finished) {
      sink.on_finish(index, FinishReason::kStop, {});
    }
  }
}

void OpenAiDecoder::flush(std::uint32_t index, OpenAiSink& sink) {
  Choice& state = choices_[index];
  emit_text(index, EntryKind::kReasoning, state.reasoning.finish(), sink);
  emit_text(index, EntryKind::kText, state.text.finish(), sink);
  emit_text(index, EntryKind::kRefusal, state.refusal.finish(), sink);
  if (!state.is_closed()) state.calls->finish(random_, emitter(index, sink));
}

}  // namespace sluice
