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

bool EventLog::append(std::string_view text) {
  if (ended()) return false;
  own_arena();
  arena_->text.append(text);
  arena_->ends.push_back(static_cast<std::uint32_t>(arena_->text.size()));
  if (!arena_->types.empty()) arena_->types.push_back(0);
  trim();
  return true;
}

bool EventLog::append_typed(std::string_view type, std::string_view data) {
  constexpr std::size_t kTypesMax = 255;
  if (ended()) return false;
  own_arena();
  auto& [text, ends, types, names, head, trimmed] = *arena_;
  auto name = std::find(names.begin(), names.end(), type);
  if (name == names.end()) {
    if (names.size() == kTypesMax) return false;
    name = names.emplace(names.end(), type);
  }
  types.resize(ends.size(), 0);  // all before the first typed event are tokens
  types.push_back(static_cast<std::uint8_t>(name - names.begin() + 1));
  text.append(data);
  ends.push_back(static_cast<std::uint32_t>(text.size()));
  trim();
  return true;
}

void EventLog::own_arena() {
  if (arena_.use_count() > 1) arena_ = std::make_shared<Arena>(*arena_);
}

bool EventLog::begin_attempt() {
  if (ended()) return false;
  ++attempt_;
  arena_ = std::make_shared<Arena>();
  return true;
}

bool EventLog::reopen() {
  if (!ended()) return false;
  terminal_.reset();
  return begin_attempt();
}

bool EventLog::end(Terminal terminal, bool held) {
  if (ended()) return false;
  terminal_ = std::move(terminal);
  held_ = held;
  if (arena_.use_count() == 1) {
    // An ended log may be kept for long, and does not grow.
    arena_->text.shrink_to_fit();
    arena_->ends.shrink_to_fit();
    arena_->types.shrink_to_fit();
  }
  return true;
}

std::uint64_t EventLog::copy_from(std::uint64_t seq, std::string& text,
                                  std::vector<std::uint32_t>& ends) const {
  const Arena& arena = *arena_;
  const std::uint64_t first = std::max(seq, arena.trimmed + 1);
  const std::size_t from = arena.head + static_cast<std::size_t>(first - arena.trimmed - 1);
  if (from >= arena.ends.size()) return first;
  const std::size_t offset = from == 0 ? 0 : arena.ends[from - 1];
  const std::size_t shift = offset - text.size();  // modulo 2^n; only differences are used
  text.append(arena.text, offset);
  ends.reserve(ends.size() + arena.ends.size() - from);
  for (std::size_t i = from; i < arena.ends.size(); ++i) {
    ends.push_back(static_cast<std::uint32_t>(arena.ends[i] - shift));
  }
  return first;
}

void EventLog::restore(std::uint64_t attempt, std::uint64_t first_seq, std::string text,
                       std::vector<std::uint32_t> ends) {
  attempt_ = attempt;
  arena_ = std::make_shared<Arena>();
  arena_->text = std::move(text);
  arena_->ends = std::move(ends);
  arena_->trimmed = first_seq - 1;
  trim();
}

std::string_view EventLog::text() const {
  return std::string_view(arena_->text).substr(arena_->head_offset());
}

void EventLog::trim() {
  constexpr std::size_t kOffsetBytes = sizeof(arena_->ends[0]);
  constexpr std::size_t kWorthCompacting = 4096;
  auto& [text, ends, types, names, head, trimmed] = *arena_;
  const auto retained = [this] {
    const Arena& arena = *arena_;
    return arena.text.size() - arena.head_offset() +
           (arena.ends.size() - arena.head) * kOffsetBytes;
  };
  while (retained() > bytes_max_ && ends.size() - head > 1) {
    ++head;
    ++trimmed;
  }
  // The trimmed front is erased once it is as large as the retained part: amortized constant time,
  // and the arena stays below twice the cap.
  const std::size_t dead_text = arena_->head_offset();
  if (dead_text + head * kOffsetBytes < std::max(retained(), kWorthCompacting)) return;
  text.erase(0, dead_text);
  ends.erase(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(head));
  if (!types.empty()) {
    types.erase(types.begin(), types.begin() + static_cast<std::ptrdiff_t>(head));
  }
  for (std::uint32_t& end : ends) end -= static_cast<std::uint32_t>(dead_text);
  head = 0;
}

EventLog::Position EventLog::start() const {
  // A reader of a later attempt starts with its job_retry event, unless that is trimmed history.
  if (trimmed() > 0) return {attempt_, trimmed() + 1};
  return {attempt_, attempt_ > 1 ? std::uint64_t{0} : std::uint64_t{1}};
}

EventId EventLog::earliest() const {
  const Position first = start();
  if (first.next_seq == 1 && token_count() == 0 && !end_published()) return {attempt_, 0};
  return {attempt_, first.next_seq};
}

EventId EventLog::latest() const {
  return {attempt_, end_published() ? terminal_seq() : token_count()};
}

EventLog::Resolved EventLog::resolve(std::string_view cursor) const {
  if (cursor.empty()) return {start(), trimmed() > 0};
  const std::optional<EventId> id = parse_event_id(cursor);
  if (!id || *id > latest()) return {start(), true};
  const bool lost = id->attempt == attempt_ && id->seq > token_count() && id->seq < terminal_seq();
  if (lost) return {start(), true};
  return catch_up({id->attempt, id->seq + 1});
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
  const std::vector<std::uint32_t>& ends = arena_->ends;
  const std::uint64_t offset = position.next_seq - trimmed() - 1 + arena_->head;
  if (offset < ends.size()) {
    const auto index = static_cast<std::size_t>(offset);
    const std::size_t from = index == 0 ? 0 : ends[index - 1];
    const std::string_view text = std::string_view(arena_->text).substr(from, ends[index] - from);
    const std::uint8_t type = arena_->types.empty() ? std::uint8_t{0} : arena_->types[index];
    if (type == 0) return {EventKind::kToken, id, text};
    return {EventKind::kTyped, id, text, arena_->names[type - 1u]};
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
