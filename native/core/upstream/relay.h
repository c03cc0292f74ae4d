// One upstream call on its way into the logs of its jobs: what the bytes of an answer mean, when
// enough has come, and what went wrong.
//
// A pure state machine: whoever has the connection tells it what came (`on_head`, `on_bytes`,
// `on_end`, `on_broken`) and asks it what to do with the transfer (`blocked`, `over`). It writes
// deltas and completions to the hub by itself; failures are only reported, since whether to try
// again is not decided here. Not thread-safe: the hub's thread alone. Must not be called from
// within the hub, `forget` excepted. Ends once it is `over`; may be dropped at any time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/streams/hub.h"
#include "core/upstream/openai_decoder.h"
#include "core/upstream/relay_outcome.h"

namespace sluice {

class Relay final : private OpenAiSink {
 public:
  struct Options {
    /// Longest silence, from the start on, while there is room for more; and longest time for the
    /// body of an answer that is no success.
    Nanos idle;
    std::vector<JobHandle> jobs;  ///< By the upstream's index of the choice.
    bool times_silence = true;    ///< False: the caller does, see `on_stalled`.
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
  /// The next bytes of the body. False while blocked: they were not taken, and are to be given
  /// again when it no longer is.
  bool on_bytes(std::string_view bytes, Nanos now);
  /// The body has ended in good order.
  void on_end(Nanos now);
  /// The connection is gone before that. `name`: the error's.
  void on_broken(bool protocol, std::string_view name, Nanos now);

  /// Nothing has come for too long.
  void on_stalled(Nanos now);

  /// The job has ended: nothing more is said of it. To be followed by `resume`, outside of the hub:
  /// the others may have waited for this one.
  void forget(JobHandle job);
  /// The window of one of its jobs has moved, or one was forgotten.
  void resume(Nanos now);

  /// Some job of the call has no room for another token: the transfer is to be paused.
  [[nodiscard]] bool blocked() const { return blocked_; }
  /// Nothing more will be said of any job: `outcome` is final.
  [[nodiscard]] bool settled() const { return unsettled_ == 0; }
  /// The transfer is to be dropped, if it has not ended. Until then its bytes are to be read.
  [[nodiscard]] bool over() const { return state_ == State::kOver; }
  [[nodiscard]] const RelayOutcome& outcome() const { return outcome_; }

  /// The jobs of the call, those included that are settled.
  [[nodiscard]] std::vector<JobHandle> jobs() const;

  [[nodiscard]] Nanos next_deadline() const;
  /// Whether `advance` would give the upstream up because nothing came.
  [[nodiscard]] bool stalls_at(Nanos now) const;
  void advance(Nanos now);

 private:
  enum class State : std::uint8_t {
    kHead,     // nothing has come yet
    kSniff,    // the head of a success: the first bytes tell what its body is
    kRefusal,  // the body of an answer that is no success
    kWhole,    // one JSON object
    kEvents,   // an event stream
    kRest,     // what follows the content: read so that the connection can be kept
    kOver,
  };
  struct Share {
    JobHandle job;
    std::uint64_t texts = 0;
    std::uint64_t entries = 0;     // of any kind, those included that are not logged yet
    std::uint8_t other_kinds = 0;  // a bit for each PieceKind
    std::optional<FinishReason> reason = {};
    std::string raw_reason = {};
    bool finished = false;  // by the upstream's word
    bool settled = false;
    bool blocked = false;
  };

  void on_text(std::uint32_t index, std::string_view text) override;
  void on_other(std::uint32_t index, PieceKind kind, std::string_view text) override;
  void on_finish(std::uint32_t index, FinishReason reason, std::string_view raw) override;
  void on_usage(const TokenUsage& usage) override;
  void on_error(const OpenAiError& error) override;
  void on_done() override;
  void on_malformed(std::string_view problem) override;

  void sniff(std::string_view bytes);
  void feed(std::string_view bytes);
  void settle_failed(std::size_t index, RelayOutcome::Failure failure, std::string text);
  [[nodiscard]] std::optional<Usage> usage_of(const Share& share) const;
  void take_rest_of_body();
  void decode_whole();
  void end(std::size_t index);
  void settle(Share& share);
  void look_for_window();
  void fail(RelayOutcome::Failure failure, std::string text, std::string code = {});
  void conclude(RelayOutcome::Failure failure = RelayOutcome::Failure::kNone,
                const std::string& text = {});
  void leave(bool connection_lives);
  [[nodiscard]] Nanos silence_deadline() const;
  [[nodiscard]] bool all_finished() const;
  [[nodiscard]] bool finished_or_settled() const;

  JobHub& hub_;
  Nanos idle_;
  bool times_silence_;
  OpenAiDecoder decoder_;
  State state_ = State::kHead;
  std::vector<Share> shares_;
  std::size_t unsettled_;
  bool blocked_ = false;
  bool body_ended_ = false;
  bool complete_ = false;  // the upstream has nothing more to say
  bool done_ = false;      // by its own word
  bool heard_ = false;     // the decoder has found something
  bool encoded_ = false;   // the body cannot be read
  bool strange_ = false;   // the body does not begin as a stream of events does
  std::string content_type_;
  TokenUsage usage_;
  std::string held_;  // of the body: bytes that came while blocked, or the whole of a small one
  /// How the connection broke while bytes were held: told after them.
  std::optional<std::pair<RelayOutcome::Failure, std::string>> broken_;
  std::size_t rest_bytes_ = 0;
  Nanos now_;
  Nanos last_byte_at_;
  Nanos usage_deadline_ = kNever;
  Nanos refusal_deadline_ = kNever;
  Nanos rest_deadline_ = kNever;
  RelayOutcome outcome_;
};

}  // namespace sluice
