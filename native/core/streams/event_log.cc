#include "core/streams/event_log.h"

#include <algorithm>

namespace sluice {

std::string_view status_of(Terminal::Kind kind) {
  switch (kind) {
    case Terminal::Kind::kComplete:
      return "completed";
    case Terminal::Kind::kError:
      return "failed";
    case Terminal::Kind::kCancelled:
      return "cancelled";
  }
  return "failed";
}

namespace {

// The mark of an entry: its kind, and whether it has aux data. Of a typed event: the bit kTypedBit
// and the place of its type. 0 is plain text.
constexpr std::uint8_t kKindBits = 0x07;
constexpr std::uint8_t kHasAux = TokenRun::kHasAux;
constexpr std::uint8_t kTypedBit = 0x80;
static_assert(EventLog::kTypesMax <= kTypedBit);
static_assert(TokenRun::kTyped > static_cast<char>(EntryKind::kExtra));
static_assert((TokenRun::kTyped & kKindBits) == TokenRun::kTyped);
constexpr char kTypedRun = TokenRun::kTyped | TokenRun::kHasAux;

constexpr std::uint8_t number_of(EntryKind kind) {
  return static_cast<std::uint8_t>(kind);
}

EntryKind kind_of(std::uint8_t mark) {
  return static_cast<EntryKind>(mark & kKindBits);
}

// Within the strings of JSON line ends are escaped: others only separate its tokens.
void append_one_line(std::string& out, std::string_view json) {
  const std::size_t from = out.size();
  out.append(json);
  if (json.find_first_of("\r\n") == std::string_view::npos) return;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(from), out.end(),
      [](char c) { return c == '\r' || c == '\n'; }, ' ');
}

}  // namespace

// --- writing

// Makes the end of the arena's text an entry.
void EventLog::close_entry(std::uint8_t mark) {
  Arena& arena = *arena_;
  constexpr std::size_t kSpareMin = 8;
  if (arena.ends.size() == arena.ends.capacity()) {
    arena.ends.reserve(arena.ends.size() + std::max(arena.ends.size() / 4, kSpareMin));
  }
  if (mark != 0 || !arena.is_plain()) {
    std::vector<std::uint8_t>& marks = arena.own_extras().marks;
    marks.resize(arena.ends.size(), 0);  // all before the first mark are plain text
    marks.push_back(mark);
  }
  arena.ends.push_back(static_cast<std::uint32_t>(arena.text.size()));
  arena.trim(bytes_max_);
  arena.count();
}

bool EventLog::append(const Entry& entry) {
  if (ended()) return false;
  own_arena();
  Arena& arena = *arena_;
  const auto index = static_cast<std::uint32_t>(arena.ends.size());
  std::uint8_t mark = number_of(entry.kind);
  if (entry.kind == EntryKind::kToolCall) arena.own_extras().calls.push_back(index);
  if (!entry.aux.empty()) {
    mark |= kHasAux;
    Extras& extras = arena.own_extras();
    append_one_line(extras.aux, entry.aux);
    extras.aux_ends.push_back({index, static_cast<std::uint32_t>(extras.aux.size())});
  }
  arena.reserve_text(entry.text.size());
  if (entry.kind == EntryKind::kExtra) {
    append_one_line(arena.text, entry.text);
  } else {
    arena.text.append(entry.text);
  }
  close_entry(mark);
  return true;
}

// The mark of typed events of this type; nullopt when there are too many types.
std::optional<std::uint8_t> EventLog::Arena::mark_of(std::string_view type) {
  std::vector<std::string>& names = own_extras().names;
  auto name = std::find(names.begin(), names.end(), type);
  if (name == names.end()) {
    if (names.size() == kTypesMax) return std::nullopt;
    name = names.emplace(names.end(), type);
  }
  return static_cast<std::uint8_t>(kTypedBit | (name - names.begin()));
}

bool EventLog::append_typed(std::string_view type, std::string_view data) {
  if (ended()) return false;
  own_arena();
  const std::optional<std::uint8_t> mark = arena_->mark_of(type);
  if (!mark) return false;
  arena_->reserve_text(data.size());
  arena_->text.append(data);
  close_entry(*mark);
  return true;
}

bool EventLog::share_head(std::shared_ptr<const AnswerHead> head) {
  if (ended() || head_ != nullptr || entry_count() > 0) return false;
  head_ = std::move(head);
  return true;
}

void EventLog::replace_head(AnswerHead head) {
  head_ = head.empty() ? nullptr : std::make_shared<const AnswerHead>(std::move(head));
}

const AnswerHead& EventLog::head() const {
  static const AnswerHead kUnknown;
  return head_ == nullptr ? kUnknown : *head_;
}

