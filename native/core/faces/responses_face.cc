#include "core/faces/responses_face.h"

#include <algorithm>
#include <utility>

#include "core/streams/job.h"

namespace sluice {

using EventKind = EventLog::EventKind;

ResponsesFace::ResponsesFace(FaceOptions options)
    : options_(std::move(options)),
      frames_(options_.after),
      response_(options_),
      items_(options_.tail, options_.reasoning_summary) {}

// --- the life of a response

void ResponsesFace::open(std::string& out) {
  const std::string_view first = options_.background ? "queued" : "in_progress";
  write_lifecycle(out, "response.created", first);
  if (options_.background) write_lifecycle(out, "response.queued", first);
  write_lifecycle(out, "response.in_progress", "in_progress");
}

void ResponsesFace::write_lifecycle(std::string& out, std::string_view type,
                                    std::string_view status) {
  if (!begin(out, type)) return;
  out.append(",\"response\":");
  response_.append(out, {.status = status});
  out.append(kObjectEnd);
}

void ResponsesFace::keep_alive(std::string& out) {
  if (frames_.count() == 0) return;
  out.append("event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":");
  // A reader may have more frames than there are yet.
  append_json_number(out, std::max(frames_.count(), options_.after) - 1);
  out.append(kObjectEnd);
}

void ResponsesFace::write(std::string& out, std::uint32_t choice, const Job& job,
                          const EventLog::Event& event) {
  if (done_ || choice != 0) return;
  if (event.kind == EventKind::kEntry) write_entry(out, job.log, event);
  if (event.kind == EventKind::kTerminal) write_ending(out, job, event);
}

namespace {

/// How a response that has ended is described.
struct Ending {
  std::string_view event;
  ResponseObject::State state;
  std::string_view last_status;  // of its last item
};

Ending ending_of(const Terminal& terminal) {
  Ending ending{"response.completed", {.status = "completed"}, "completed"};
  switch (terminal.kind) {
    case Terminal::Kind::kComplete:
      if (terminal.reason == "length") ending.state.incomplete_reason = "max_output_tokens";
      if (terminal.reason == "content_filter") ending.state.incomplete_reason = "content_filter";
      if (ending.state.incomplete_reason.empty()) return ending;
      ending.event = "response.incomplete";
      ending.state.status = "incomplete";
      break;
    case Terminal::Kind::kError:
      ending.event = "response.failed";
      ending.state.status = "failed";
      ending.state.error = &terminal;
      break;
    case Terminal::Kind::kCancelled:
      // No event has the name of this status.
      ending.event = "response.incomplete";
      ending.state.status = "cancelled";
      break;
  }
  ending.last_status = "incomplete";
  return ending;
}

}  // namespace

void ResponsesFace::write_ending(std::string& out, const Job& job, const EventLog::Event& event) {
  const Ending ending = ending_of(job.log.terminal());
  close_item(out, job.log, event.id.seq, ending.last_status);
  done_ = true;
  if (!begin(out, ending.event)) return;
  out.append(",\"response\":");
  append_response(out, job, ending.state, event.id.seq, ending.last_status);
  out.append(kObjectEnd);
}

void ResponsesFace::append_response(std::string& out, const Job& job, ResponseObject::State state,
                                    std::uint64_t until, std::string_view last_status) const {
  const Usage usage = job.usage();
  const bool counted = job.log.ended() && (job.log.terminal().kind == Terminal::Kind::kComplete ||
                                           job.log.terminal().usage);
  if (counted) state.usage = &usage;
  state.model = job.log.head().model;
  state.service_tier = job.log.head().service_tier;
  std::string output;
  items_.append_output(output, job.log, until, last_status);
  state.output = output;
  response_.append(out, state);
}

void ResponsesFace::write_answer(std::string& out, const Job& job) const {
  const std::uint64_t until = job.log.entry_count() + 1;
  if (job.log.end_published()) {
    const Ending ending = ending_of(job.log.terminal());
    append_response(out, job, ending.state, until, ending.last_status);
    return;
  }
  const bool is_queued = job.status == Job::Status::kQueued && options_.background;
  append_response(out, job, {.status = is_queued ? "queued" : "in_progress"}, until, "in_progress");
}

// --- items and parts

void ResponsesFace::write_entry(std::string& out, const EventLog& log,
                                const EventLog::Event& event) {
  const std::optional<ItemType> type = item_type(event.entry);
  if (!type) return;
  const bool is_new_call = event.entry == EntryKind::kToolCall;
  if (event.entry == EntryKind::kToolArguments && item_ != ItemType::kCall) return;
  if (item_ != type || is_new_call) {
    close_item(out, log, event.id.seq, "completed");
    item_ = type;
    item_from_ = event.id.seq;
    part_index_ = 0;
    open_item(out, event);
  }
  if (is_new_call) return;
  if (part_ != event.entry) {
    if (part_) close_part(out, log, event.id.seq);
    part_ = event.entry;
    part_from_ = event.id.seq;
    set_delta_prefix(event.entry);
    open_part(out, event);
  }
  write_delta(out, event);
}

void ResponsesFace::open_item(std::string& out, const EventLog::Event& event) {
  if (!begin(out, "response.output_item.added")) return;
  out.append(",\"output_index\":");
  append_json_number(out, item_index_);
  out.append(",\"item\":{\"id\":\"");
  items_.append_id(out, *item_, item_index_);
  switch (*item_) {
    case ItemType::kMessage:
      out.append("\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\"");
      out.append(",\"content\":[]}");
      break;
    case ItemType::kReasoning:
      out.append("\",\"type\":\"reasoning\",\"status\":\"in_progress\",\"summary\":[]");
      out.append(options_.reasoning_summary ? "}" : ",\"content\":[]}");
      break;
    case ItemType::kCall:
      out.append("\",\"type\":\"function_call\",\"status\":\"in_progress\",\"call_id\":");
      append_json_string(out, event.text);
      append_text_member(out, "name", event.aux);
      out.append(",\"arguments\":\"\"}");
      break;
  }
  out.append(kObjectEnd);
}

void ResponsesFace::open_part(std::string& out, const EventLog::Event& event) {
  if (event.entry == EntryKind::kToolArguments) return;  // a call has no parts
  const bool is_summary = event.entry == EntryKind::kReasoning && options_.reasoning_summary;
  if (!begin(out, is_summary ? "response.reasoning_summary_part.added"
                             : "response.content_part.added")) {
    return;
  }
  append_part_place(out);
  out.append(",\"part\":");
  if (is_summary) {
    out.append("{\"type\":\"summary_text\",\"text\":\"\"}");
  } else if (event.entry == EntryKind::kReasoning) {
    out.append("{\"type\":\"reasoning_text\",\"text\":\"\"}");
  } else if (event.entry == EntryKind::kRefusal) {
    out.append("{\"type\":\"refusal\",\"refusal\":\"\"}");
  } else {
    out.append("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}");
  }
  out.append(kObjectEnd);
}

void ResponsesFace::set_delta_prefix(EntryKind kind) {
  switch (kind) {
    case EntryKind::kRefusal:
      delta_type_ = "response.refusal.delta";
      break;
    case EntryKind::kReasoning:
      delta_type_ = options_.reasoning_summary ? "response.reasoning_summary_text.delta"
                                               : "response.reasoning_text.delta";
      break;
    case EntryKind::kToolArguments:
      delta_type_ = "response.function_call_arguments.delta";
      break;
    default:
      delta_type_ = "response.output_text.delta";
      break;
  }
  delta_prefix_.clear();
  append_part_place(delta_prefix_);
  delta_prefix_.append(",\"delta\":");
}

void ResponsesFace::write_delta(std::string& out, const EventLog::Event& event) {
  if (!begin(out, delta_type_)) return;
  out.append(delta_prefix_);
  append_json_string(out, event.text);
  if (event.entry == EntryKind::kText) {
    out.append(",\"logprobs\":[");
    if (!event.aux.empty()) append_response_logprobs(out, event.aux, true);
    out.push_back(']');
  }
  out.append(kObjectEnd);
}

void ResponsesFace::close_part(std::string& out, const EventLog& log, std::uint64_t until) {
  const EntryKind kind = *part_;
  const EntrySpan span{part_from_, until};
  part_.reset();
  if (kind == EntryKind::kToolArguments) return;
  const bool is_summary = kind == EntryKind::kReasoning && options_.reasoning_summary;
  std::string_view type = "response.output_text.done";
  if (kind == EntryKind::kRefusal) type = "response.refusal.done";
  if (kind == EntryKind::kReasoning) {
    type = is_summary ? "response.reasoning_summary_text.done" : "response.reasoning_text.done";
  }
  if (begin(out, type)) {
    append_part_place(out);
    out.append(kind == EntryKind::kRefusal ? ",\"refusal\":\"" : ",\"text\":\"");
    append_entries(out, log, kind, span.from, span.until);
    out.push_back('"');
    if (kind == EntryKind::kText) {
      out.append(",\"logprobs\":[");
      ResponseItems::append_logprobs(out, log, span);
      out.push_back(']');
    }
    out.append(kObjectEnd);
  }
  if (begin(out,
            is_summary ? "response.reasoning_summary_part.done" : "response.content_part.done")) {
    append_part_place(out);
    out.append(",\"part\":");
    items_.append_part(out, log, kind, span);
    out.append(kObjectEnd);
  }
  ++part_index_;
}

void ResponsesFace::close_call(std::string& out, const EventLog& log, std::uint64_t until) {
  if (!begin(out, "response.function_call_arguments.done")) return;
  append_item_place(out);
  append_text_member(out, "name", log.read({log.attempt(), item_from_}).aux);
  out.append(",\"arguments\":\"");
  append_entries(out, log, EntryKind::kToolArguments, item_from_, until);
  out.push_back('"');
  out.append(kObjectEnd);
}

void ResponsesFace::close_item(std::string& out, const EventLog& log, std::uint64_t until,
                               std::string_view status) {
  if (!item_) return;
  if (part_) close_part(out, log, until);
  if (item_ == ItemType::kCall) close_call(out, log, until);
  if (begin(out, "response.output_item.done")) {
    out.append(",\"output_index\":");
    append_json_number(out, item_index_);
    out.append(",\"item\":");
    items_.append_item(out, log, {item_from_, until}, item_index_, status);
    out.append(kObjectEnd);
  }
  item_.reset();
  ++item_index_;
}

// --- the envelope

bool ResponsesFace::begin(std::string& out, std::string_view type) {
  if (!frames_.next()) return false;
  const std::uint64_t number = frames_.count() - 1;
  append_frame_id(out, number);
  out.append("event: ").append(type);
  out.append("\ndata: {\"type\":\"").append(type).append("\",\"sequence_number\":");
  append_json_number(out, number);
  return true;
}

void ResponsesFace::append_item_place(std::string& out) const {
  out.append(",\"item_id\":\"");
  items_.append_id(out, *item_, item_index_);
  out.append("\",\"output_index\":");
  append_json_number(out, item_index_);
}

void ResponsesFace::append_part_place(std::string& out) const {
  append_item_place(out);
  if (item_ == ItemType::kCall) return;
  const bool is_summary = item_ == ItemType::kReasoning && options_.reasoning_summary;
  out.append(is_summary ? ",\"summary_index\":" : ",\"content_index\":");
  append_json_number(out, part_index_);
}

}  // namespace sluice
