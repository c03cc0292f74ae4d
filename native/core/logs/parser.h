// The log parser: takes bytes of any number of sources, emits events and counts errors.
//
// One parser, used by one thread at a time; time is an argument. After `end` it takes new input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "core/logs/errors/error_counts.h"
#include "core/logs/grouping/grouper.h"
#include "core/logs/input/line_splitter.h"
#include "core/logs/line/envelope.h"
#include "core/logs/line/event.h"
#include "core/logs/line/header.h"

namespace sluice {

/// Each source (a file, the output of a process) has lines and an event under way of its own; in a
/// source with container envelopes, so has each writer. The result does not depend on how the bytes
/// of a source are cut into pieces, as long as no pause between two of them exceeds `flush`.
class LogParser {
 public:
  struct Options {
    std::uint32_t formats = kLogAllFormats;
    LogTimeContext times = {};
    LogGrouper::Limits event = {};
    /// An event under way is emitted after a pause of this length, but a line without its end is
    /// kept. kNever: never.
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
  ~LogParser();
  LogParser(const LogParser&) = delete;
  LogParser& operator=(const LogParser&) = delete;

  /// Takes the next bytes of a source. Emits first the events of any source whose pause is over.
  /// @param wall_ms the time since 1970: the time of errors if neither they, nor their source
  /// before,
  ///   nor any source had one
  void push(SourceId source, std::string_view bytes, Nanos now, std::int64_t wall_ms,
            LogSink& sink);

  /// Emits the events whose pause is over.
  void flush(Nanos now, std::int64_t wall_ms, LogSink& sink);
  /// When the next pause ends; kNever for never.
  [[nodiscard]] Nanos next_deadline() const;

  /// Ends the input of a source: a last line without its end counts, and the events under way are
  /// emitted. Its counts remain until `forget`.
  void end_source(SourceId source, std::int64_t wall_ms, LogSink& sink);
  void forget(SourceId source);
  /// Ends the input of all sources.
  void end(std::int64_t wall_ms, LogSink& sink);

  [[nodiscard]] const Stats& stats() const { return stats_; }
  /// Zeros for an unknown source.
  [[nodiscard]] Stats source_stats(SourceId source) const;

  LogErrors& errors() { return errors_; }
  /// The newest time of any event; kNoTime if none had one.
  [[nodiscard]] std::int64_t newest_ms() const { return newest_ms_; }

 private:
  struct Lane;
  struct Source;
  using Lanes = std::list<Lane*>;
  class Handover;

  Source& source_of(SourceId id);
  [[nodiscard]] LogPatterns* patterns() { return patterns_.any() ? &patterns_ : nullptr; }
  void take_line(Source& source, const LogLine& line, Nanos now, std::int64_t wall_ms,
                 LogSink& sink);
  void take_enveloped(Source& source, const LogEnvelope& envelope, LogGrouper::Line line, Nanos now,
                      std::int64_t wall_ms, LogSink& sink);
  void take_text(Lane& lane, LogGrouper::Line line, LogSink& sink);
  void take_timestamped(LogGrouper::Line& line);
  Lane& lane_of(Source& source, const LogEnvelope& envelope, std::int64_t wall_ms, LogSink& sink);
  void end_lane(Lane& lane, std::int64_t wall_ms, LogSink& sink);
  void touch(Lane& lane, Nanos now);
  void remove_from_index(Lane& lane);
  [[nodiscard]] bool should_be_json(const Lane& lane, std::string_view line) const;
  std::string_view clean(std::string_view line, bool& malformed);

  Options options_;
  LogPatterns patterns_;
  LogHeaderReader headers_;
  LogEnvelopeReader envelopes_;
  LogErrors errors_;
  std::map<SourceId, Source> sources_;
  Lanes under_way_;  // Lanes with an event under way, by the time of their last input.
  Stats stats_;
  std::int64_t newest_ms_ = kNoTime;
  std::string converted_;
  std::string decoded_;
  std::string uncoloured_;
};

}  // namespace sluice
