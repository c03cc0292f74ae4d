// The entries of logs in Redis: written, read back, refused.
#include "core/replication/entry_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

EntryViews views_of(const EntryFields& fields) {
  return {fields.begin(), fields.end()};
}

// The events of an entry: kind, call, text, aux data.
std::vector<std::string> events_of(const LogEntry& entry) {
  std::vector<std::string> lines;
  for (const ReplicaEvent& event : entry.events) {
    const std::string kind = event.kind ? std::to_string(static_cast<int>(*event.kind)) : "?";
    lines.push_back(
        (event.type.empty() ? kind + " " + std::to_string(event.call) : std::string(event.type)) +
        " " + std::string(event.text) + "|" + std::string(event.aux));
  }
  return lines;
}

std::vector<std::string> events_of(const EventLog& log) {
  std::vector<std::string> lines;
  for (std::uint64_t seq = log.trimmed() + 1; seq <= log.entry_count(); ++seq) {
    const EventLog::Event event = log.read({log.attempt(), seq});
    const std::string kind = event.type.empty() ? std::to_string(static_cast<int>(event.entry)) +
                                                      " " + std::to_string(event.call)
                                                : std::string(event.type);
    lines.push_back(kind + " " + std::string(event.text) + "|" + std::string(event.aux));
  }
  return lines;
}

