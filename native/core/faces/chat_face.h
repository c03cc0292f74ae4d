// Chunks of OpenAI's chat completions and completions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/faces/face_options.h"
#include "core/faces/frame_writer.h"

namespace sluice {

/// Writes one chunk per entry, then one with the finish reason per choice, then the usage if the
/// request asked for it, then `[DONE]`. An error ends the stream without `[DONE]`.
///
/// A chat completion has all kinds of entries; a completion has text and refusals, both as text.
/// A chunk's `id:` is its ordinal, from 1; a stream of several choices has no ids.
class ChatFace final : public Face {
 public:
  explicit ChatFace(FaceOptions options);

  void open(std::string&) override {}
  void write(std::string& out, std::uint32_t choice, const Job& job,
             const EventLog::Event& event) override;
  void keep_alive(std::string& out) override;

 private:
  struct Choice {
    bool begun = false;  // it has had a delta
    bool ended = false;
  };

  void write_entry(std::string& out, std::uint32_t choice, const EventLog::Event& event);
  void append_delta(std::string& out, bool is_first, const EventLog::Event& event) const;
  void append_reasoning(std::string& out, std::string_view text) const;
  void write_finish(std::string& out, std::uint32_t choice, const Job& job);
  void add_usage(const Usage& usage);
  void write_end(std::string& out);
  void write_error(std::string& out, const Terminal& terminal);

  [[nodiscard]] bool is_chat() const { return options_.dialect == FaceOptions::Dialect::kChat; }
  void make_prefix(const AnswerHead& head);
  bool begin(std::string& out);
  bool begin_choice(std::string& out, std::uint32_t choice);
  void end_choice(std::string& out, std::string_view logprobs,
                  std::string_view finish_reason) const;

  FaceOptions options_;
  FrameCounter frames_;
  std::vector<Choice> choices_;
  std::uint32_t ended_ = 0;  // choices
  bool done_ = false;        // the stream has its last frame
  std::string prefix_;       // of each chunk, up to the value of `choices`; empty before the first
  std::optional<Usage> usage_;  // of the choices that have ended
};

}  // namespace sluice
