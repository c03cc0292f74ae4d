// The JSON of a log's entries: in events, and as one answer.
#pragma once

#include <string>
#include <string_view>

#include "core/streams/event_log.h"

namespace sluice {

/// Appends the members that an entry has in the data of its event, each after a comma.
void append_entry_members(std::string& out, const EventLog::Event& event);

/// The SSE event type of an entry: token, reasoning, refusal, tool_call, extra.
std::string_view event_type(EntryKind kind);

/// Appends the text of a log as `"text"`, and `"reasoning"`, `"refusal"` and `"tool_calls"` (in the
/// form of a chat message) where the log has any; each after a comma. A call without its first
/// entry, which the byte cap has dropped, is left out.
void append_answer(std::string& out, const EventLog& log);

/// Appends `"items"` after a comma: the entries in their order, adjacent ones of one kind (and
/// call) as one item:
/// - `{kind: "text", text, logprobs?}`, `logprobs` with the raw values of its entries
/// - `{kind: "reasoning", text}`, `{kind: "refusal", text}`
/// - `{kind: "tool_call", id, name, arguments}`
/// - `{kind: "extra", delta}`, one for each entry
void append_items(std::string& out, const EventLog& log);

/// A JSON object of the known members; empty if there are none.
std::string head_json(const AnswerHead& head);
/// The usage as a JSON object.
std::string usage_json(const Usage& usage);

/// Appends `"head"` after a comma, with its known members; nothing if there are none.
void append_head(std::string& out, const AnswerHead& head);

/// Appends `"usage"` without a comma.
void append_usage(std::string& out, const Usage& usage);

}  // namespace sluice
