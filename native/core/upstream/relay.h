// Relays the response of one upstream call into the logs of its jobs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "core/streams/hub.h"
#include "core/upstream/call_answers.h"
#include "core/upstream/openai/decoder.h"
#include "core/upstream/relay_outcome.h"

namespace sluice {

/// Interprets the response of one upstream call: writes deltas and completions to the logs of its
/// jobs, decides when the response is complete, and classifies failures.
///
/// A pure state machine. The owner of the connection reports its events (`on_head`, `on_bytes`,
/// `on_end`, `on_broken`) and queries what to do with the transfer (`blocked`, `over`). The relay
/// writes to the hub itself, but only reports failures, since the retry policy is not part of it.
///
/// Not thread-safe: only the hub's thread calls it. Must not be called from within the hub, except
/// `forget`. Ends once it is `over`; may be destroyed at any time.
class Relay final : private OpenAiSink {
 public:
  struct Options {
    /// The longest silence, from the start, while not blocked; also the longest time for the body
    /// of a response that is not a success.
    Nanos idle;
    std::vector<JobHandle> jobs;  ///< By the index of the choice.
    bool times_silence = true;    ///< False: the caller enforces `idle`, see `on_stalled`.
    /// The jobs are the choices of one answer: none of them ends before all of the answer's
    /// content is known, they fail together, and the first, which ends last, has the usage of the
    /// call. False: they are answers of their own.
    bool one_answer = false;
    RandomBits random = system_random_bits;  ///< See OpenAiDecoder::Options.
    /// The text of an answer ends before the first of these strings that is complete, for upstreams
    /// that ignore them; the transfer is then dropped.
    std::vector<std::string> stops = {};
  };
  struct Head {
    int status;
    std::string_view content_type;
    std::string_view retry_after;
    std::string_view retry_after_ms;
    std::string_view location = {};
    std::string_view content_encoding = {};
  };

  Relay(Options options, JobHub& hub, Nanos now);

  void on_head(const Head& head, Nanos now);
  /// The next bytes of the body. Returns false while blocked: the bytes were refused and must be
  /// passed again once unblocked.
  bool on_bytes(std::string_view bytes, Nanos now);
  /// The body has ended in good order.
  void on_end(Nanos now);
  /// The connection broke before the end. `name`: of the error.
  void on_broken(bool protocol, std::string_view name, Nanos now);

  /// The upstream was silent for too long.
  void on_stalled(Nanos now);

  /// The job has ended: its result no longer matters. Must be followed by `resume`, outside of the
  /// hub: the job may have blocked the others.
  void forget(JobHandle job);
  /// The window of one of its jobs has moved, or one was forgotten.
  void resume(Nanos now);

  /// A job of the call has no room for another token: the transfer must pause.
  [[nodiscard]] bool blocked() const { return answers_.blocked(); }
  /// All jobs are settled: `outcome` is final.
  [[nodiscard]] bool settled() const { return answers_.settled(); }
  /// The transfer must be dropped, unless it has ended. Until then its bytes must be read.
  [[nodiscard]] bool over() const { return state_ == State::kOver; }
  [[nodiscard]] RelayOutcome outcome() const;

  /// The jobs of the call, including settled ones.
  [[nodiscard]] std::vector<JobHandle> jobs() const { return answers_.jobs(); }

  [[nodiscard]] Nanos next_deadline() const;
  /// Whether `advance` would fail the call because of silence.
  [[nodiscard]] bool stalls_at(Nanos now) const;
  void advance(Nanos now);

 private:
  enum class State : std::uint8_t {
    kHead,     // waiting for the head
    kSniff,    // success: the first bytes determine the kind of body
    kRefusal,  // the body of a response that is not a success
    kWhole,    // one JSON object
    kEvents,   // an event stream
    kRest,     // after the content: read so that the connection can be kept
    kOver,
  };

  void on_head(const AnswerHead& head) override;
  void on_entry(std::uint32_t index, const Entry& entry) override;
  void on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) override;
  void on_usage(const TokenUsage& usage, std::string_view members) override;
  void on_error(const OpenAiError& error) override;
  void on_done() override;
  void on_malformed(std::string_view problem) override;

  void sniff(std::string_view bytes);
  void feed(std::string_view bytes);
  void take_rest_of_body();
  void decode_whole();
  void fail(RelayOutcome::Failure failure, std::string text, std::string code = {});
  void conclude(RelayOutcome::Failure failure = RelayOutcome::Failure::kNone,
                const std::string& text = {});
  void leave(bool connection_lives);
  [[nodiscard]] Nanos silence_deadline() const;

  Nanos idle_;
  bool times_silence_;
  OpenAiDecoder decoder_;
  State state_ = State::kHead;
  int status_ = 0;
  CallAnswers answers_;
  bool body_ended_ = false;
  bool complete_ = false;     // the content is complete
  bool has_event_ = false;    // the decoder has reported an event
  bool encoded_ = false;      // the body cannot be read
  bool strange_ = false;      // the body does not begin like an event stream
  std::string content_type_;  // until the kind of the body is known
  std::string held_;          // bytes received while blocked, or a whole small body
  /// How the connection broke while bytes were held; reported after them.
  std::unique_ptr<std::pair<RelayOutcome::Failure, std::string>> broken_;
  std::size_t rest_bytes_ = 0;
  Nanos now_;
  Nanos last_byte_at_;
  Nanos usage_deadline_ = kNever;
  Nanos refusal_deadline_ = kNever;
  Nanos rest_deadline_ = kNever;
};

}  // namespace sluice
