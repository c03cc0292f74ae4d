#include "core/logs/line/envelope.h"

#include "core/base/ascii.h"
#include "core/logs/line/header.h"
#include "core/logs/line/level.h"
#include "core/logs/line/scan.h"

namespace sluice {
namespace {

/// The text after `web-1  | `; null where the line has no such prefix. Compose pads the names to a
/// column, so that at least two spaces follow; one is enough after a replica's number.
std::string_view compose_text(std::string_view line, std::string_view& name) {
  std::size_t end = 0;
  while (end < line.size() && (is_letter(line[end]) || is_digit(line[end]) || line[end] == '-' ||
                               line[end] == '_' || line[end] == '.')) {
    ++end;
  }
  const std::size_t bar = skip_spaces(line, end);
  if (end == 0 || bar == end || bar >= line.size() || line[bar] != '|') return {};
  name = line.substr(0, end);
  const std::size_t number = name.find_last_not_of("0123456789") + 1;
  const bool replica =
      number > 1 && number < end && (name[number - 1] == '-' || name[number - 1] == '_');
  if ((bar < end + 2 && !replica) || level_of_word(name) != LogLevel::kNone) return {};
  const std::size_t begin = bar + 1;
  if (begin == line.size()) return line.substr(begin);
  return line[begin] == ' ' ? line.substr(begin + 1) : std::string_view();
}

/// The text after `[pod/name/container] `; null where the line has no such prefix.
std::string_view kubectl_text(std::string_view line, std::string_view& name) {
  const std::size_t close = line.substr(0, kHeaderBytesMax).find(']');
  if (!line.starts_with("[pod/") || close == std::string_view::npos) return {};
  name = line.substr(1, close - 1);
  const std::size_t begin = close + 1;
  if (begin == line.size()) return line.substr(begin);
  return line[begin] == ' ' ? line.substr(begin + 1) : std::string_view();
}

/// Without the line end of an escaped text.
std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

LogEnvelope LogEnvelopeReader::read(std::string_view line) {
  if (line.size() < 5) return {};
  const char first = line.front();
  if (first == '{') return read_json(line);
  if ((formats_ & kLogContainer) == 0) return {};
  if (is_digit(first)) {
    const LogEnvelope cri = read_cri(line);
    if (cri.found || line[4] == '-') return cri;
  }
  LogEnvelope envelope;
  envelope.text = first == '[' ? kubectl_text(line, envelope.container)
                               : compose_text(line, envelope.container);
  envelope.found = envelope.text.data() != nullptr;
  envelope.writer = envelope.container;
  return envelope;
}

LogEnvelope LogEnvelopeReader::read_cri(std::string_view line) const {
  constexpr std::size_t kStreamBytes = 8;  // " stdout "
  if (line.size() < 30 || line[10] != 'T') return {};
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || !line.substr(space).starts_with(" std")) return {};
  const LogTime time = match_iso_time(line, context_);
  const std::size_t tag = time.end + kStreamBytes;
  if (time.end != space || tag >= line.size()) return {};
  const std::string_view stream = line.substr(time.end, kStreamBytes);
  if (stream != " stdout " && stream != " stderr ") return {};
  if (line[tag] != 'P' && line[tag] != 'F') return {};
  // Further tags may follow, separated by colons.
  const std::size_t end = std::min(line.find(' ', tag), line.size());
  if (end != tag + 1 && line[tag + 1] != ':') return {};
  LogEnvelope envelope;
  envelope.found = true;
  envelope.partial = line[tag] == 'P';
  envelope.time_ms = time.ms;
  envelope.writer = stream.substr(1, kStreamBytes - 2);
  envelope.text = line.substr(std::min(end + 1, line.size()));
  return envelope;
}

LogEnvelope LogEnvelopeReader::read_json(std::string_view line) {
  // Docker writes `log` first; journald's names are in upper case.
  const std::size_t name = skip_spaces(line, 1);
  const bool docker = (formats_ & kLogContainer) != 0 && line.substr(name).starts_with("\"log\"");
  const bool journald = (formats_ & kLogJournald) != 0 && !docker && name + 1 < line.size() &&
                        (line[name + 1] == '_' || is_upper(line[name + 1])) &&
                        line.find("\"__REALTIME_TIMESTAMP\"") != std::string_view::npos;
  if (!docker && !journald) return {};
  const LogRecord record = records_.read(line, context_);
  if (!record.well_formed || record.content.data() == nullptr) return {};
  LogEnvelope envelope;
  envelope.encoded = true;
  envelope.time_ms = record.time_ms;
  envelope.text = without_line_end(record.content);
  if (docker) {
    envelope.found = record.stream.data() != nullptr || record.time_ms != kNoTime;
    envelope.partial = !record.content.ends_with('\n');
    envelope.writer = record.stream;
    return envelope;
  }
  envelope.found = true;
  envelope.level = record.level;
  envelope.container = record.unit;
  writer_.assign(record.unit).append("/").append(record.process);
  envelope.writer = writer_;
  return envelope;
}

std::size_t runtime_timestamp_end(std::string_view line) {
  constexpr std::size_t kSecondsEnd = 19;  // 2026-11-21T03:56:14
  constexpr std::size_t kFractionEnd = kSecondsEnd + 10;
  if (line.size() <= kFractionEnd || line[10] != 'T' || line[kSecondsEnd] != '.' ||
      digits_end(line, kSecondsEnd + 1) != kFractionEnd) {
    return 0;
  }
  const LogTime time = match_iso_time(line, {});
  if (time.end <= kFractionEnd) return 0;
  if (time.end == line.size()) return time.end;
  return line[time.end] == ' ' ? time.end + 1 : 0;
}

}  // namespace sluice
