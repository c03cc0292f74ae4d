// The response object of OpenAI's Responses.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/faces/face_options.h"
#include "core/streams/event_log.h"

namespace sluice {

/// Writes a response object: the members that vary between the constant ones of the envelope.
///
/// Members come in the order of the API's reference, members unknown to the reference last. A
/// member missing from the envelope has the default of a request without it.
class ResponseObject {
 public:
  /// Members of a response that change during its life.
  struct State {
    std::string_view status;
    const Terminal* error = nullptr;          // the ending of a failed job
    std::string_view incomplete_reason = {};  // empty: none
    std::string_view model = {};              // empty: the requested one
    std::string_view service_tier = {};       // empty: unknown
    std::string_view output = "[]";           // JSON
    const Usage* usage = nullptr;
  };

  explicit ResponseObject(const FaceOptions& options);

  void append(std::string& out, const State& state) const;

 private:
  // Text before each member that varies, and after the last.
  std::array<std::string, 8> constant_;
  std::string model_;  // JSON
};

/// Appends the usage object of Responses.
void append_response_usage(std::string& out, const Usage& usage);

/// Appends the elements of an array of logprobs of Responses, from the `logprobs` of a choice of
/// chat completions. `is_first`: no element precedes. Returns whether any was appended.
bool append_response_logprobs(std::string& out, std::string_view chat_logprobs, bool is_first);

}  // namespace sluice