void EventLog::own_arena() {
  if (arena_.use_count() > 1) arena_ = std::make_shared<Arena>(*arena_);
}

bool EventLog::begin_attempt(std::uint64_t attempt) {
  if (ended() || attempt <= attempt_) return false;
  attempt_ = attempt;
  arena_ = std::make_shared<Arena>(arena_->total);
  head_.reset();
  return true;
}

bool EventLog::skip_to(std::uint64_t seq) {
  if (ended() || seq <= entry_count()) return false;
  arena_ = std::make_shared<Arena>(arena_->total);
  arena_->trimmed = seq - 1;
  return true;
}

void EventLog::set_calls_before(std::uint32_t calls) {
  const Extras& extras = arena_->extras();
  if (trimmed() == 0 || !extras.calls.empty() || extras.calls_before == calls) return;
  own_arena();
  arena_->own_extras().calls_before = calls;
}

bool EventLog::reopen() {
  if (!ended()) return false;
  terminal_.reset();
  return begin_attempt();
}

bool EventLog::end(Terminal terminal, bool held) {
  if (ended()) return false;
  terminal_ = std::make_unique<const Terminal>(std::move(terminal));
  held_ = held;
  if (arena_.use_count() == 1) {
    // An ended log may be kept for long, and does not grow.
    arena_->text.shrink_to_fit();
    arena_->ends.shrink_to_fit();
    arena_->shrink_extras();
    arena_->count();
  }
  return true;
}

// --- as values

TokenRun EventLog::copy_from(std::uint64_t seq) const {
  const Arena& arena = *arena_;
  TokenRun run;
  run.first_seq = std::max(seq, arena.trimmed + 1);
  const std::size_t from = arena.head + static_cast<std::size_t>(run.first_seq - arena.trimmed - 1);
  if (from >= arena.ends.size()) return run;
  const std::uint32_t offset = from == 0 ? 0 : arena.ends[from - 1];
  run.text.assign(arena.text, offset);
  run.ends.reserve(arena.ends.size() - from);
  for (std::size_t i = from; i < arena.ends.size(); ++i) run.ends.push_back(arena.ends[i] - offset);
  if (is_plain()) return run;
  const auto& [marks, names, aux, aux_ends, calls, aux_head, calls_head, calls_before] =
      arena.extras();
  const auto marks_from = marks.begin() + static_cast<std::ptrdiff_t>(from);
  const auto is_marked = [](std::uint8_t mark) { return mark != 0; };
  if (std::none_of(marks_from, marks.end(), is_marked)) return run;
  for (std::size_t i = from; i < arena.ends.size(); ++i) {
    const std::uint8_t mark = marks[i];
    const bool typed = (mark & kTypedBit) != 0;
    const std::string_view type = typed ? std::string_view(names[mark & ~kTypedBit]) : "";
    if (typed && type.empty()) {
      run.kinds.push_back(static_cast<char>(number_of(EntryKind::kExtra)));
      continue;
    }
    run.kinds.push_back(typed ? kTypedRun : static_cast<char>(mark));
    if (!typed && (mark & kHasAux) == 0) continue;
    run.aux.append(typed ? type : arena.aux_at(i));
    run.aux_ends.push_back(static_cast<std::uint32_t>(run.aux.size()));
  }
  const auto first_call = std::lower_bound(calls.begin(), calls.end(), from);
  run.calls_before = calls_before + static_cast<std::uint32_t>(first_call - calls.begin());
  return run;
}

void EventLog::restore(std::uint64_t attempt, TokenRun run, AnswerHead head) {
  attempt_ = attempt;
  replace_head(std::move(head));
  arena_ = std::make_shared<Arena>(arena_->total);
  Arena& arena = *arena_;
  arena.text = std::move(run.text);
  arena.ends = std::move(run.ends);
  arena.trimmed = run.first_seq - 1;
  if (run.calls_before > 0 || !run.kinds.empty()) {
    arena.own_extras().calls_before = run.calls_before;
    restore_extras(run);
  }
  arena.trim(bytes_max_);
  arena.count();
}

// The marks of the entries, and what they announce.
void EventLog::restore_extras(const TokenRun& run) {
  Arena& arena = *arena_;
  Extras& extras = arena.own_extras();
  extras.marks.assign(run.kinds.begin(), run.kinds.end());
  std::size_t auxes = 0;
  std::size_t aux_from = 0;
  for (std::size_t i = 0; i < extras.marks.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    std::uint8_t& mark = extras.marks[i];
    if (kind_of(mark) == EntryKind::kToolCall) extras.calls.push_back(index);
    if ((mark & kHasAux) == 0) continue;
    const std::size_t aux_to = run.aux_ends[auxes++];
    const auto aux = std::string_view(run.aux).substr(aux_from, aux_to - aux_from);
    aux_from = aux_to;
    if (mark == kTypedRun) {
      mark = arena.mark_of(aux).value_or(number_of(EntryKind::kExtra));
      continue;
    }
    extras.aux.append(aux);
    extras.aux_ends.push_back({index, static_cast<std::uint32_t>(extras.aux.size())});
  }
}

