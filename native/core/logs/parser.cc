#include "core/logs/parser.h"

#include <algorithm>
#include <utility>

#include "core/base/utf8.h"
#include "core/logs/grouping/stack_trace.h"
#include "core/logs/input/encoding.h"
#include "core/logs/line/level.h"
#include "core/logs/line/scan.h"

namespace sluice {
namespace {

constexpr char kEscape = '\x1b';
/// Writers of one source at a time; beyond it the least recently active one is ended.
constexpr std::size_t kLanesMax = 64;

/// Removes terminal control sequences (ECMA-48 5.4: ESC [ ... final byte).
void remove_colours(std::string_view line, std::string& out) {
  out.clear();
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t escape = std::min(line.find("\x1b[", at), line.size());
    out.append(line.substr(at, escape - at));
    at = escape;
    if (at == line.size()) break;
    at += 2;
    while (at < line.size() && line[at] >= ' ' && line[at] < '@') ++at;
    if (at < line.size() && line[at] >= '@' && line[at] <= '~') ++at;
  }
}

}  // namespace

/// The lines of one writer: of a source, or of a container inside it.
struct LogParser::Lane {
  Lane(Source& owner, const Options& options, LogPatterns* patterns)
      : source(owner), events(options.event, patterns) {}

  Source& source;
  LogGrouper events;
  std::string container;
  // The parts so far of a line that the runtime has split.
  std::string parts;
  std::int64_t parts_time_ms = kNoTime;
  bool parts_cut = false;
  Nanos last_input_at = 0;
  bool json = false;  // It has written lines of JSON.
  bool indexed = false;
  Lanes::iterator place;
};

struct LogParser::Source {
  Source(SourceId given, const Options& options, LogPatterns* patterns)
      : id(given), lines(options.event.bytes), main(*this, options, patterns) {}

  SourceId id;
  LogDecoder decoder;
  LogLineSplitter lines;
  Stats stats;
  std::int64_t last_ms = kNoTime;  // Of its events.
  Lane main;
  std::map<std::string, Lane, std::less<>> lanes;
};

/// Completes and counts the events of a lane.
class LogParser::Handover final : public LogSink {
 public:
  Handover(LogParser& parser, Lane& lane, std::int64_t wall_ms, LogSink& sink)
      : parser_(parser), lane_(lane), source_(lane.source), wall_ms_(wall_ms), sink_(sink) {}

  void on_event(const LogEvent& given) override {
    LogEvent event = given;
    event.source = source_.id;
    event.container = lane_.container;
    for (Stats* stats : {&parser_.stats_, &source_.stats}) {
      ++stats->events;
      if (event.level >= LogLevel::kError) ++stats->errors;
      if (event.truncated) ++stats->truncated;
    }
    if (event.time_ms != kNoTime) {
      source_.last_ms = event.time_ms;
      parser_.newest_ms_ = std::max(parser_.newest_ms_, event.time_ms);
    }
    if (event.level >= LogLevel::kError) parser_.errors_.add(event.summary, time_of(event));
    sink_.on_event(event);
  }

 private:
  [[nodiscard]] std::int64_t time_of(const LogEvent& event) const {
    if (event.time_ms != kNoTime) return event.time_ms;
    if (source_.last_ms != kNoTime) return source_.last_ms;
    return parser_.newest_ms_ != kNoTime ? parser_.newest_ms_ : wall_ms_;
  }

  LogParser& parser_;
  Lane& lane_;
  Source& source_;
  std::int64_t wall_ms_;
  LogSink& sink_;
};

LogParser::LogParser(Options options, LogPatterns patterns)
    : options_(options),
      patterns_(std::move(patterns)),
      headers_(options.formats, options.times),
      envelopes_(options.formats, options.times),
      errors_(options.errors) {}

LogParser::~LogParser() = default;

LogParser::Source& LogParser::source_of(SourceId id) {
  const auto found = sources_.find(id);
  if (found != sources_.end()) return found->second;
  return sources_
      .emplace(std::piecewise_construct, std::forward_as_tuple(id),
               std::forward_as_tuple(id, options_, patterns()))
      .first->second;
}

