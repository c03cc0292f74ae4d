// The log parser: bytes of any number of sources in, events out; errors counted on the way.
//
// One parser, used by one thread at a time; it knows neither threads, files nor JavaScript, and
// time is an argument. It ends with `end`, after which it may go on with new input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "core/logs/error_counts.h"
#include "core/logs/event.h"
#include "core/logs/grouper.h"
#include "core/logs/header.h"
#include "core/logs/line_splitter.h"

namespace sluice {

/// Each source (a file, a process's output) has lines and an event under way of its own. What comes
/// out does not depend on how a source's bytes are cut into pieces, as long as no silence between
/// two of them is longer than `flush`.
class LogParser {
 public:
  struct Options {
    std::uint32_t formats = kLogAllFormats;
    LogTimeContext times = {};
    LogGrouper::Limits event = {};
    /// A source that gives nothing for so long has its event under way handed on (not a line whose
    /// end has not come: that is still being written). kNever: never.
    Nanos flush = kSecond;
    LogErrors::Limits errors = {};
  };
  struct Stats {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;  ///< Blank ones included.
    std::uint64_t events = 0;
    std::uint64_t errors = 0;     ///< Events of level error or fatal.
    std::uint64_t malformed = 0;  ///< Lines.
    std::uint64_t truncated = 0;  ///< Events.
  };
  using SourceId = std::uint32_t;

  LogParser(Options options, LogPatterns patterns);
  LogParser(const LogParser&) = delete;
  LogParser& operator=(const LogParser&) = delete;

  /// The next bytes of a source. First hands on what silence has ended, of any source.
  /// @param wall_ms the time since 1970: errors count as of it where neither they, nor their
  ///   source before, nor any source, had a time
  void push(SourceId source, std::string_view bytes, Nanos now, std::int64_t wall_ms,
            LogSink& sink);

  /// Hands on what silence has ended.
  void flush(Nanos now, std::int64_t wall_ms, LogSink& sink);
  /// When `flush` next has something to do, as far as is known now; kNever for never.
  [[nodiscard]] Nanos next_deadline() const;

  /// The input of a source is over: a last line without its end counts, and the event under way is
  /// handed on. Its counts are kept until `forget`.
  void end_source(SourceId source, std::int64_t wall_ms, LogSink& sink);
  void forget(SourceId source) { sources_.erase(source); }
  /// The same for all of them.
  void end(std::int64_t wall_ms, LogSink& sink);

  [[nodiscard]] const Stats& stats() const { return stats_; }
  /// Zeros for a source that is not known.
  [[nodiscard]] Stats source_stats(SourceId source) const;

  LogErrors& errors() { return errors_; }
  /// The newest time of any event; kNoTime if none had one.
  [[nodiscard]] std::int64_t newest_ms() const { return newest_ms_; }

 private:
  struct Source {
    LogLineSplitter lines;
    LogGrouper events;
    Stats stats;
    Nanos heard_at = 0;
    std::int64_t last_ms = kNoTime;  // Of its events.
    bool json = false;               // It has written lines of JSON.
  };
  class Handover;

  Source& source_of(SourceId id);
  void take_line(Source& source, const LogLine& line, LogSink& sink);
  [[nodiscard]] bool should_be_json(const Source& source, std::string_view line) const;
  std::string_view clean(std::string_view line, bool& malformed);

  Options options_;
  LogPatterns patterns_;
  LogHeaderReader headers_;
  LogErrors errors_;
  std::map<SourceId, Source> sources_;
  Stats stats_;
  std::int64_t newest_ms_ = kNoTime;
  std::string decoded_;
  std::string uncoloured_;
};

}  // namespace sluice
