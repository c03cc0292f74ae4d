#include "core/streams/job.h"

#include <algorithm>
#include <utility>

#include "core/base/json_writer.h"
#include "core/sse/encoder.h"
#include "core/streams/answer_json.h"
#include "core/streams/journal.h"
#include "core/streams/subscriber.h"

namespace sluice {

namespace {

void append_error(std::string& out, const Terminal& terminal) {
  out.append("\"error\":{\"code\":");
  append_json_string(out, terminal.error_code);
  out.append(",\"message\":");
  append_json_string(out, terminal.error_message);
  out.append(",\"type\":");
  append_json_string(out, terminal.error_type);
  out.push_back('}');
}

// The error or the reason of an ending, after a comma; nothing where there is neither.
void append_cause(std::string& out, const Terminal& terminal) {
  if (terminal.kind == Terminal::Kind::kError) {
    out.push_back(',');
    append_error(out, terminal);
  } else if (!terminal.reason.empty()) {
    out.append(",\"reason\":");
    append_json_string(out, terminal.reason);
  }
}

void append_ms(std::string& out, Nanos span) {
  append_json_decimal(out, static_cast<double>(span) / static_cast<double>(kMillisecond));
}

std::string_view status_name(const Job& job, bool final) {
  if (job.status == Job::Status::kQueued && !final) return "queued";
  if (job.status == Job::Status::kRunning && !final) return "running";
  return status_of(job.log.terminal().kind);
}

// The names that events of a kind of job use.
struct Names {
  std::string_view data_prefix;
  std::string_view retry;
  std::string_view complete;
  std::string_view error;
  std::string_view cancelled;
};

const Names& names_of(const Job& job) {
  static constexpr Names kJob{"{\"job_id\":", "job_retry", "job_complete", "job_error",
                              "job_cancelled"};
  static constexpr Names kWorkflow{"{\"workflow_id\":", "workflow_retry", "workflow_complete",
                                   "workflow_failed", "workflow_cancelled"};
  static constexpr Names kCrawl{"{\"crawl_id\":", "crawl_retry", "crawl_complete", "crawl_failed",
                                "crawl_cancelled"};
  switch (job.options.kind) {
    case JobKind::kJob:
      return kJob;
    case JobKind::kWorkflow:
      return kWorkflow;
    case JobKind::kCrawl:
      return kCrawl;
  }
  return kJob;
}

// Appends the members of a JSON object, each after a comma.
void append_members(std::string& out, std::string_view object) {
  constexpr std::string_view kEmpty = "{}";
  if (object.size() <= kEmpty.size()) return;
  out.push_back(',');
  out.append(object.substr(1, object.size() - kEmpty.size()));
}

// The buffer for the frames of all jobs is freed beyond this size.
constexpr std::size_t kKeptFrameBytes = std::size_t{16} << 10;

// A cursor is echoed in the gap; a client that sends kilobytes does not get them back.
constexpr std::size_t kEchoedCursorMax = 128;

}  // namespace

Job::Job(JobHandle job_handle, JobOptions job_options, EventLog empty_log, Nanos now)
    : handle(job_handle),
      options(std::move(job_options)),
      log(std::move(empty_log)),
      created_at(now),
      wall_deadline(deadline_after(now, options.wall_time_max)) {
  data_prefix.append(names_of(*this).data_prefix);
  append_json_string(data_prefix, options.job_id);
}

Usage Job::usage() const {
  if (log.ended() && log.terminal().usage) return *log.terminal().usage;
  return {.prompt_tokens = options.prompt_tokens,
          .completion_tokens = log.entry_count(),
          .estimated = true};
}

Nanos Job::next_deadline() const {
  const Nanos idle_deadline = replica == nullptr ? kNever : replica->idle_deadline;
  return std::min({grace_deadline, wall_deadline, purge_deadline, hold_deadline, idle_deadline});
}

std::uint64_t Job::lag() const {
  std::uint64_t lag = copy_to == nullptr ? 0 : copy_to->lag();
  const std::uint64_t tokens = log.entry_count();
  for (const Subscriber* subscriber : subscribers) {
    if (!subscriber->is_reader()) continue;
    lag = std::max(lag, tokens - std::min(tokens, subscriber->acknowledged(*this)));
  }
  return lag;
}

bool Job::has_reader() const {
  return holds > 0 || std::any_of(subscribers.begin(), subscribers.end(),
                                  [](const Subscriber* each) { return each->is_reader(); });
}

void Job::restore(RestoredJob restored, Nanos now) {
  created_at = now - restored.age;
  const auto at = [this](Nanos span) { return span == kNever ? kNever : created_at + span; };
  started_at = at(restored.spans.started);
  first_token_at = at(restored.spans.first_token);
  if (started_at != kNever) status = Status::kRunning;
  log.restore(restored.attempt, std::move(restored.tokens), std::move(restored.head));
  head_recorded = log.has_head();
  retry_members = std::move(restored.retry_members);
  // Subscribers of a job that was cut off may have received more tokens than were recorded. Their
  // ids must not be used again, so as many ids are skipped.
  constexpr std::uint64_t kLostMax = std::uint64_t{1} << 32;
  log.skip_ids(restored.terminal ? restored.skipped_ids : kLostMax);
  recorded = {log.attempt(), log.entry_count() + 1};
  trimmed_recorded = log.trimmed();
  started_recorded = started_at != kNever;
  if (!restored.terminal) return;
  log.end(std::move(*restored.terminal));
  ended_at = at(restored.spans.ended);
  status = Status::kEnded;
  end_recorded = true;
  wall_deadline = kNever;
  purge_deadline = deadline_after(now, restored.retention_left);
}

std::string_view event_type(const Job& job, const EventLog::Event& event) {
  if (event.kind == EventLog::EventKind::kEntry) return event_type(event.entry);
  if (event.kind == EventLog::EventKind::kTyped) return event.type;
  const Names& names = names_of(job);
  if (event.kind == EventLog::EventKind::kRetry) return names.retry;
  switch (job.log.terminal().kind) {
    case Terminal::Kind::kComplete:
      return names.complete;
    case Terminal::Kind::kError:
      return names.error;
    case Terminal::Kind::kCancelled:
      return names.cancelled;
  }
  return names.error;
}

JobEnding Job::ending() const {
  const EventLog::Event event{EventLog::EventKind::kTerminal, log.terminal_id()};
  JobEnding ending{.type = std::string(event_type(*this, event)),
                   .prompt_tokens = options.prompt_tokens};
  append_event_data(ending.data, event);
  append_state(ending.state, {.final = true}, ended_at);
  return ending;
}

void Job::append_event_data(std::string& out, const EventLog::Event& event) const {
  const bool is_foreign_ending = replica != nullptr && !replica->ending_data.empty() &&
                                 event.kind == EventLog::EventKind::kTerminal;
  if (is_foreign_ending) {
    out.append(replica->ending_data);
    return;
  }
  out.append(data_prefix);
  switch (event.kind) {
    case EventLog::EventKind::kEntry:
      append_entry_members(out, event);
      break;
    case EventLog::EventKind::kTyped:
      append_members(out, event.text);
      break;
    case EventLog::EventKind::kRetry:
      out.append(",\"attempt\":");
      append_json_number(out, event.id.attempt);
      append_members(out, retry_members);
      break;
    case EventLog::EventKind::kTerminal:
      append_terminal_data(out);
      break;
    case EventLog::EventKind::kNone:
      break;
  }
  out.push_back('}');
}

std::string_view Job::frame(const EventLog::Event& event) {
  if (subscribers.size() <= 1) {
    frame_.reset();
    static thread_local std::string shared;
    if (shared.capacity() > kKeptFrameBytes) std::string().swap(shared);
    write_frame(shared, event);
    return shared;
  }
  // An id never names another event, so an encoded frame stays valid.
  if (frame_ == nullptr || frame_->id != event.id) {
    if (frame_ == nullptr) frame_ = std::make_unique<Frame>();
    frame_->id = event.id;
    write_frame(frame_->text, event);
  }
  return frame_->text;
}

void Job::write_frame(std::string& out, const EventLog::Event& event) const {
  out.clear();
  if (event.kind != EventLog::EventKind::kEntry) {
    std::string data;
    append_event_data(data, event);
    const bool appended =
        append_sse_event(out, to_string(event.id), event_type(*this, event), data);
    (void)appended;  // ids and types are our own and are one line each
    return;
  }
  // The data of an entry is one line: its texts are JSON strings, and its raw JSON has lost its
  // line breaks in the log.
  out.append("id: ");
  append_event_id(out, event.id);
  out.append("\nevent: ").append(event_type(event.entry)).append("\ndata: ");
  append_event_data(out, event);
  out.append("\n\n");
}

void Job::append_terminal_data(std::string& out) const {
  const Terminal& terminal = log.terminal();
  append_cause(out, terminal);
  // A crawl uses no model.
  if (terminal.kind == Terminal::Kind::kComplete && options.kind != JobKind::kCrawl) {
    out.push_back(',');
    append_usage(out, usage());
  }
  append_members(out, terminal.details);
  out.push_back(',');
  append_metrics(out, ended_at);
}

void Job::append_metrics(std::string& out, Nanos now) const {
  const Nanos until = ended_at == kNever ? now : ended_at;
  const Nanos running_from = std::min(started_at, until);
  if (options.kind != JobKind::kJob) {
    out.append("\"metrics\":{\"duration_ms\":");
    append_ms(out, until - running_from);
    out.append(",\"events\":");
    append_json_number(out, log.entry_count());
    out.push_back('}');
    return;
  }
  out.append("\"metrics\":{\"queue_ms\":");
  append_ms(out, running_from - created_at);
  out.append(",\"ttft_ms\":");
  if (first_token_at == kNever) {
    out.append("null");
  } else {
    append_ms(out, first_token_at - created_at);
  }
  out.append(",\"duration_ms\":");
  append_ms(out, until - created_at);
  out.append(",\"tokens\":");
  append_json_number(out, log.entry_count());
  out.append(",\"tokens_per_second\":");
  // From dispatch to the end, the wait for the first token included.
  const double seconds = static_cast<double>(until - running_from) / static_cast<double>(kSecond);
  append_json_decimal(out, seconds > 0 ? static_cast<double>(log.entry_count()) / seconds : 0.0);
  out.push_back('}');
}

void Job::append_gap_data(std::string& out, std::string_view requested) const {
  out.append(data_prefix).append(",\"requested\":");
  if (requested.empty()) {
    out.append("null");
  } else {
    append_json_string(out, requested.substr(0, kEchoedCursorMax));
  }
  out.append(",\"earliest\":\"");
  append_event_id(out, log.earliest());
  out.append("\",\"latest\":\"");
  append_event_id(out, log.latest());
  out.append("\"}");
}

void Job::append_state(std::string& out, StateParts parts, Nanos now) const {
  out.append("{\"status\":\"").append(status_name(*this, parts.final));
  out.append("\",\"attempt\":");
  append_json_number(out, log.attempt());
  out.append(",\"last_event_id\":\"");
  append_event_id(out, parts.final ? log.terminal_id() : log.latest());
  out.append("\",");
  append_usage(out, usage());
  out.push_back(',');
  append_metrics(out, now);
  out.append(",\"log_bytes\":");
  append_json_number(out, log.retained_bytes());
  out.append(",\"text_bytes\":");
  append_json_number(out, log.text_bytes());
  if (log.trimmed() > 0) out.append(",\"text_truncated\":true");
  if (parts.answer) append_answer(out, log);
  if (parts.items) append_items(out, log);
  append_head(out, log.head());
  if (log.ended()) {
    append_cause(out, log.terminal());
    if (!log.terminal().raw_reason.empty()) {
      out.append(",\"raw_reason\":");
      append_json_string(out, log.terminal().raw_reason);
    }
    append_members(out, log.terminal().details);
  }
  out.push_back('}');
}

}  // namespace sluice
