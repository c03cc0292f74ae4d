#include "core/logs/grouper.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

/// Of the line that names an error, and of a structured message's error, for the summary.
constexpr std::size_t kExceptionBytesMax = 512;
/// What is held until a frame says whether it belongs to an exception. A line of a message may be
/// as long as an event.
constexpr std::size_t kHeldLinesMax = 1000;
constexpr std::size_t kHeldBytesMax = std::size_t{1} << 20;
/// A buffer that a long event has blown up is given back beyond this size.
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
  if (patterns_ != nullptr) return take_by_pattern(line, sink);
  if (!line.header.found()) return take_plain(line, sink);
  flush(sink);
  begin(line);
  if (line.header.closed()) return emit(sink);
  trace_.begin_headed(line.header.level);
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
    exception_.assign(line.text.substr(0, kExceptionBytesMax));
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
  TraceVerdict verdict = TraceVerdict::kStart;
  if (pending_) verdict = trace_.next(kind, line.text, blanks_);
  const bool indented = kind == TraceLine::kIndented || kind == TraceLine::kCaret;
  if (verdict == TraceVerdict::kStart) {
    flush(sink);
    begin(line);
    trace_.begin_plain(kind, line.text);
    return;
  }
  if (verdict == TraceVerdict::kTentative || (indented && !tentative_.empty())) {
    if (hold(line)) return;
    // No frame has come in all these lines: they were no message of an exception.
    release_tentative(sink);
    return take_plain(line, sink);
  }
  confirm_tentative();
  append(line.text, line.malformed, line.cut);
  if (verdict == TraceVerdict::kException) {
    exception_.assign(line.text.substr(0, kExceptionBytesMax));
  }
}

void LogGrouper::begin(const Line& line) {
  const LogHeader& header = line.header;
  pending_ = true;
  time_ms_ = header.time_ms;
  level_ = header.level;
  message_at_ = std::min(header.message_at, line.text.size());
  structured_ = !header.message.empty();
  message_.assign(header.message);
  exception_.assign(header.error.substr(0, kExceptionBytesMax));
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

/// False where as much is held as may be.
bool LogGrouper::hold(const Line& line) {
  if (tentative_.size() >= kHeldLinesMax) return false;
  if (tentative_bytes_ + line.text.size() > kHeldBytesMax) return false;
  tentative_bytes_ += line.text.size();
  tentative_.push_back({std::string(line.text), line.malformed, line.cut});
  return true;
}

void LogGrouper::confirm_tentative() {
  if (tentative_.empty()) return;
  const std::uint32_t blanks = std::exchange(blanks_, 0);  // behind them
  for (const Held& held : tentative_) append(held.text, held.malformed, held.cut);
  tentative_.clear();
  tentative_bytes_ = 0;
  blanks_ = blanks;
}

void LogGrouper::flush(LogSink& sink) {
  if (!pending_) return;
  release_tentative(sink);
  emit(sink);
}

/// Tentative lines were no part of the event under way, which ends before them: each stands for
/// itself, with what is indented below it. The last of them is under way then.
void LogGrouper::release_tentative(LogSink& sink) {
  const std::vector<Held> held = std::exchange(tentative_, {});
  tentative_bytes_ = 0;
  for (const Held& each : held) {
    const TraceLine kind = classify_trace_line(each.text);
    const bool first = &each == &held.front();
    if (!first && trace_.next(kind, each.text, 0) != TraceVerdict::kStart) {
      append(each.text, each.malformed, each.cut);
      continue;
    }
    emit(sink);
    begin({each.text, {}, each.malformed, each.cut});
    trace_.begin_plain(kind, each.text);
  }
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
  event.level = level_ == LogLevel::kNone ? trace_.level() : level_;
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
