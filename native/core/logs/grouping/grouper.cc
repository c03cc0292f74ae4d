#include "core/logs/grouping/grouper.h"

#include <algorithm>
#include <utility>

#include "core/logs/line/scan.h"

namespace sluice {
namespace {

/// Kept for the summary of the line that names an error.
constexpr std::size_t kExceptionBytesMax = 512;
/// Limits of the lines held until a frame shows whether they belong to an exception.
constexpr std::size_t kHeldLinesMax = 1000;
constexpr std::size_t kHeldBytesMax = std::size_t{1} << 20;
/// A buffer beyond this size is freed after its event.
constexpr std::size_t kKeptCapacityBytes = std::size_t{64} << 10;

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

bool matches_any(std::vector<LogPattern>& patterns, std::string_view line) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [line](LogPattern& pattern) { return pattern.matches(line); });
}

}  // namespace

bool LogPatterns::begins(std::string_view line) {
  if (matches_any(start, line)) return true;
  if (continuation.empty()) return false;
  return !matches_any(continuation, line);
}

void LogGrouper::take(const Line& line, LogSink& sink) {
  if (line.continues && pending_) return append(line.text, line.malformed, line.cut);
  if (patterns_ != nullptr) return take_by_pattern(line, sink);
  if (std::exchange(awaits_message_, false) && take_awaited(line)) return;
  if (!line.header.found()) return take_plain(line, sink);
  flush(sink);
  begin(line);
  if (line.header.closed()) return emit(sink);
  trace_.begin_headed(line.header.level);
  awaits_message_ = line.header.awaits_message;
}

/// Joins the second line of a header of two lines; false for any other line.
bool LogGrouper::take_awaited(const Line& line) {
  const std::size_t text_at = line.text.find_first_not_of(" \t");
  if (blanks_ > 0 || text_at == std::string_view::npos) return false;
  const LogHeader& header = line.header;
  const bool level = header.format == kLogLevelled && header.time_ms == kNoTime;
  if (level_ == LogLevel::kNone ? !level : text_at == 0 || header.found()) return false;
  if (level) {
    level_ = header.level;
    trace_.begin_headed(level_);
  }
  append(line.text, line.malformed, line.cut);
  exception_.assign(
      clip_utf8(line.text.substr(level ? header.message_at : text_at), kExceptionBytesMax));
  return true;
}

void LogGrouper::take_by_pattern(const Line& line, LogSink& sink) {
  const TraceLine kind = classify_trace_line(line.text);
  if (!pending_ || patterns_->begins(line.text)) {
    if (kind == TraceLine::kBlank) return;
    flush(sink);
    begin(line);
    trace_.begin_plain(kind, line.text);
    return;
  }
  if (kind == TraceLine::kBlank) {
    ++blanks_;
    return;
  }
  if (kind == TraceLine::kExceptionHead && exception_.empty()) {
    exception_.assign(clip_utf8(line.text, kExceptionBytesMax));
    level_ = level_ == LogLevel::kNone ? LogLevel::kError : level_;
  }
  append(line.text, line.malformed, line.cut);
}

void LogGrouper::take_plain(const Line& line, LogSink& sink) {
  const TraceLine kind = classify_trace_line(line.text);
  if (kind == TraceLine::kBlank) {
    // Before any event a blank line is nothing.
    if (pending_) ++blanks_;
    return;
  }
  const TraceVerdict verdict =
      pending_ ? trace_.next(kind, line.text, blanks_) : TraceVerdict::kStart;
  if (verdict == TraceVerdict::kStart) {
    flush(sink);
    begin(line);
    trace_.begin_plain(kind, line.text);
    return;
  }
  if (verdict == TraceVerdict::kTentative ||
      (verdict == TraceVerdict::kFollow && !tentative_.empty())) {
    if (hold(line)) return;
    // So many lines without a frame are no message of an exception.
    release_tentative(sink);
    return take_plain(line, sink);
  }
  confirm_tentative();
  append(line.text, line.malformed, line.cut);
  if (verdict == TraceVerdict::kException) {
    const std::size_t at = std::min(line.text.find_first_not_of(" \t|"), line.text.size());
    exception_.assign(clip_utf8(line.text.substr(at), kExceptionBytesMax));
  }
}

