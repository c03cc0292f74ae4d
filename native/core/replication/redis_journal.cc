#include "core/replication/redis_journal.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/streams/answer_json.h"

namespace sluice {

namespace {

using redis::Command;
using redis::Reply;

/// Of one pipeline.
constexpr std::size_t kLookUpsMax = 256;
/// Look-ups that a batch waits for, without an entry taken in between.
constexpr std::uint32_t kDoubtsMax = 4;
/// WAIT delays the tokens of other jobs: an ending without enough replicas after this time is tried
/// again.
constexpr int kReplicasWaitMs = 100;
/// The number of a pipeline that only publishes messages; its replies are ignored.
constexpr std::uint64_t kMessagesOnly = 0;
/// A retention without a limit, for Redis: a century.
constexpr std::int64_t kRetentionMaxMs = std::int64_t{100} * 365 * 24 * 3600 * 1000;
constexpr std::string_view kNotLarger = "ERR The ID specified in XADD is equal or smaller";

EventLog::Position behind(EventId id) {
  return {id.attempt, id.seq + 1};
}

bool is_choice(std::string_view id) {
  return id.find('.') != std::string_view::npos;
}

std::optional<std::string_view> field_of(const Reply& fields, std::string_view name) {
  for (std::size_t i = 0; i + 1 < fields.items.size(); i += 2) {
    if (fields.items[i].text == name) return fields.items[i + 1].text;
  }
  return std::nullopt;
}

}  // namespace

RedisJournal::RedisJournal(redis::Port& port, RedisJournalOwner& owner, Options options)
    : port_(port), owner_(owner), options_(std::move(options)) {
  port_.attach(*this);
}

RedisJournal::~RedisJournal() {
  port_.forget(*this);
  port_.detach(*this);
}

std::string RedisJournal::key(std::string_view kind, std::string_view id) const {
  std::string name(port_.prefix());
  name.append(kind).append(id);
  return name;
}

// --- the batch

void RedisJournal::write(std::uint64_t batch, std::vector<JobChange> changes) {
  batch_ = batch;
  works_.clear();
  work_index_.clear();
  outcomes_.clear();
  forget_ended();
  for (JobChange& change : changes) {
    if (change.dropped) {
      writers_.erase(change.record);
    } else {
      begin_work(std::move(change));
    }
  }
  if (!port_.connected() && !works_.empty()) {
    fail_batch();
    return;
  }
  proceed();
}

void RedisJournal::begin_work(JobChange change) {
  const std::uint64_t record = change.record;
  const auto [found, is_new] = writers_.try_emplace(record);
  Writer& writer = found->second;
  if (is_new) {
    writer.id = change.job_id;
    writer.owner = port_.process();
    writer.last = {change.written.attempt, change.written.next_seq - 1};
    // So that a look-up knows an ending that was written long ago.
    if (change.terminal) writer.ending = ending_json(change.ending);
  }
  writer.job = change.job;
  writer.attempt = std::max(writer.attempt, change.attempt);
  writer.next_seq = change.next_seq;
  writer.skips_ids = change.terminal && change.skipped_ids > 0;
  work_index_.emplace(record, works_.size());
  if (change.written == kNothingWritten && (is_new || writer.last != EventId{0, 0})) {
    // The log may be lost: only the part that Redis lacks is written.
    writer.verified = false;
    writer.last = {0, 0};
  }
  const bool moved = !is_new && writer.verified && behind(writer.last) != change.written;
  const EventLog::Position next = behind(writer.last);
  Work& work = works_.emplace_back();
  work.change = std::move(change);
  if (moved) decide(work, JobOutcome::Kind::kMoved, next);
}

void RedisJournal::proceed() {
  if (request_ != 0) return;
  if (!port_.connected()) {
    fail_batch();
    return;
  }
  if (look_up() || write_entries() || write_endings()) return;
  report();
}

void RedisJournal::send(Phase phase, std::vector<Command> commands) {
  static_assert(kMessagesOnly == 0);
  phase_ = phase;
  request_ = 1;
  port_.send(request_, std::move(commands), *this);
}

void RedisJournal::report() {
  if (!messages_.empty()) port_.send(kMessagesOnly, std::exchange(messages_, {}), *this);
  if (batch_ == 0) return;
  works_.clear();
  work_index_.clear();
  owner_.on_recorded(std::exchange(batch_, 0), std::exchange(outcomes_, {}));
}

void RedisJournal::fail_batch() {
  for (Work& work : works_) {
    if (!work.is_decided) decide(work, JobOutcome::Kind::kFailed);
  }
  messages_.clear();
  report();
}

RedisJournal::Work* RedisJournal::work_of(std::uint64_t record) {
  const auto found = work_index_.find(record);
  return found == work_index_.end() ? nullptr : &works_[found->second];
}

void RedisJournal::decide(Work& work, JobOutcome::Kind kind, EventLog::Position next) {
  work.is_decided = true;
  if (kind == JobOutcome::Kind::kWritten) return;
  outcomes_.push_back({.record = work.change.record, .kind = kind, .next = next});
}

void RedisJournal::decide(std::uint64_t record, JobOutcome::Kind kind, EventLog::Position next) {
  Work* const work = work_of(record);
  const auto writer = writers_.find(record);
  if (work != nullptr && !work->is_decided) {
    decide(*work, kind, next);
  } else if (kind == JobOutcome::Kind::kFenced) {
    owner_.on_fenced(writer->second.job);
  } else if (work == nullptr && kind == JobOutcome::Kind::kMoved) {
    owner_.on_rewound(writer->second.job, next);
  }
  if (kind == JobOutcome::Kind::kFenced) writers_.erase(writer);
}

// The log may have changed elsewhere: it is looked up before anything else is written.
void RedisJournal::doubt(std::size_t index) {
  Work& work = works_[index];
  const auto found = writers_.find(work.change.record);
  if (found == writers_.end()) return;
  found->second.verified = false;
  found->second.last = {0, 0};
  if (++found->second.doubts > kDoubtsMax) decide(work, JobOutcome::Kind::kFailed);
}

// --- looking up

void RedisJournal::on_connected() {
  for (auto& [record, writer] : writers_) writer.verified = false;
  is_sweeping_ = true;
  proceed();
}

void RedisJournal::advance(Nanos now) {
  if (now < retry_at_) return;
  retry_at_ = kNever;
  is_sweeping_ = true;
  if (port_.connected()) proceed();
}

void RedisJournal::forget_ended() {
  const Nanos now = options_.now();
  std::erase_if(writers_, [&](const auto& each) {
    return deadline_after(each.second.ended_at, options_.ended_kept) <= now;
  });
}

// Looks up jobs that are in doubt: those of the batch, and after a reconnection all.
bool RedisJournal::look_up() {
  looked_up_.clear();
  std::vector<Command> commands;
  const auto add = [&](std::uint64_t record, const Writer& writer) {
    looked_up_.push_back(record);
    commands.push_back({"HMGET", key("job:", job_of(writer.id)), "owner", "attempt", "status"});
    commands.push_back({"PTTL", key("job:", job_of(writer.id))});
    commands.push_back({"XREVRANGE", key("log:", writer.id), "+", "-", "COUNT", "1"});
  };
  if (is_sweeping_) {
    for (const auto& [record, writer] : writers_) {
      if (looked_up_.size() == kLookUpsMax) break;
      if (!writer.verified) add(record, writer);
    }
  } else {
    for (const Work& work : works_) {
      if (looked_up_.size() == kLookUpsMax) break;
      if (work.is_decided) continue;
      const Writer& writer = writers_.at(work.change.record);
      if (!writer.verified) add(work.change.record, writer);
    }
  }
  if (looked_up_.empty()) {
    is_sweeping_ = false;
    return false;
  }
  send(Phase::kLookUp, std::move(commands));
  return true;
}

void RedisJournal::on_looked_up(const std::vector<Reply>& replies) {
  for (std::size_t i = 0; i < looked_up_.size(); ++i) {
    judge(looked_up_[i], replies[3 * i], replies[3 * i + 1], replies[3 * i + 2]);
  }
  // What could not be looked up is not looked up again at once.
  const bool failed = std::any_of(looked_up_.begin(), looked_up_.end(), [this](auto record) {
    const auto found = writers_.find(record);
    return found != writers_.end() && !found->second.verified;
  });
  if (!failed || !std::exchange(is_sweeping_, false)) return;
  retry_at_ = std::min(retry_at_, options_.now() + options_.retry_delay);
}

void RedisJournal::judge(std::uint64_t record, const Reply& hash, const Reply& ttl,
                         const Reply& tail) {
  using Kind = JobOutcome::Kind;
  const auto found = writers_.find(record);
  if (found == writers_.end()) return;
  Writer& writer = found->second;
  const bool readable = hash.kind == Reply::Kind::kArray && hash.items.size() == 3 &&
                        tail.kind == Reply::Kind::kArray;
  if (!readable) {
    decide(record, Kind::kFailed);
    return;
  }
  const auto report_loss = [&] {
    if (!std::exchange(writer.is_lost, true)) owner_.on_data_loss(writer.job);
  };
  if (hash.items[0].kind != Reply::Kind::kText) {
    // An ended job may have been erased elsewhere, and stays so unless it is to be written again.
    if (writer.ended_at != kNever) {
      decide(record, Kind::kFailed);
      writers_.erase(found);
      return;
    }
    report_loss();
    decide(record, Kind::kFailed);
    return;
  }
  if (!port_.is_own(hash.items[0].text)) {
    decide(record, Kind::kFenced);
    return;
  }
  writer.owner = hash.items[0].text;
  const std::string& status = hash.items[2].text;
  const bool has_ended = !is_choice(writer.id) && status != "queued" && status != "running";
  if (tail.items.empty()) {
    if (has_ended) {
      writer.verified = true;
      decide(record, writer.ending.empty() ? Kind::kFenced : Kind::kWritten);
      return;
    }
    report_loss();
    writer.has_log = false;
    writer.ended_at = kNever;
    writer.ttl_ms = ttl.kind == Reply::Kind::kInteger ? ttl.integer : -1;
    writer.last = {0, 0};
    writer.verified = true;
    decide(record, Kind::kMoved, kNothingWritten);
    return;
  }
  const Reply& entry = tail.items.front();
  const bool is_entry = entry.items.size() == 2 && entry.items[1].kind == Reply::Kind::kArray;
  const std::optional<EventId> last = is_entry ? parse_event_id(entry.items[0].text) : std::nullopt;
  if (!last) {
    decide(record, Kind::kFailed);
    return;
  }
  const std::optional<std::string_view> ending = field_of(entry.items[1], "x");
  if (ending || has_ended) {
    const bool is_ours = ending && !writer.ending.empty() && *ending == writer.ending;
    writer.verified = true;
    if (is_ours && writer.ended_at == kNever) writer.ended_at = options_.now();
    decide(record, is_ours ? Kind::kWritten : Kind::kFenced);
    return;
  }
  const EventId own{writer.attempt, writer.next_seq - 1};
  const bool is_left_to_another = writer.skips_ids && last->attempt == own.attempt;
  if (*last > own && !is_left_to_another) {
    decide(record, Kind::kFenced);
    return;
  }
  writer.verified = true;
  const bool lost_ending = std::exchange(writer.ended_at, kNever) != kNever;
  // The change has to continue the log without a gap.
  const Work* const work = work_of(record);
  const bool fits = work == nullptr || work->is_decided || work->change.written == behind(*last);
  const bool moved = *last != writer.last || lost_ending || !fits;
  writer.last = *last;
  if (moved) decide(record, Kind::kMoved, behind(*last));
}

// --- entries

bool RedisJournal::write_entries() {
  sent_.clear();
  std::vector<Command> commands;
  for (std::size_t i = 0; i < works_.size(); ++i) {
    if (!works_[i].is_decided && !works_[i].is_done) add_entry(commands, i);
  }
  if (commands.empty()) return false;
  // Entries already accepted are published in the meantime.
  if (!messages_.empty()) port_.send(kMessagesOnly, std::exchange(messages_, {}), *this);
  send(Phase::kWrite, std::move(commands));
  return true;
}

void RedisJournal::add_entry(std::vector<Command>& commands, std::size_t index) {
  Work& work = works_[index];
  const JobChange& change = work.change;
  Writer& writer = writers_.at(change.record);
  Command command{"XADD", key("log:", writer.id)};
  if (writer.has_log) command.emplace_back("NOMKSTREAM");
  Sent sent{.work = index, .id = {change.attempt, 0}};
  EntryFields fields;
  EventId kept = sent.id;  // entries before it go
  bool trims = false;
  if (writer.last.attempt < change.attempt) {
    const std::string& members = change.retry_members;
    fields = {"r", members.empty() || change.attempt == 1 ? "{}" : members};
    trims = change.attempt > 1;
  } else {
    if (!work.entries) {
      work.entries.emplace(change.tokens);
      trims = change.trims && change.trimmed > 0;
      kept.seq = change.trimmed + 1;
      // The entry that trims the log repeats what its first entry has.
      const bool is_first = writer.last.seq == 0 || change.tokens.first_seq == 1;
      if ((is_first || trims) && !change.tokens.ends.empty()) {
        fields = {"s", spans_json(change.spans)};
        if (!change.head.empty()) {
          fields.emplace_back("h");
          fields.push_back(head_json(change.head));
        }
      }
    }
    sent.id.seq = work.entries->next(fields);
    if (sent.id.seq == 0) {
      work.is_done = true;
      if (!change.terminal) decide(work, JobOutcome::Kind::kWritten);
      return;
    }
  }
  if (trims) {
    command.emplace_back("MINID");
    command.emplace_back("~");
    command.push_back(to_string(kept));
  }
  const std::string id = to_string(sent.id);
  command.push_back(id);
  sent.message = pack_message(id, fields);
  std::move(fields.begin(), fields.end(), std::back_inserter(command));
  commands.push_back(std::move(command));
  sent_.push_back(std::move(sent));
  if (writer.has_log) return;
  // A log that is written again lives as long as its job.
  commands.push_back({"PEXPIRE", key("log:", writer.id),
                      std::to_string(writer.ttl_ms > 0 ? writer.ttl_ms : kRetentionMaxMs)});
  sent_.push_back({.work = index, .id = {}});
}

void RedisJournal::on_written(const std::vector<Reply>& replies) {
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    Sent& sent = sent_[i];
    const Reply& reply = replies[i];
    Work& work = works_[sent.work];
    if (sent.message.empty() || work.is_decided) continue;
    const auto found = writers_.find(work.change.record);
    if (found == writers_.end()) continue;
    Writer& writer = found->second;
    if (reply.kind == Reply::Kind::kText) {
      writer.last = sent.id;
      writer.has_log = true;
      writer.is_lost = false;
      writer.doubts = 0;
      messages_.push_back({"PUBLISH", key("j:", writer.id), std::move(sent.message)});
    } else if (reply.kind == Reply::Kind::kNil || reply.text.starts_with(kNotLarger)) {
      doubt(sent.work);
    } else {
      // No room, no master: again after a while.
      writer.verified = false;
      decide(work, JobOutcome::Kind::kFailed);
    }
  }
}

