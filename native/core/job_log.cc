#include "core/job_log.h"

#include <algorithm>

namespace sluice {

bool JobLog::append(std::string_view text) {
  if (ended()) return false;
  text_.append(text);
  ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  trim();
  return true;
}

bool JobLog::begin_attempt() {
  if (ended()) return false;
  ++attempt_;
  trimmed_ = 0;
  head_ = 0;
  text_.clear();
  ends_.clear();
  return true;
}

bool JobLog::end(Terminal terminal) {
  if (ended()) return false;
  terminal_ = std::move(terminal);
  return true;
}

std::string_view JobLog::text() const {
  return std::string_view(text_).substr(head_offset());
}

void JobLog::trim() {
  constexpr std::size_t kOffsetBytes = sizeof(ends_[0]);
  constexpr std::size_t kWorthCompacting = 4096;
  const auto retained = [this] {
    return text_.size() - head_offset() + (ends_.size() - head_) * kOffsetBytes;
  };
  while (retained() > bytes_max_ && ends_.size() - head_ > 1) {
    ++head_;
    ++trimmed_;
  }
  // The dead front is given back once it is as large as what lives: moving the living is then paid
  // for by the dead, and the arena stays below twice the cap.
  const std::size_t dead_text = head_offset();
  if (dead_text + head_ * kOffsetBytes < std::max(retained(), kWorthCompacting)) return;
  text_.erase(0, dead_text);
  ends_.erase(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(head_));
  for (std::uint32_t& end : ends_) end -= static_cast<std::uint32_t>(dead_text);
  head_ = 0;
}

JobLog::Position JobLog::start() const {
  // A reader of a later attempt starts with its job_retry event, unless that is trimmed history.
  if (trimmed_ > 0) return {attempt_, trimmed_ + 1};
  return {attempt_, attempt_ > 1 ? std::uint64_t{0} : std::uint64_t{1}};
}

EventId JobLog::earliest() const {
  const Position first = start();
  if (first.next_seq == 1 && token_count() == 0 && !ended()) return {attempt_, 0};
  return {attempt_, first.next_seq};
}

EventId JobLog::latest() const {
  return {attempt_, ended() ? terminal_seq() : token_count()};
}

JobLog::Resolved JobLog::resolve(std::string_view cursor) const {
  if (cursor.empty()) return {start(), trimmed_ > 0};
  const std::optional<EventId> id = parse_event_id(cursor);
  if (!id || *id > latest()) return {start(), true};
  return catch_up({id->attempt, id->seq + 1});
}

JobLog::Resolved JobLog::catch_up(Position position) const {
  // What an older attempt said is forgotten by contract, which job_retry tells: no gap.
  if (position.attempt < attempt_) return {start(), trimmed_ > 0};
  if (position.next_seq <= trimmed_ && trimmed_ > 0) return {start(), true};
  return {position, false};
}

JobLog::Event JobLog::read(Position position) const {
  const EventId id{position.attempt, position.next_seq};
  if (position.attempt != attempt_) return {};
  if (position.next_seq == 0) return {attempt_ > 1 ? EventKind::kRetry : EventKind::kNone, id, {}};
  if (position.next_seq <= trimmed_) return {};
  const std::uint64_t offset = position.next_seq - trimmed_ - 1 + head_;
  if (offset < ends_.size()) {
    const auto index = static_cast<std::size_t>(offset);
    const std::size_t from = index == 0 ? 0 : ends_[index - 1];
    return {EventKind::kToken, id, std::string_view(text_).substr(from, ends_[index] - from)};
  }
  if (ended() && position.next_seq == terminal_seq()) return {EventKind::kTerminal, id, {}};
  return {};
}

bool JobLog::at_end(Position position) const {
  return ended() && position.attempt == attempt_ && position.next_seq > terminal_seq();
}

}  // namespace sluice
