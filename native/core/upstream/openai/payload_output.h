// Collects the output of the choices of one payload.
#pragma once

#include <optional>
#include <string_view>

#include "core/upstream/openai/payload.h"
#include "core/upstream/openai/payload_grammar.h"

namespace sluice {

/// The pieces and tool calls of an OpenAiPayload, those of the choice that was added last. A part
/// of PayloadHandler.
class PayloadOutput {
 public:
  explicit PayloadOutput(OpenAiPayload& payload) : payload_(payload) {}

  /// Before the members of a delta, or of a whole message.
  void begin(bool is_whole) { is_whole_ = is_whole; }

  void add(PieceKind kind, std::string_view text);
  /// In place of an earlier one of its kind in the same delta: members may be repeated, and the
  /// same text may come under two names.
  void set(PieceKind kind, std::string_view text);
  /// A text member of a delta or message. Returns false if it has no meaning of its own.
  bool take_member(PayloadMember member, std::string_view value);

  /// A part of a content, member by member.
  void begin_part() { part_ = {}; }
  void take_part_member(PayloadMember member, std::string_view value);
  void end_part();

  /// A tool call, member by member.
  void begin_call();
  [[nodiscard]] bool has_call() const { return !payload_.calls.empty(); }
  void take_call_member(PayloadMember member, std::string_view value);
  void take_call_index(double index);
  void take_json_arguments(std::string_view json);

 private:
  struct Part {
    std::string_view type;
    std::string_view text;
  };

  OpenAiPayload& payload_;
  bool is_whole_ = false;
  Part part_;
};

}  // namespace sluice