// --- endings

Command RedisJournal::finish_command(const Work& work, Writer& writer) {
  const JobChange& change = work.change;
  const EventId id{change.attempt, change.next_seq + change.skipped_ids};
  writer.ending = ending_json(change.ending);
  const std::int64_t ended_ms =
      options_.unix_ms() - (options_.now() - change.ended_at) / kMillisecond;
  const Nanos kept =
      change.retention == kNever
          ? kNever
          : std::max<Nanos>(change.retention - (options_.now() - change.ended_at), 0);
  const std::int64_t retention_ms = std::min(kept / kMillisecond + 1, kRetentionMaxMs);
  return redis::script_call(
      "finish", {key("job:", job_of(writer.id)), key("log:", writer.id)},
      {std::string(port_.prefix()), writer.owner, std::to_string(change.attempt),
       to_string(writer.last), to_string(id), writer.ending,
       final_json(change.ending, *change.terminal, change.spans, change.head, change.skipped_ids),
       std::string(status_of(change.terminal->kind)), std::to_string(ended_ms),
       std::to_string(retention_ms), is_choice(writer.id) ? "choice" : "job", change.settlement});
}

bool RedisJournal::write_endings() {
  sent_.clear();
  std::vector<Command> endings;
  for (std::size_t i = 0; i < works_.size(); ++i) {
    if (works_[i].is_decided || !works_[i].is_done) continue;
    endings.push_back(finish_command(works_[i], writers_.at(works_[i].change.record)));
    sent_.push_back({.work = i, .id = {}});
  }
  if (endings.empty()) return false;
  if (const std::uint32_t replicas = port_.wait_replicas(); replicas > 0) {
    endings.push_back({"WAIT", std::to_string(replicas), std::to_string(kReplicasWaitMs)});
  }
  // Followers receive the entries before the ending.
  if (!messages_.empty()) port_.send(kMessagesOnly, std::exchange(messages_, {}), *this);
  send(Phase::kFinish, std::move(endings));
  return true;
}

