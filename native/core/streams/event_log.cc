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

// --- the arena

EventLog::Arena::Arena(const Arena& other)
    : total(other.total),
      text(other.text),
      ends(other.ends),
      marks(other.marks),
      names(other.names),
      aux(other.aux),
      aux_ends(other.aux_ends),
      calls(other.calls),
      head(other.head),
      aux_head(other.aux_head),
      calls_head(other.calls_head),
      calls_before(other.calls_before),
      trimmed(other.trimmed) {
  count();
}

EventLog::Arena::~Arena() {
  if (total != nullptr) {
    total->fetch_sub(static_cast<std::int64_t>(counted), std::memory_order_relaxed);
  }
}

std::size_t EventLog::Arena::bytes() const {
  return text.capacity() + ends.capacity() * sizeof(ends[0]) + marks.capacity() + aux.capacity() +
         aux_ends.capacity() * sizeof(aux_ends[0]) + calls.capacity() * sizeof(calls[0]);
}

std::size_t EventLog::Arena::retained() const {
  const std::size_t entries = ends.size() - head;
  return text.size() - head_offset() + entries * sizeof(ends[0]) + (marks.empty() ? 0 : entries) +
         aux.size() - aux_offset() + (aux_ends.size() - aux_head) * sizeof(aux_ends[0]) +
         (calls.size() - calls_head) * sizeof(calls[0]);
}

std::string_view EventLog::Arena::text_at(std::size_t index) const {
  const std::size_t from = index == 0 ? 0 : ends[index - 1];
  return std::string_view(text).substr(from, ends[index] - from);
}

std::string_view EventLog::Arena::aux_at(std::size_t index) const {
  const auto at = std::lower_bound(aux_ends.begin(), aux_ends.end(), index,
                                   [](const AuxEnd& end, std::size_t i) { return end.index < i; });
  if (at == aux_ends.end() || at->index != index) return {};
  const std::size_t from = at == aux_ends.begin() ? 0 : std::prev(at)->offset;
  return std::string_view(aux).substr(from, at->offset - from);
}

std::uint32_t EventLog::Arena::call_at(std::size_t index) const {
  const auto after = std::upper_bound(calls.begin(), calls.end(), index);
  const auto opened = calls_before + static_cast<std::uint32_t>(after - calls.begin());
  return opened == 0 ? 0 : opened - 1;
}

void EventLog::Arena::trim(std::size_t bytes_max) {
  constexpr std::size_t kWorthCompacting = 4096;
  while (retained() > bytes_max && ends.size() - head > 1) {
    if (aux_head < aux_ends.size() && aux_ends[aux_head].index == head) ++aux_head;
    if (calls_head < calls.size() && calls[calls_head] == head) ++calls_head;
    ++head;
    ++trimmed;
  }
  // The trimmed front is erased once it is as large as the retained part: amortized constant time,
  // and the arena stays below twice the cap.
  const std::size_t dead =
      head_offset() + head * sizeof(ends[0]) + aux_offset() + aux_head * sizeof(aux_ends[0]);
  if (dead >= std::max(retained(), kWorthCompacting)) erase_front();
}