void LogGrouper::begin(const Line& line) {
  const LogHeader& header = line.header;
  pending_ = true;
  time_ms_ = header.time_ms == kNoTime ? line.outer_time_ms : header.time_ms;
  level_ = header.level;
  outer_level_ = line.outer_level;
  message_at_ = std::min(header.message_at, line.text.size());
  structured_ = !header.message.empty();
  message_.assign(header.message);
  exception_.assign(clip_utf8(header.error, kExceptionBytesMax));
  append(line.text, line.malformed, line.cut);
}

void LogGrouper::append(std::string_view text, bool malformed, bool cut) {
  malformed_ = malformed_ || malformed;
  if (truncated_) return;
  const std::size_t lines = lines_ + blanks_ + 1;
  const std::size_t separators = lines_ == 0 ? 0 : blanks_ + 1;
  if (lines_ > 0 &&
      (lines > limits_.lines || text_.size() + separators + text.size() > limits_.bytes)) {
    truncated_ = true;
    return;
  }
  text_.append(separators, '\n');
  text_.append(text);
  lines_ = lines;
  blanks_ = 0;
  truncated_ = cut;
}

/// False when the limits of what may be held are reached.
bool LogGrouper::hold(const Line& line) {
  if (tentative_.size() >= kHeldLinesMax) return false;
  if (tentative_bytes_ + line.text.size() > kHeldBytesMax) return false;
  tentative_bytes_ += line.text.size();
  tentative_.push_back({std::string(line.text), std::exchange(blanks_, 0), line.malformed, line.cut,
                        line.outer_time_ms, line.outer_level});
  return true;
}

void LogGrouper::confirm_tentative() {
  if (tentative_.empty()) return;
  const std::uint32_t blanks = blanks_;  // behind them
  for (const Held& held : std::exchange(tentative_, {})) {
    blanks_ = held.blanks;
    append(held.text, held.malformed, held.cut);
  }
  tentative_bytes_ = 0;
  blanks_ = blanks;
}

void LogGrouper::flush(LogSink& sink) {
  // Releasing may hold lines again, fewer each time.
  while (!tentative_.empty()) release_tentative(sink);
  if (pending_) emit(sink);
}

/// Ends the event before the tentative lines and takes them again, the first as a beginning.
void LogGrouper::release_tentative(LogSink& sink) {
  const std::vector<Held> lines = std::exchange(tentative_, {});
  const std::uint32_t blanks = blanks_;  // behind them
  tentative_bytes_ = 0;
  emit(sink);
  for (const Held& held : lines) {
    blanks_ = held.blanks;
    take_plain(
        {held.text, {}, held.malformed, held.cut, false, held.outer_time_ms, held.outer_level},
        sink);
  }
  blanks_ = blanks;
}

std::string_view LogGrouper::summarise(std::string_view message) {
  const std::string_view line = first_line(message);
  if (exception_.empty() || line.find(exception_) != std::string_view::npos) return line;
  if (trace_.first_line_announces() || line.empty()) return exception_;
  summary_.assign(line).append(": ").append(exception_);
  return summary_;
}

void LogGrouper::emit(LogSink& sink) {
  LogEvent event;
  event.time_ms = time_ms_;
  event.level = level_ == LogLevel::kNone ? std::max(trace_.level(), outer_level_) : level_;
  event.text = text_;
  event.message = structured_ ? std::string_view(message_)
                              : std::string_view(text_).substr(std::min(message_at_, text_.size()));
  event.malformed = malformed_;
  event.truncated = truncated_;
  event.summary =
      event.level >= LogLevel::kError ? summarise(event.message) : first_line(event.message);
  pending_ = false;
  sink.on_event(event);
  text_.clear();
  if (text_.capacity() > kKeptCapacityBytes) text_.shrink_to_fit();
  lines_ = 0;
  blanks_ = 0;
  malformed_ = false;
  truncated_ = false;
  trace_ = TraceState();
}

}  // namespace sluice
