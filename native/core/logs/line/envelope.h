// Removes the envelopes that container runtimes and journald add to a program's lines.
//
// One reader per parser, used by one thread at a time; it keeps buffers between lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/logs/line/event.h"
#include "core/logs/line/json_record.h"
#include "core/logs/line/timestamp.h"

namespace sluice {

/// A program's line and what its envelope says. Views are valid until the next `read`.
struct LogEnvelope {
  bool found = false;
  bool partial = false;  ///< The line continues in the next one of the same writer.
  bool encoded = false;  ///< `text` was an escaped string: it may hold colours and line ends.
  std::int64_t time_ms = kNoTime;
  LogLevel level = LogLevel::kNone;  ///< journald's priority.
  std::string_view text;
  std::string_view writer;     ///< Lines of different writers do not mix.
  std::string_view container;  ///< The writer's name for users; empty for none.
};

/// Formats:
///   CRI:       `2026-11-21T03:56:14.123456789Z stdout F text`, `P` for a part of a line
///   Docker:    `{"log":"text\n","stream":"stdout","time":"..."}`; a text without `\n` is a part
///   Compose:   `web-1  | text`
///   kubectl:   `[pod/web-0/nginx] text` (`kubectl logs --prefix`)
///   journald:  `{"MESSAGE":"text","PRIORITY":"3","__REALTIME_TIMESTAMP":"...", ...}`
class LogEnvelopeReader {
 public:
  /// @param formats a set of LogFormat; kLogContainer and kLogJournald count
  LogEnvelopeReader(std::uint32_t formats, LogTimeContext context)
      : formats_(formats), context_(context) {}

  /// @param line valid UTF-8
  LogEnvelope read(std::string_view line);

 private:
  LogEnvelope read_json(std::string_view line);
  [[nodiscard]] LogEnvelope read_cri(std::string_view line) const;

  std::uint32_t formats_;
  LogTimeContext context_;
  LogRecordReader records_;
  std::string writer_;
};

/// Past the timestamp and space that `docker logs --timestamps` and `kubectl logs --timestamps` put
/// before a line (RFC 3339 with nine digits of a second); 0 without one.
std::size_t runtime_timestamp_end(std::string_view line);

}  // namespace sluice