void append_all_kinds(EventLog& log) {
  log.append("H\xc3\xa9llo");
  log.append("");
  log.append({.text = "logged", .aux = R"({"content":[]})"});
  log.append({.kind = EntryKind::kReasoning, .text = "think\r\n"});
  log.append({.kind = EntryKind::kRefusal, .text = "no"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{\"x\":"});
  log.append({.kind = EntryKind::kToolArguments, .text = "1}"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_b", .aux = ""});
  log.append({.kind = EntryKind::kToolArguments, .text = ""});
  log.append({.kind = EntryKind::kExtra, .text = R"({"signature":"s"})"});
  log.append_typed("node_started", R"({"node":"a"})");
  log.append({.text = "between", .aux = "[1]"});
  log.append_typed("page", "{}");
  log.append("end");
}

TEST(EntryFormat, GivesEveryKindBackFromAnyPlace) {
  EventLog log(1 << 20);
  append_all_kinds(log);
  const std::vector<std::string> all = events_of(log);
  for (std::uint64_t seq = 1; seq <= log.entry_count(); ++seq) {
    const TokenRun run = log.copy_from(seq);
    EntryWriter writer(run);
    EntryFields fields;
    ASSERT_EQ(writer.next(fields), log.entry_count());
    LogEntry entry;
    ASSERT_TRUE(entry.read("1-" + std::to_string(log.entry_count()), views_of(fields))) << seq;
    EXPECT_EQ(entry.kind, LogEntry::Kind::kEvents);
    EXPECT_EQ(
        events_of(entry),
        (std::vector<std::string>(all.begin() + static_cast<std::ptrdiff_t>(seq - 1), all.end())));
    EXPECT_EQ(writer.next(fields), 0u);
  }
}

TEST(EntryFormat, PlainTextIsTextAndLengthsAlone) {
  EventLog log(1 << 20);
  log.append("one");
  const TokenRun one = log.copy_from(1);
  EntryFields fields;
  EntryWriter(one).next(fields);
  EXPECT_EQ(fields, (EntryFields{"t", "one"}));
  log.append("");
  log.append("three");
  const TokenRun three = log.copy_from(1);
  fields.clear();
  EntryWriter(three).next(fields);
  EXPECT_EQ(fields, (EntryFields{"t", "onethree", "e", "3,0,5"}));
}

TEST(EntryFormat, AnEventOfATypeOfItsOwnIsAKindWithItsTypeAsAuxData) {
  EventLog log(1 << 20);
  log.append_typed("node_started", R"({"node":"a"})");
  log.append_typed("token", R"({"node":"a","token":"x"})");
  const TokenRun run = log.copy_from(1);
  EntryFields fields;
  EntryWriter(run).next(fields);
  EXPECT_EQ(fields, (EntryFields{"t", R"({"node":"a"}{"node":"a","token":"x"})", "e", "12,24", "k",
                                 "y:12,y:5", "a", "node_startedtoken"}));
}

TEST(EntryFormat, SplitsRunsByCountAndBytes) {
  EventLog log(64 << 20);
  for (int i = 0; i < 1500; ++i) log.append("x");
  log.append({.kind = EntryKind::kToolCall, .text = "c", .aux = "f"});
  const std::string large(40'000, 'y');
  for (int i = 0; i < 3; ++i) log.append({.kind = EntryKind::kToolArguments, .text = large});
  log.append({.kind = EntryKind::kToolArguments, .text = std::string(100'000, 'z')});
  const TokenRun run = log.copy_from(1);
  EntryWriter writer(run);
  std::vector<std::uint64_t> ends;
  std::vector<std::string> all;
  for (EntryFields fields;; fields.clear()) {
    const std::uint64_t last = writer.next(fields);
    if (last == 0) break;
    ends.push_back(last);
    LogEntry entry;
    ASSERT_TRUE(entry.read("1-" + std::to_string(last), views_of(fields)));
    for (std::string& each : events_of(entry)) all.push_back(std::move(each));
  }
  EXPECT_EQ(ends, (std::vector<std::uint64_t>{1024, 1502, 1503, 1504, 1505}));
  EXPECT_EQ(all, events_of(log));
}

TEST(EntryFormat, ReadsBeginningsTypedEventsAndUnknownKinds) {
  LogEntry entry;
  ASSERT_TRUE(entry.read("2-0", {"r", "{}"}));
  EXPECT_EQ(entry.kind, LogEntry::Kind::kBegin);
  EXPECT_EQ(entry.members, "");
  ASSERT_TRUE(entry.read("2-0", {"r", R"({"upstream":"b"})", "q", "later"}));
  EXPECT_EQ(entry.members, R"({"upstream":"b"})");
  ASSERT_TRUE(entry.read("1-7", {"y", "node_started", "d", R"({"node":"a"})"}));
  EXPECT_EQ(entry.kind, LogEntry::Kind::kTyped);
  EXPECT_EQ(entry.type, "node_started");
  ASSERT_TRUE(entry.read("1-7", {"q", "later", "unknown", "field"}));
  EXPECT_EQ(entry.kind, LogEntry::Kind::kUnknown);
  ASSERT_TRUE(entry.read("1-7", {"t", "ab", "e", "1,1", "k", "w3:0,t"}));
  EXPECT_EQ(events_of(entry), (std::vector<std::string>{"? 3 a|", "0 0 b|"}));
}

TEST(EntryFormat, RefusesMalformedEntries) {
  const std::vector<std::pair<std::string, EntryViews>> malformed = {
      {"", {"t", "a"}},
      {"1", {"t", "a"}},
      {"0-1", {"t", "a"}},
      {"1-01", {"t", "a"}},
      {"1-1 ", {"t", "a"}},
      {"1-1", {"t"}},                  // a name without a value
      {"1-1", {"t", "{}", "k", "y"}},  // no type
      {"1-1", {"t", "{}", "k", "y0:1", "a", "p"}},
      {"1-1", {"t", "{}", "k", "y:1", "a", "P"}},
      {"1-1", {"t", "[]", "k", "y:1", "a", "p"}},
      {"1-1", {"t", "\xff"}},            // no UTF-8
      {"1-1", {"t", "ab", "e", "1,1"}},  // more events than ids
      {"1-2", {"t", "ab", "e", "1"}},    // bytes left over
      {"1-2", {"t", "ab", "e", "1,2"}},  // bytes missing
      {"1-2", {"t", "ab", "e", "1,"}},
      {"1-2", {"t", "ab", "e", "1,1,"}},
      {"1-2", {"t", "ab", "e", ""}},
      {"1-2", {"t", "ab", "e", "-1,3"}},
      {"1-2", {"t", "ab", "e", "99999999999999999999,1"}},
      {"1-2", {"t", "\xc3\xa9", "e", "1,1"}},  // within a character
      {"1-1", {"t", "a", "k", ""}},
      {"1-1", {"t", "a", "k", "t,t"}},
      {"1-1", {"t", "a", "k", "g"}},                 // a call without an index
      {"1-1", {"t", "a", "k", "t0"}},                // an index without a call
      {"1-1", {"t", "a", "k", "t:2", "a", "["}},     // aux data missing
      {"1-1", {"t", "a", "k", "t:1", "a", "["}},     // no JSON
      {"1-1", {"t", "a", "k", "t:3", "a", "[\n]"}},  // two lines
      {"1-1", {"t", "a", "k", "t", "a", "[]"}},      // aux data of nothing
      {"1-1", {"t", "a", "a", "[]"}},
      {"1-1", {"t", "a", "k", "r:2", "a", "[]"}},  // reasoning has none
      {"1-1", {"t", "a", "k", "x"}},               // no JSON object
      {"1-1", {"t", "[]", "k", "x"}},
      {"1-1", {"r", "{}"}},  // a beginning has the seq 0
      {"1-0", {"r", "[]"}},
      {"1-0", {"r", "{"}},
      {"1-0", {"t", "a"}},
      {"1-1", {"y", "page\ndata: x", "d", "{}"}},
      {"1-1", {"y", "", "d", "{}"}},
      {"1-1", {"y", "page"}},
      {"1-1", {"y", "page", "d", "{\n}"}},
      {"1-1", {"t", "a", "h", "[]"}},
      {"1-1", {"t", "a", "h", R"({"model":1})"}},
      {"1-1", {"t", "a", "s", R"({"started":-1})"}},
      {"1-1", {"t", "a", "s", R"({"started":9007199254740992})"}},
      {"1-1", {"x", "{}"}},  // without f
      {"1-1", {"x", "{}", "f", "{}"}},
      {"1-1", {"x", R"({"type":"job_complete","data":{}})", "f", R"({"restore":{}})"}},
      {"1-1",
       {"x", R"({"type":"a b","data":{}})", "f",
        R"({"restore":{"status":"completed","ended":1}})"}},
      {"1-1",
       {"x", R"({"type":"e","data":1})", "f", R"({"restore":{"status":"completed","ended":1}})"}},
  };
  for (std::size_t i = 0; i < malformed.size(); ++i) {
    LogEntry entry;
    EXPECT_FALSE(entry.read(malformed[i].first, malformed[i].second)) << "row " << i;
  }
}

TEST(EntryFormat, GivesAnEndingBack) {
  Terminal terminal;
  terminal.kind = Terminal::Kind::kError;
  terminal.error_code = "upstream_error";
  terminal.error_message = "\"Quoted\",\n\xc3\xa9 \x01";
  terminal.error_type = "server_error";
  terminal.details = R"({"a":[1,{"b":"}"}]})";
  const JobSpans spans{.started = 1, .first_token = kNever, .ended = (std::int64_t{1} << 52)};
  const JobEnding ending{.type = "job_error",
                         .data = R"({"job_id":"j","x":1.0})",
                         .state = R"({"status":"failed"})",
                         .prompt_tokens = 5};
  terminal.usage = Usage{.prompt_tokens = 3,
                         .completion_tokens = 4,
                         .estimated = true,
                         .raw = R"({"prompt_tokens":3,"completion_tokens":4,"z":1.50})"};
  const std::string x = ending_json(ending);
  EXPECT_EQ(x, R"({"type":"job_error","data":{"job_id":"j","x":1.0}})");
  const std::string f = final_json(ending, terminal, spans, {.model = "m\"1"}, 7);
  EXPECT_EQ(f.find(R"({"state":{"status":"failed"},"restore":{"status":"failed",)"), 0u);
  const std::optional<ReplicaEnding> read = parse_ending(x, f);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->type, "job_error");
  EXPECT_EQ(read->data, ending.data);
  EXPECT_EQ(read->terminal.kind, Terminal::Kind::kError);
  EXPECT_EQ(read->terminal.error_code, terminal.error_code);
  EXPECT_EQ(read->terminal.error_message, terminal.error_message);
  EXPECT_EQ(read->terminal.error_type, terminal.error_type);
  EXPECT_EQ(read->terminal.details, terminal.details);
  ASSERT_TRUE(read->terminal.usage.has_value());
  EXPECT_EQ(read->terminal.usage->raw, terminal.usage->raw);
  EXPECT_EQ(read->terminal.usage->prompt_tokens, 3u);
  EXPECT_EQ(read->prompt_tokens, 5u);
  EXPECT_EQ(read->spans.started, spans.started);
  EXPECT_EQ(read->spans.first_token, kNever);
  EXPECT_EQ(read->spans.ended, spans.ended);
  EXPECT_EQ(read->head.model, "m\"1");
  EXPECT_EQ(read->skipped_ids, 7u);
}

TEST(EntryFormat, AMessageIsAnEntry) {
  const EntryFields fields{"t", "a\r\n$1\r\n", "e", "", "k", std::string("\0", 1)};
  std::string_view id;
  EntryViews read;
  const std::string message = pack_message("1-12", fields);
  EXPECT_EQ(message.find("*7\r\n$4\r\n1-12\r\n$1\r\nt\r\n$7\r\n"), 0u);
  ASSERT_TRUE(unpack_message(message, id, read));
  EXPECT_EQ(id, "1-12");
  EXPECT_EQ(read, views_of(fields));
  for (std::size_t cut = 0; cut < message.size(); ++cut) {
    EXPECT_FALSE(unpack_message(std::string_view(message).substr(0, cut), id, read)) << cut;
  }
  for (const char* foreign : {"*0\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*999999999999\r\n", "x",
                              "*1\r\n$-1\r\n", "*1\r\n$1\r\na\r\nmore"}) {
    EXPECT_FALSE(unpack_message(foreign, id, read)) << foreign;
  }
}

}  // namespace
}  // namespace sluice
