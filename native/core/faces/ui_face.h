// Chunks of the AI SDK's UI message stream.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/json_progress.h"
#include "core/faces/face_options.h"
#include "core/faces/frame_writer.h"

namespace sluice {

/// Writes one message of one step. One part is open at a time: text, reasoning, or the input of a
/// tool; a refusal is a part of text. Extra entries are left out.
///
/// A chunk's `id:` is its ordinal, from 1.
class UiFace final : public Face {
 public:
  explicit UiFace(FaceOptions options);

  void open(std::string& out) override;
  void write(std::string& out, std::uint32_t choice, const Job& job,
             const EventLog::Event& event) override;
  void keep_alive(std::string& out) override;

 private:
  void write_entry(std::string& out, const EventLog& log, const EventLog::Event& event);
  void write_ending(std::string& out, const Job& job, const EventLog::Event& event);

  void open_part(std::string& out, const EventLog::Event& event);
  void open_tool(std::string& out, const EventLog::Event& event);
  void close_part(std::string& out, const EventLog& log, std::uint64_t until);
  void write_arguments(std::string& out, const EventLog& log, const EventLog::Event& event);
  void close_tool(std::string& out, const EventLog& log, std::uint64_t until);
  bool write_input(std::string& out, const EventLog& log, std::uint64_t until);
  void begin_tool(std::string& out, std::string_view type, const EventLog& log);

  bool begin(std::string& out, std::string_view type);
  void write_plain(std::string& out, std::string_view type);
  void write_done(std::string& out);

  FaceOptions options_;
  FrameCounter frames_;
  bool done_ = false;

  std::optional<EntryKind> part_;  // the open one; kToolCall: the input of a tool
  std::uint64_t part_count_ = 0;   // parts of text and reasoning so far; the open one's number
  std::string delta_prefix_;       // data of the open part's deltas, up to the text
  std::uint64_t call_seq_ = 0;     // of the entry that opened the tool call
  JsonProgress input_;             // of the open tool call
  bool input_sent_ = false;        // its input is available
  bool input_spoiled_ = false;     // more text followed
};

}  // namespace sluice
