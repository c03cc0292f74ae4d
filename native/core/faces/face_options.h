// The options of a face.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/streams/face.h"

namespace sluice {

/// The options of a face: facts about the request that its frames repeat.
struct FaceOptions {
  enum class Dialect : std::uint8_t {
    kNone,         ///< No face: native frames.
    kChat,         ///< OpenAI chat completions
    kCompletions,  ///< OpenAI completions
    kResponses,    ///< OpenAI responses
    kUi,           ///< UI message stream of the AI SDK
    kMessages,     ///< Anthropic messages
  };

  Dialect dialect = Dialect::kNone;
  std::string id = {};        ///< Of the answer: `chatcmpl-T`, `cmpl-T`, `resp_T`, `msg_T`.
  std::string tail = {};      ///< T; ids of output items end in `_T_k`.
  std::string model = {};     ///< As requested.
  std::uint64_t created = 0;  ///< Unix time in seconds.
  /// A JSON object, or empty. kResponses: the members of the response object that do not vary.
  /// kMessages: further members of the message in `message_start`. kUi: whole frames that follow
  /// the first one, which then has the id 1.0; ids of their own lie between 1.0 and 2.
  std::string envelope = {};
  std::uint32_t choices = 1;  ///< kChat, kCompletions: logs that the stream has, at least 1.
  /// kCompletions: choices of one prompt, which share a call; the first has its usage. 0: all.
  std::uint32_t choices_per_prompt = 0;
  bool include_usage = false;  ///< kChat, kCompletions: a last chunk has the usage.
  /// kChat: the member of a delta for reasoning: `reasoning_content`, `reasoning`, or `both`.
  std::string reasoning_field = "reasoning_content";
  bool reasoning_summary = false;  ///< kResponses: reasoning is sent as its summary.
  bool background = false;         ///< kResponses: the response begins as queued.
  /// Frames to skip at the beginning of the stream. Ignored for several choices: the order of
  /// their frames may differ from reader to reader.
  std::uint64_t after = 0;
};

/// The face of a dialect; null for kNone.
std::unique_ptr<Face> make_face(FaceOptions options);

}  // namespace sluice
