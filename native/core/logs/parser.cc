#include "core/logs/parser.h"

#include <algorithm>
#include <utility>

#include "core/base/utf8.h"
#include "core/logs/stack_trace.h"

namespace sluice {
namespace {

constexpr char kEscape = '\x1b';

/// Removes the sequences that colour a terminal (ECMA-48 5.4: ESC [ ... final byte).
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
    if (at < line.size()) ++at;
  }
}

}  // namespace

/// Completes a source's events on their way out, and counts them.
class LogParser::Handover final : public LogSink {
 public:
  Handover(LogParser& parser, SourceId id, Source& source, std::int64_t wall_ms, LogSink& sink)
      : parser_(parser), id_(id), source_(source), wall_ms_(wall_ms), sink_(sink) {}

  void on_event(const LogEvent& given) override {
    LogEvent event = given;
    event.source = id_;
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
  SourceId id_;
  Source& source_;
  std::int64_t wall_ms_;
  LogSink& sink_;
};

LogParser::LogParser(Options options, LogPatterns patterns)
    : options_(options),
      patterns_(std::move(patterns)),
      headers_(options.formats, options.times),
      errors_(options.errors) {}

LogParser::Source& LogParser::source_of(SourceId id) {
  const auto found = sources_.find(id);
  if (found != sources_.end()) return found->second;
  LogPatterns* const patterns = patterns_.any() ? &patterns_ : nullptr;
  Source made{LogLineSplitter(options_.event.bytes), LogGrouper(options_.event, patterns), {}};
  return sources_.emplace(id, std::move(made)).first->second;
}

void LogParser::push(SourceId id, std::string_view bytes, Nanos now, std::int64_t wall_ms,
                     LogSink& sink) {
  flush(now, wall_ms, sink);
  if (bytes.empty()) return;
  Source& source = source_of(id);
  source.heard_at = now;
  source.stats.bytes += bytes.size();
  stats_.bytes += bytes.size();
  Handover handover(*this, id, source, wall_ms, sink);
  source.lines.push(bytes, [&](const LogLine& line) { take_line(source, line, handover); });
}

void LogParser::take_line(Source& source, const LogLine& line, LogSink& sink) {
  LogGrouper::Line taken;
  taken.cut = line.cut;
  taken.text = clean(line.bytes, taken.malformed);
  taken.header = headers_.read(taken.text);
  if (!taken.header.found()) taken.header.malformed = should_be_json(source, taken.text);
  source.json = source.json || taken.header.format == kLogJson;
  // The rest of a line that was cut cannot be blamed on who wrote it.
  if (line.cut) taken.header.malformed = false;
  taken.malformed = taken.malformed || taken.header.malformed;
  if (source.events.overrides(taken.header)) taken.header = {};
  for (Stats* stats : {&stats_, &source.stats}) {
    ++stats->lines;
    if (taken.malformed) ++stats->malformed;
  }
  source.events.take(taken, sink);
}

/// Whether a line that is of no format would have to be JSON: where nothing else is looked for,
/// what is of no stack trace; in a source that has written JSON, what begins with a brace.
bool LogParser::should_be_json(const Source& source, std::string_view line) const {
  if (patterns_.any() || line.empty()) return false;
  if (options_.formats == kLogJson) return classify_trace_line(line) == TraceLine::kPlain;
  return source.json && line.front() == '{';
}

/// The line as valid UTF-8 without colours, and not longer than an event may be.
std::string_view LogParser::clean(std::string_view line, bool& malformed) {
  if (valid_utf8_prefix(line) != line.size()) {
    malformed = true;
    Utf8Decoder decoder;
    line = decoder.decode(line, decoded_);
    if (decoder.holding()) {
      // Only a character that the line's end cuts off is held, so the rest was copied.
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
  for (auto& [id, source] : sources_) {
    if (!source.events.pending()) continue;
    if (deadline_after(source.heard_at, options_.flush) > now) continue;
    Handover handover(*this, id, source, wall_ms, sink);
    source.events.flush(handover);
  }
}

Nanos LogParser::next_deadline() const {
  Nanos next = kNever;
  for (const auto& [id, source] : sources_) {
    if (!source.events.pending()) continue;
    next = std::min(next, deadline_after(source.heard_at, options_.flush));
  }
  return next;
}

void LogParser::end_source(SourceId id, std::int64_t wall_ms, LogSink& sink) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  Source& source = found->second;
  Handover handover(*this, id, source, wall_ms, sink);
  source.lines.finish([&](const LogLine& line) { take_line(source, line, handover); });
  source.events.flush(handover);
}

void LogParser::end(std::int64_t wall_ms, LogSink& sink) {
  for (const auto& [id, source] : sources_) end_source(id, wall_ms, sink);
}

LogParser::Stats LogParser::source_stats(SourceId id) const {
  const auto found = sources_.find(id);
  return found == sources_.end() ? Stats() : found->second.stats;
}

}  // namespace sluice
