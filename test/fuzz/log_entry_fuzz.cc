// Fuzzes the reader of log entries: on any bytes it stays inside them and terminates; an accepted
// entry can be appended to a log and sent to a client, and is the same once written and read again.
//
// Input: a message of a channel. Other input is read as fields, each with its
// length before it.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"
#include "core/replication/entry_format.h"
#include "fuzz.h"

namespace {

using namespace sluice;

bool is_text(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

bool is_line(std::string_view text) {
  return text.find_first_of("\r\n") == std::string_view::npos;
}

void check_events(const LogEntry& entry) {
  require(!entry.events.empty() && entry.events.size() <= entry.id.seq, "events have ids");
  EventLog log(std::size_t{1} << 30);
  for (const ReplicaEvent& event : entry.events) {
    require(is_text(event.text) && is_text(event.aux), "events are UTF-8");
    if (!event.kind) continue;
    if (*event.kind == EntryKind::kText && !event.aux.empty()) {
      require(is_json(event.aux) && is_line(event.aux), "logprobs are JSON on one line");
    }
    if (*event.kind == EntryKind::kExtra) {
      require(is_json(event.text) && is_line(event.text), "extras are JSON on one line");
    }
    log.append({.kind = *event.kind, .text = event.text, .aux = event.aux});
  }
  const TokenRun run = log.copy_from(1);
  EntryWriter writer(run);
  std::size_t read = 0;
  LogEntry again;
  for (EntryFields fields;; fields.clear()) {
    const std::uint64_t last = writer.next(fields);
    if (last == 0) break;
    require(again.read(to_string({1, last}), {fields.begin(), fields.end()}),
            "own entries are read");
    for (const ReplicaEvent& event : again.events) {
      const EventLog::Event original = log.read({1, ++read});
      require(event.kind == original.entry && event.text == original.text &&
                  event.aux == original.aux && event.call == original.call,
              "own entries are the same");
    }
  }
  require(read == log.entry_count(), "own entries are complete");
}

void check_ending(const ReplicaEnding& ending) {
  require(is_json(ending.data) && is_line(ending.data) && is_text(ending.data), "data is one line");
  require(is_line(ending.type) && !ending.type.empty(), "the type is one line");
  const Terminal& terminal = ending.terminal;
  require(is_text(terminal.reason) && is_text(terminal.error_message), "texts are UTF-8");
  const JobEnding written{.type = ending.type,
                          .data = ending.data,
                          .state = "{}",
                          .prompt_tokens = ending.prompt_tokens};
  const std::string f =
      final_json(written, terminal, ending.spans, ending.head, ending.skipped_ids);
  const std::optional<ReplicaEnding> again = parse_ending(ending_json(written), f);
  require(again.has_value(), "own endings are read");
  require(again->data == ending.data && again->type == ending.type &&
              again->terminal.details == terminal.details &&
              again->terminal.error_message == terminal.error_message &&
              again->spans.ended == ending.spans.ended && again->skipped_ids == ending.skipped_ids,
          "own endings are the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::string message(reinterpret_cast<const char*>(data), size);
  std::string_view id;
  EntryViews fields;
  if (!unpack_message(message, id, fields)) {
    fields.clear();
    id = input.text();
    while (!input.empty() && fields.size() < 32) fields.push_back(input.text());
  }
  LogEntry entry;
  if (!entry.read(id, fields)) return 0;
  require(entry.id.attempt >= 1, "attempts count from 1");
  switch (entry.kind) {
    case LogEntry::Kind::kEvents:
      check_events(entry);
      break;
    case LogEntry::Kind::kEnding:
      check_ending(*entry.ending);
      break;
    case LogEntry::Kind::kTyped:
      require(is_line(entry.type) && is_json(entry.data) && is_line(entry.data), "typed events");
      break;
    case LogEntry::Kind::kBegin:
      require(entry.id.seq == 0, "a beginning has the seq 0");
      break;
    case LogEntry::Kind::kUnknown:
      break;
  }
  return 0;
}
