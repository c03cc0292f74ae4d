// What became of an upstream call: plain data, and its JSON for JavaScript.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What became of a call, once nothing more will be said of its jobs.
struct RelayOutcome {
  /// Why the answers that did not complete have failed. lib/providers/openai/relay.js has the same
  /// names, see `name_of`.
  enum class Failure : std::uint8_t {
    kNone,
    kStatus,        ///< `status` is no success; `text`: the body, as far as it was read.
    kContentType,   ///< `text`: the type of what is no event stream.
    kInvalid,       ///< `text`: what was sent instead.
    kReported,      ///< An error object; `text`: its message, `code` and `type`: likewise.
    kIncomplete,    ///< The end came without a finish reason; `text`: what it was in its place.
    kStalled,       ///< Nothing came for `idle`.
    kUnreachable,   ///< It broke before the head of an answer; `code`: the error's name.
    kDisconnected,  ///< It broke after the head.
    kProtocol,      ///< It is no proper HTTP.
    kEncoding,      ///< The body is encoded, though nobody asked for it; `text`: how.
    kFinish,        ///< A finish reason that is no success; `text`: as sent.
    kUnsupported,   ///< An answer without text; `text`: what it has instead.
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
  /// By answer: the entries of any kind that came before it failed; -1 for one that did not fail.
  std::vector<std::int64_t> failed;

  /// As one JSON object.
  [[nodiscard]] std::string to_json() const;
};

std::string_view name_of(RelayOutcome::Failure failure);

}  // namespace sluice