void RedisJournal::on_finished(const std::vector<Reply>& replies) {
  // The answer to WAIT. An ending that too few replicas have is written again, which finds it
  // there.
  const bool is_kept = replies.size() == sent_.size() ||
                       (replies.back().kind == Reply::Kind::kInteger &&
                        replies.back().integer >= std::int64_t{port_.wait_replicas()});
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    const Reply& reply = replies[i];
    Work& work = works_[sent_[i].work];
    const auto found = writers_.find(work.change.record);
    if (found == writers_.end()) continue;
    Writer& writer = found->second;
    const bool is_answer = reply.kind == Reply::Kind::kText;
    if (is_answer && (reply.text == "OK" || reply.text == "DONE")) {
      if (!is_kept) {
        decide(work, JobOutcome::Kind::kFailed);
        continue;
      }
      writer.ended_at = options_.now();
      writer.doubts = 0;
      decide(work, JobOutcome::Kind::kWritten);
    } else if (is_answer) {  // FENCED, GONE: see why
      doubt(sent_[i].work);
    } else {
      writer.verified = false;
      decide(work, JobOutcome::Kind::kFailed);
    }
  }
}

// --- replies

void RedisJournal::on_replies(std::uint64_t request, std::vector<Reply> replies) {
  if (request == kMessagesOnly || request_ == 0) return;
  request_ = 0;
  switch (std::exchange(phase_, Phase::kIdle)) {
    case Phase::kLookUp:
      on_looked_up(replies);
      break;
    case Phase::kWrite:
      on_written(replies);
      break;
    case Phase::kFinish:
      on_finished(replies);
      break;
    case Phase::kIdle:
      break;
  }
  proceed();
}

void RedisJournal::on_lost(std::uint64_t request) {
  if (request == kMessagesOnly || request_ == 0) return;
  request_ = 0;
  phase_ = Phase::kIdle;
  for (auto& [record, writer] : writers_) writer.verified = false;
  fail_batch();
}

}  // namespace sluice
