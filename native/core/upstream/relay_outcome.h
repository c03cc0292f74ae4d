// The outcome of an upstream call: plain data, and its JSON for JavaScript. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The outcome of a call, final once all of its jobs are settled.
struct RelayOutcome {
  /// Why the incomplete answers failed. lib/providers/openai/relay.js has the same
  /// names, see `name_of`.
  enum class Failure : std::uint8_t {
    kNone,
    kStatus,        ///< `status` is not a success; `text`: the part of the body that was read.
    kContentType,   ///< Not an event stream; `text`: its type.
    kInvalid,       ///< Invalid content; `text`: a description.
    kReported,      ///< An error object, with its message (`text`), `code` and `type`.
    kIncomplete,    ///< Ended without a finish reason; `text`: how it ended.
    kStalled,       ///< Silence for `idle`.
    kUnreachable,   ///< Failed before the head of a response; `code`: the error.
    kDisconnected,  ///< The connection broke after the head.
    kProtocol,      ///< Not valid HTTP.
    kEncoding,      ///< An unrequested Content-Encoding; `text`: its value.
    kFinish,        ///< An unsuccessful finish reason; `text`: as sent.
    kChoices,       ///< Fewer choices than asked for; `text`: "1 of 3".
  };
  Failure failure = Failure::kNone;
  int status = 0;
  bool body_whole = false;  ///< kStatus: `text` is the whole body.
  std::string text;
  std::string code;
  std::string type;
  std::string location;        ///< Header of a redirect, as sent.
  std::string retry_after;     ///< Header, as sent.
  std::string retry_after_ms;  ///< Likewise.
  /// For each answer: the number of entries before it failed; -1 if it did not fail.
  std::vector<std::int64_t> failed;

  /// As one JSON object.
  [[nodiscard]] std::string to_json() const;
};

std::string_view name_of(RelayOutcome::Failure failure);

}  // namespace sluice