void LogParser::push(SourceId id, std::string_view bytes, Nanos now, std::int64_t wall_ms,
                     LogSink& sink) {
  flush(now, wall_ms, sink);
  if (bytes.empty()) return;
  Source& source = source_of(id);
  source.stats.bytes += bytes.size();
  stats_.bytes += bytes.size();
  source.lines.push(source.decoder.decode(bytes, converted_),
                    [&](const LogLine& line) { take_line(source, line, now, wall_ms, sink); });
  touch(source.main, now);
}

void LogParser::take_line(Source& source, const LogLine& given, Nanos now, std::int64_t wall_ms,
                          LogSink& sink) {
  ++stats_.lines;
  ++source.stats.lines;
  LogGrouper::Line line;
  line.cut = given.cut;
  line.text = clean(given.bytes, line.malformed);
  const LogEnvelope envelope = envelopes_.read(line.text);
  if (envelope.found) return take_enveloped(source, envelope, line, now, wall_ms, sink);
  Handover handover(*this, source.main, wall_ms, sink);
  take_text(source.main, line, handover);
}

void LogParser::take_enveloped(Source& source, const LogEnvelope& envelope, LogGrouper::Line line,
                               Nanos now, std::int64_t wall_ms, LogSink& sink) {
  Lane& lane = lane_of(source, envelope, wall_ms, sink);
  line.text = envelope.encoded ? clean(envelope.text, line.malformed) : envelope.text;
  line.outer_level = envelope.level;
  if (lane.parts.empty()) lane.parts_time_ms = envelope.time_ms;
  line.outer_time_ms = lane.parts_time_ms;
  std::string whole;
  if (envelope.partial || !lane.parts.empty()) {
    const std::size_t room =
        options_.event.bytes - std::min(lane.parts.size(), options_.event.bytes);
    lane.parts_cut = lane.parts_cut || line.text.size() > room;
    lane.parts.append(clip_utf8(line.text, room));
    lane.last_input_at = now;
    if (envelope.partial) return;
    whole.swap(lane.parts);
    line.text = whole;
    line.cut = line.cut || std::exchange(lane.parts_cut, false);
  }
  Handover handover(*this, lane, wall_ms, sink);
  while (true) {
    LogGrouper::Line first = line;
    first.text = line.text.substr(0, line.text.find('\n'));
    take_text(lane, first, handover);
    if (first.text.size() == line.text.size()) break;
    line.text.remove_prefix(first.text.size() + 1);
    line.malformed = false;
    line.continues = true;
  }
  touch(lane, now);
}

void LogParser::take_text(Lane& lane, LogGrouper::Line line, LogSink& sink) {
  if (!line.continues) {
    if ((options_.formats & kLogContainer) != 0) take_timestamped(line);
    line.header = headers_.read(line.text);
    if (!line.header.found()) line.header.malformed = should_be_json(lane, line.text);
    lane.json = lane.json || line.header.format == kLogJson;
    // A line that the parser itself has cut is not malformed.
    line.malformed = line.malformed || (line.header.malformed && !line.cut);
    if (lane.events.overrides(line.header, line.text)) line.header = {};
  }
  if (line.malformed) {
    ++stats_.malformed;
    ++lane.source.stats.malformed;
  }
  lane.events.take(line, sink);
}

/// Removes the timestamp of `docker logs --timestamps` before a line of a stack trace.
void LogParser::take_timestamped(LogGrouper::Line& line) {
  const std::size_t end = runtime_timestamp_end(line.text);
  if (end == 0) return;
  const std::string_view rest = line.text.substr(end);
  if (classify_trace_line(rest) == TraceLine::kPlain || find_level(rest).end > 0) return;
  line.outer_time_ms = match_iso_time(line.text, options_.times).ms;
  line.text = rest;
}

LogParser::Lane& LogParser::lane_of(Source& source, const LogEnvelope& envelope,
                                    std::int64_t wall_ms, LogSink& sink) {
  const auto found = source.lanes.find(envelope.writer);
  if (found != source.lanes.end()) return found->second;
  if (source.lanes.size() >= kLanesMax) {
    const auto oldest = std::min_element(source.lanes.begin(), source.lanes.end(),
                                         [](const auto& a, const auto& b) {
                                           return a.second.last_input_at < b.second.last_input_at;
                                         });
    end_lane(oldest->second, wall_ms, sink);
    source.lanes.erase(oldest);
  }
  Lane& made = source.lanes
                   .emplace(std::piecewise_construct, std::forward_as_tuple(envelope.writer),
                            std::forward_as_tuple(source, options_, patterns()))
                   .first->second;
  made.container.assign(envelope.container);
  return made;
}