void EventLog::Arena::erase_front() {
  const auto erase = [](auto& values, std::size_t count) {
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const auto dead_text = static_cast<std::uint32_t>(head_offset());
  const auto dead_aux = static_cast<std::uint32_t>(aux_offset());
  const auto dead_entries = static_cast<std::uint32_t>(head);
  text.erase(0, dead_text);
  aux.erase(0, dead_aux);
  erase(ends, head);
  if (!marks.empty()) erase(marks, head);
  erase(aux_ends, aux_head);
  erase(calls, calls_head);
  for (std::uint32_t& end : ends) end -= dead_text;
  for (AuxEnd& end : aux_ends) end = {end.index - dead_entries, end.offset - dead_aux};
  for (std::uint32_t& call : calls) call -= dead_entries;
  calls_before += static_cast<std::uint32_t>(calls_head);
  head = aux_head = calls_head = 0;
}

// --- writing

// Makes room for `bytes` more. Containers double, and most logs are short: a quarter is spare here.
void EventLog::Arena::reserve_text(std::size_t bytes) {
  if (text.capacity() - text.size() >= bytes) return;
  constexpr std::size_t kSpareMin = 48;
  std::string grown;  // `text.reserve` would double
  grown.reserve(text.size() + bytes + std::max(text.size() / 4, kSpareMin));
  grown.append(text);
  text.swap(grown);
}

// Makes the end of the arena's text an entry.
void EventLog::close_entry(std::uint8_t mark) {
  Arena& arena = *arena_;
  constexpr std::size_t kSpareMin = 8;
  if (arena.ends.size() == arena.ends.capacity()) {
    arena.ends.reserve(arena.ends.size() + std::max(arena.ends.size() / 4, kSpareMin));
  }
  if (mark != 0 || !arena.marks.empty()) {
    arena.marks.resize(arena.ends.size(), 0);  // all before the first mark are plain text
    arena.marks.push_back(mark);
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
  if (entry.kind == EntryKind::kToolCall) arena.calls.push_back(index);
  if (!entry.aux.empty()) {
    mark |= kHasAux;
    append_one_line(arena.aux, entry.aux);
    arena.aux_ends.push_back({index, static_cast<std::uint32_t>(arena.aux.size())});
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
  if (trimmed() == 0 || !arena_->calls.empty() || arena_->calls_before == calls) return;
  own_arena();
  arena_->calls_before = calls;
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
    arena_->marks.shrink_to_fit();
    arena_->aux.shrink_to_fit();
    arena_->aux_ends.shrink_to_fit();
    arena_->calls.shrink_to_fit();
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
  const auto marks_from = arena.marks.begin() + static_cast<std::ptrdiff_t>(is_plain() ? 0 : from);
  const auto is_marked = [](std::uint8_t mark) { return mark != 0; };
  if (std::none_of(marks_from, arena.marks.end(), is_marked)) return run;
  for (std::size_t i = from; i < arena.ends.size(); ++i) {
    const std::uint8_t mark = arena.marks[i];
    const bool typed = (mark & kTypedBit) != 0;
    const std::string_view type = typed ? std::string_view(arena.names[mark & ~kTypedBit]) : "";
    if (typed && type.empty()) {
      run.kinds.push_back(static_cast<char>(number_of(EntryKind::kExtra)));
      continue;
    }
    run.kinds.push_back(typed ? kTypedRun : static_cast<char>(mark));
    if (!typed && (mark & kHasAux) == 0) continue;
    run.aux.append(typed ? type : arena.aux_at(i));
    run.aux_ends.push_back(static_cast<std::uint32_t>(run.aux.size()));
  }
  const auto first_call = std::lower_bound(arena.calls.begin(), arena.calls.end(), from);
  run.calls_before =
      arena.calls_before + static_cast<std::uint32_t>(first_call - arena.calls.begin());
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
  arena.calls_before = run.calls_before;
  arena.marks.assign(run.kinds.begin(), run.kinds.end());
  std::size_t auxes = 0;
  std::size_t aux_from = 0;
  for (std::size_t i = 0; i < arena.marks.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    std::uint8_t& mark = arena.marks[i];
    if (kind_of(mark) == EntryKind::kToolCall) arena.calls.push_back(index);
    if ((mark & kHasAux) == 0) continue;
    const std::size_t aux_to = run.aux_ends[auxes++];
    const auto aux = std::string_view(run.aux).substr(aux_from, aux_to - aux_from);
    aux_from = aux_to;
    if (mark == kTypedRun) {
      mark = arena.mark_of(aux).value_or(number_of(EntryKind::kExtra));
      continue;
    }
    arena.aux.append(aux);
    arena.aux_ends.push_back({index, static_cast<std::uint32_t>(arena.aux.size())});
  }
  arena.trim(bytes_max_);
  arena.count();
}

// --- reading

void EventLog::append_text(std::string& out, EntryKind kind) const {
  const Arena& arena = *arena_;
  if (is_plain()) {
    if (kind == EntryKind::kText) out.append(arena.text, arena.head_offset());
    return;
  }
  for (std::size_t i = arena.head; i < arena.ends.size(); ++i) {
    if ((arena.marks[i] & kTypedBit) == 0 && kind_of(arena.marks[i]) == kind) {
      out.append(arena.text_at(i));
    }
  }
}

std::size_t EventLog::text_bytes() const {
  const Arena& arena = *arena_;
  if (is_plain()) return arena.text.size() - arena.head_offset();
  std::size_t bytes = 0;
  for (std::size_t i = arena.head; i < arena.ends.size(); ++i) {
    const bool is_text = (arena.marks[i] & (kTypedBit | kKindBits)) == 0;
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
    const std::uint8_t mark = arena.marks.empty() ? std::uint8_t{0} : arena.marks[index];
    Event event{.kind = EventKind::kEntry, .id = id, .text = arena.text_at(index)};
    if ((mark & kTypedBit) != 0) {
      event.kind = EventKind::kTyped;
      event.type = arena.names[mark & ~kTypedBit];
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