// --- reading

void EventLog::append_text(std::string& out, EntryKind kind) const {
  const Arena& arena = *arena_;
  if (is_plain()) {
    if (kind == EntryKind::kText) out.append(arena.text, arena.head_offset());
    return;
  }
  const std::vector<std::uint8_t>& marks = arena.extras().marks;
  for (std::size_t i = arena.head; i < arena.ends.size(); ++i) {
    if ((marks[i] & kTypedBit) == 0 && kind_of(marks[i]) == kind) {
      out.append(arena.text_at(i));
    }
  }
}

std::size_t EventLog::text_bytes() const {
  const Arena& arena = *arena_;
  if (is_plain()) return arena.text.size() - arena.head_offset();
  std::size_t bytes = 0;
  for (std::size_t i = arena.head; i < arena.ends.size(); ++i) {
    const bool is_text = (arena.extras().marks[i] & (kTypedBit | kKindBits)) == 0;
    if (is_text) bytes += arena.text_at(i).size();
  }
  return bytes;
}

EventLog::Position EventLog::start() const {
  // A reader of a later attempt starts with its job_retry event, unless that is trimmed history.
  if (trimmed() > 0) return {attempt_, trimmed() + 1};
  return {attempt_, attempt_ > 1 ? std::uint64_t{0} : std::uint64_t{1}};
}

EventId EventLog::earliest() const {
  const Position first = start();
  if (first.next_seq == 1 && entry_count() == 0 && !end_published()) return {attempt_, 0};
  return {attempt_, first.next_seq};
}

EventId EventLog::latest() const {
  return {attempt_, end_published() ? terminal_seq() : entry_count()};
}

EventLog::Resolved EventLog::resolve(std::string_view cursor) const {
  if (cursor.empty()) return {start(), trimmed() > 0};
  const std::optional<EventId> id = parse_event_id(cursor);
  if (!id || *id > latest()) return {start(), true};
  const bool lost = id->attempt == attempt_ && id->seq > entry_count() && id->seq < terminal_seq();
  if (lost) return {start(), true};
  return catch_up({id->attempt, id->seq + 1});
}

bool EventLog::is_ahead(std::string_view cursor) const {
  const std::optional<EventId> id = parse_event_id(cursor);
  return id && *id > latest() && id->attempt <= attempt_ + 1;
}

EventLog::Resolved EventLog::catch_up(Position position) const {
  // Events of an older attempt are discarded by contract, which job_retry announces: no gap.
  if (position.attempt < attempt_) return {start(), trimmed() > 0};
  if (position.next_seq <= trimmed() && trimmed() > 0) return {start(), true};
  return {position, false};
}

EventLog::Event EventLog::read(Position position) const {
  const EventId id{position.attempt, position.next_seq};
  if (position.attempt != attempt_) return {};
  if (position.next_seq == 0) return {attempt_ > 1 ? EventKind::kRetry : EventKind::kNone, id};
  if (position.next_seq <= trimmed()) return {};
  const Arena& arena = *arena_;
  const std::uint64_t offset = position.next_seq - trimmed() - 1 + arena.head;
  if (offset < arena.ends.size()) {
    const auto index = static_cast<std::size_t>(offset);
    const std::uint8_t mark = arena.is_plain() ? std::uint8_t{0} : arena.extras().marks[index];
    Event event{.kind = EventKind::kEntry, .id = id, .text = arena.text_at(index)};
    if ((mark & kTypedBit) != 0) {
      event.kind = EventKind::kTyped;
      event.type = arena.extras().names[mark & ~kTypedBit];
    } else if (mark != 0) {
      event.entry = kind_of(mark);
      if ((mark & kHasAux) != 0) event.aux = arena.aux_at(index);
      const bool of_call =
          event.entry == EntryKind::kToolCall || event.entry == EntryKind::kToolArguments;
      if (of_call) event.call = arena.call_at(index);
    }
    return event;
  }
  if (end_published() && position.next_seq <= terminal_seq()) {
    return {EventKind::kTerminal, {attempt_, terminal_seq()}};
  }
  return {};
}

bool EventLog::at_end(Position position) const {
  return ended() && position.attempt == attempt_ && position.next_seq > terminal_seq();
}

}  // namespace sluice
