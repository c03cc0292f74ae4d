// Fuzzes the faces: for any entries of a log each frame is a block with one line of data, the
// data are JSON, and a later reader receives the same bytes.
//
// The first byte of the input chooses the dialect, the rest the entries of the log.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/faces/face_options.h"
#include "core/faces/json_cursor.h"
#include "core/streams/job.h"
#include "fuzz.h"

namespace {

using namespace sluice;

FaceOptions options_of(std::size_t choice, std::uint64_t after) {
  FaceOptions options;
  options.dialect = static_cast<FaceOptions::Dialect>(1 + choice % 5);
  options.id = "id-T";
  options.tail = "T";
  options.model = "small";
  options.created = 1'700'000'000;
  options.include_usage = choice % 2 == 0;
  options.reasoning_summary = choice % 3 == 0;
  options.background = choice % 7 == 0;
  options.after = after;
  return options;
}

JobOptions job_options() {
  JobOptions options;
  options.job_id = "job_T";
  options.prompt_tokens = 7;
  return options;
}

std::string valid_text(std::string_view bytes) {
  std::string scratch;
  Utf8Decoder decoder;
  std::string text(decoder.decode(bytes, scratch));
  return text.append(decoder.finish());
}

void fill(FuzzInput& input, EventLog& log) {
  bool in_call = false;
  while (!input.empty()) {
    const auto kind = static_cast<EntryKind>(input.below(6));
    const std::string text = valid_text(input.text());
    switch (kind) {
      case EntryKind::kToolCall: {
        const std::string name = valid_text(input.text());
        log.append(Entry{kind, text, name});
        break;
      }
      case EntryKind::kToolArguments:
        if (in_call) log.append(Entry{kind, text});
        continue;
      case EntryKind::kExtra:
        // A producer writes valid JSON.
        if (text.starts_with('{') && is_json(text)) log.append(Entry{kind, text});
        break;
      default:
        if (!text.empty()) log.append(Entry{kind, text});
        break;
    }
    in_call = kind == EntryKind::kToolCall;
  }
}

// Consecutive arguments belong to the same call.
std::string frames_of(std::size_t choice, std::uint64_t after, const Job& job) {
  const std::unique_ptr<Face> face = make_face(options_of(choice, after));
  std::string out;
  face->open(out);
  for (std::uint64_t seq = 1;; ++seq) {
    const EventLog::Event event = job.log.read({job.log.attempt(), seq});
    if (event.kind == EventLog::EventKind::kNone) return out;
    face->write(out, 0, job, event);
  }
}

std::vector<std::size_t> check_blocks(std::string_view frames) {
  std::vector<std::size_t> ends;
  std::size_t at = 0;
  while (at < frames.size()) {
    const std::size_t end = frames.find("\n\n", at);
    require(end != std::string_view::npos, "a blank line ends each block");
    std::size_t data_lines = 0;
    for (std::string_view block = frames.substr(at, end + 1 - at); !block.empty();) {
      const std::string_view line = block.substr(0, block.find('\n'));
      block.remove_prefix(line.size() + 1);
      if (!line.starts_with("data: ")) {
        require(line.starts_with("id: ") || line.starts_with("event: "), "no other line");
        continue;
      }
      ++data_lines;
      const std::string_view data = line.substr(6);
      require(data == "[DONE]" || is_json(data), "data are JSON");
    }
    require(data_lines == 1, "one line of data");
    at = end + 2;
    ends.push_back(at);
  }
  return ends;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::size_t choice = input.byte();
  Job job(1, job_options(), EventLog(std::size_t{1} << 24), 0);
  fill(input, job.log);
  Terminal terminal;
  if (choice % 11 == 0) {
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = "upstream_stalled";
    terminal.error_message = "The upstream is \"silent\".";
    terminal.error_type = "upstream_error";
  } else {
    terminal.reason = choice % 13 == 0 ? "length" : "stop";
    terminal.usage = Usage{3, 2};
  }
  job.log.end(std::move(terminal));
  job.status = Job::Status::kEnded;
  const std::string frames = frames_of(choice, 0, job);
  require(frames.find('\r') == std::string::npos, "no carriage return");
  const std::vector<std::size_t> ends = check_blocks(frames);
  const std::size_t after = ends.empty() ? 0 : choice % (ends.size() + 1);
  const std::string rest = frames_of(choice, after, job);
  require(rest == frames.substr(after == 0 ? 0 : ends[after - 1]), "a later reader gets the rest");
  return 0;
}
