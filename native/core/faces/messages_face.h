// Events of Anthropic's Messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/faces/face_options.h"
#include "core/faces/frame_writer.h"

namespace sluice {

/// Writes entries as content blocks: text, thinking, tool use. One block is open at a time; a
/// refusal is a block of text. Of extra entries it writes the members that the same API gave
/// upstream: the `signature` of thinking, redacted `thinking_blocks`, and `content_blocks`.
class MessagesFace final : public Face {
 public:
  explicit MessagesFace(FaceOptions options);

  void open(std::string&) override {}
  void write(std::string& out, std::uint32_t choice, const Job& job,
             const EventLog::Event& event) override;
  void keep_alive(std::string& out) override;

 private:
  void write_start(std::string& out, const Job& job);
  void write_entry(std::string& out, const EventLog::Event& event);
  void write_extra(std::string& out, std::string_view extra);
  void write_signature(std::string& out, std::string_view signature);
  void write_block(std::string& out, std::string_view block);
  void write_ending(std::string& out, const Job& job);
  void write_stop(std::string& out, const Job& job);

  void open_block(std::string& out, const EventLog::Event& event);
  void close_block(std::string& out);
  void set_delta_prefix(EntryKind kind);
  bool begin(std::string& out, std::string_view type);

  FaceOptions options_;
  FrameCounter frames_;
  bool started_ = false;
  bool done_ = false;
  std::optional<EntryKind> block_;  // the open one; kToolCall: tool use
  std::uint64_t block_count_ = 0;   // closed blocks; the open one's index
  std::string delta_prefix_;        // frames of the open block's deltas, up to the text
};

}  // namespace sluice
