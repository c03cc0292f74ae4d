// Collects the parse events of one payload in an OpenAiPayload.
#pragma once

#include <rapidjson/stream.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/upstream/openai/payload.h"
#include "core/upstream/openai/payload_grammar.h"
#include "core/upstream/openai/payload_output.h"

namespace sluice {

/// RapidJSON's SAX events of an in-situ parse, narrowed down to an OpenAiPayload. A method of an
/// event returns false to stop. Internal to OpenAiPayloadParser.
class PayloadHandler {
 public:
  using Ch = char;

  OpenAiPayload payload;
  bool too_deep = false;
  bool is_array = false;  // The root is an array of objects: an error.

  /// Before each parse.
  /// @param json the text being parsed in place; only its address is used
  /// @param raw an unchanged copy of it, for spans of raw JSON
  /// @param stream reads `json`
  void begin(std::string_view json, std::string_view raw, rapidjson::InsituStringStream& stream);

  /// Empties the payload, and keeps its buffers.
  void clear();

  /// After a successful parse. An error without the member `error` is the root itself, if nothing
  /// of an answer is in it.
  void settle(bool is_error_event);

  bool Null();
  bool Bool(bool value);
  bool Int(int) { return depth_ > 0; }
  bool Uint(unsigned) { return depth_ > 0; }
  bool Int64(std::int64_t) { return depth_ > 0; }
  bool Uint64(std::uint64_t) { return depth_ > 0; }
  bool Double(double) { return depth_ > 0; }
  bool RawNumber(const char* chars, rapidjson::SizeType length, bool copy);
  bool String(const char* chars, rapidjson::SizeType length, bool copy);
  bool Key(const char* name, rapidjson::SizeType length, bool copy);
  bool StartObject();
  bool EndObject(rapidjson::SizeType members);
  bool StartArray();
  bool EndArray(rapidjson::SizeType elements);

 private:
  using Place = PayloadPlace;
  using Member = PayloadMember;

  // Deeper than any legitimate payload; a hostile one is refused before it costs memory.
  static constexpr std::size_t kDepthMax = 64;

  /// An object or array whose raw JSON is wanted.
  struct Capture {
    enum class Of : std::uint8_t { kNothing, kArguments, kExtra, kLogprobs, kUsageMember };
    Of of = Of::kNothing;
    std::size_t depth = 0;  // the reader's depth outside of it
    std::size_t from = 0;   // offset in `raw_`
  };

  [[nodiscard]] Place place() const { return depth_ == 0 ? Place::kOutside : places_[depth_ - 1]; }
  bool enter(Place entered);
  bool leave();
  void begin_capture();
  void end_capture(bool is_empty);
  [[nodiscard]] std::string_view raw_span(std::size_t from, std::size_t end) const;

  [[nodiscard]] bool is_arguments() const;
  void take_scalar();
  void take_string(std::string_view value);
  void take_number(std::string_view digits);
  void take_choice_member(std::string_view value);
  void take_root_member(std::string_view value);
  void take_root_error(std::string_view message);
  void take_error_member(OpenAiError& error, std::string_view value) const;
  void take_count(std::string_view digits);
  void take_index(std::string_view digits);

  PayloadOutput output_{payload};
  const char* json_ = nullptr;
  std::string_view raw_;
  rapidjson::InsituStringStream* stream_ = nullptr;
  std::array<Place, kDepthMax> places_{};
  std::size_t depth_ = 0;
  Member member_ = Member::kNone;  // The last key of the innermost object.
  std::size_t member_at_ = 0;      // Its offset in `raw_`.
  Capture capture_;
  TokenUsage usage_;                             // of the usage object under way
  std::vector<std::string_view> usage_members_;  // likewise
  OpenAiError root_error_;                       // The error if the root is the error object.
  bool root_is_error_ = false;
};

}  // namespace sluice