/// Emits what a lane holds.
void LogParser::end_lane(Lane& lane, std::int64_t wall_ms, LogSink& sink) {
  Handover handover(*this, lane, wall_ms, sink);
  if (!lane.parts.empty()) {
    LogGrouper::Line line;
    const std::string parts = std::exchange(lane.parts, {});
    line.text = parts;
    line.cut = std::exchange(lane.parts_cut, false);
    line.outer_time_ms = lane.parts_time_ms;
    take_text(lane, line, handover);
  }
  lane.events.flush(handover);
  remove_from_index(lane);
}

void LogParser::remove_from_index(Lane& lane) {
  if (std::exchange(lane.indexed, false)) under_way_.erase(lane.place);
}

/// Notes input of a lane at `now`.
void LogParser::touch(Lane& lane, Nanos now) {
  lane.last_input_at = now;
  if (!lane.events.pending()) return remove_from_index(lane);
  if (lane.indexed)
    under_way_.splice(under_way_.end(), under_way_, lane.place);
  else
    lane.place = under_way_.insert(under_way_.end(), &lane);
  lane.indexed = true;
}

/// Whether a line without a header counts as broken JSON: where JSON is the only format, any line
/// outside a stack trace; among lines of JSON, one that begins with a brace.
bool LogParser::should_be_json(const Lane& lane, std::string_view line) const {
  if (patterns_.any() || line.empty()) return false;
  if (options_.formats == kLogJson) return classify_trace_line(line) == TraceLine::kPlain;
  return lane.json && line.front() == '{';
}

/// The line as valid UTF-8 without colours, cut to the limit of an event.
std::string_view LogParser::clean(std::string_view line, bool& malformed) {
  if (valid_utf8_prefix(line) != line.size()) {
    malformed = true;
    Utf8Decoder decoder;
    line = decoder.decode(line, decoded_);
    if (decoder.holding()) {
      // Only an incomplete character at the end is held, so the rest was copied.
      decoded_.append(decoder.finish());
      line = decoded_;
    }
    if (line.size() > options_.event.bytes) {
      line = line.substr(0, options_.event.bytes);
      line = line.substr(0, valid_utf8_prefix(line));
    }
  }
  if (line.find(kEscape) != std::string_view::npos) {
    remove_colours(line, uncoloured_);
    line = uncoloured_;
  }
  return line;
}

void LogParser::flush(Nanos now, std::int64_t wall_ms, LogSink& sink) {
  while (!under_way_.empty() && next_deadline() <= now) {
    Lane& lane = *under_way_.front();
    remove_from_index(lane);
    Handover handover(*this, lane, wall_ms, sink);
    lane.events.flush(handover);
  }
}

Nanos LogParser::next_deadline() const {
  return under_way_.empty() ? kNever
                            : deadline_after(under_way_.front()->last_input_at, options_.flush);
}

void LogParser::end_source(SourceId id, std::int64_t wall_ms, LogSink& sink) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  Source& source = found->second;
  const auto take = [&](const LogLine& line) { take_line(source, line, 0, wall_ms, sink); };
  source.lines.push(source.decoder.finish(converted_), take);
  source.lines.finish(take);
  end_lane(source.main, wall_ms, sink);
  for (auto& [writer, lane] : source.lanes) end_lane(lane, wall_ms, sink);
  source.lanes.clear();
}

void LogParser::forget(SourceId id) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  remove_from_index(found->second.main);
  for (auto& [writer, lane] : found->second.lanes) remove_from_index(lane);
  sources_.erase(found);
}

void LogParser::end(std::int64_t wall_ms, LogSink& sink) {
  for (const auto& [id, source] : sources_) end_source(id, wall_ms, sink);
}

LogParser::Stats LogParser::source_stats(SourceId id) const {
  const auto found = sources_.find(id);
  return found == sources_.end() ? Stats() : found->second.stats;
}

}  // namespace sluice
