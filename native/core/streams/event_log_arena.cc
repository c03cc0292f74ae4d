// The entries of one attempt of a log.
#include <algorithm>

#include "core/streams/event_log.h"

namespace sluice {

EventLog::Arena::Arena(const Arena& other)
    : total(other.total),
      text(other.text),
      ends(other.ends),
      head(other.head),
      trimmed(other.trimmed),
      extras_(other.extras_ == nullptr ? nullptr : std::make_unique<Extras>(*other.extras_)) {
  count();
}

EventLog::Arena::~Arena() {
  if (total != nullptr) {
    total->fetch_sub(static_cast<std::int64_t>(counted), std::memory_order_relaxed);
  }
}

const EventLog::Extras& EventLog::Arena::extras() const {
  static const Extras kNone;
  return extras_ == nullptr ? kNone : *extras_;
}

EventLog::Extras& EventLog::Arena::own_extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<Extras>();
  return *extras_;
}

std::size_t EventLog::Arena::bytes() const {
  const std::size_t plain = text.capacity() + ends.capacity() * sizeof(ends[0]);
  if (extras_ == nullptr) return plain;
  const auto& [marks, names, aux, aux_ends, calls, aux_head, calls_head, calls_before] = *extras_;
  return plain + marks.capacity() + aux.capacity() + aux_ends.capacity() * sizeof(aux_ends[0]) +
         calls.capacity() * sizeof(calls[0]);
}

std::size_t EventLog::Arena::retained() const {
  const std::size_t entries = ends.size() - head;
  const std::size_t plain = text.size() - head_offset() + entries * sizeof(ends[0]);
  if (extras_ == nullptr) return plain;
  const auto& [marks, names, aux, aux_ends, calls, aux_head, calls_head, calls_before] = *extras_;
  return plain + (marks.empty() ? 0 : entries) + aux.size() - aux_offset() +
         (aux_ends.size() - aux_head) * sizeof(aux_ends[0]) +
         (calls.size() - calls_head) * sizeof(calls[0]);
}

std::string_view EventLog::Arena::text_at(std::size_t index) const {
  const std::size_t from = index == 0 ? 0 : ends[index - 1];
  return std::string_view(text).substr(from, ends[index] - from);
}

std::string_view EventLog::Arena::aux_at(std::size_t index) const {
  const std::vector<AuxEnd>& aux_ends = extras().aux_ends;
  const auto at = std::lower_bound(aux_ends.begin(), aux_ends.end(), index,
                                   [](const AuxEnd& end, std::size_t i) { return end.index < i; });
  if (at == aux_ends.end() || at->index != index) return {};
  const std::size_t from = at == aux_ends.begin() ? 0 : std::prev(at)->offset;
  return std::string_view(extras().aux).substr(from, at->offset - from);
}

std::uint32_t EventLog::Arena::call_at(std::size_t index) const {
  const std::vector<std::uint32_t>& calls = extras().calls;
  const auto after = std::upper_bound(calls.begin(), calls.end(), index);
  const auto opened = extras().calls_before + static_cast<std::uint32_t>(after - calls.begin());
  return opened == 0 ? 0 : opened - 1;
}

void EventLog::Arena::trim(std::size_t bytes_max) {
  constexpr std::size_t kWorthCompacting = 4096;
  while (retained() > bytes_max && ends.size() - head > 1) {
    if (extras_ != nullptr) extras_->pass(static_cast<std::uint32_t>(head));
    ++head;
    ++trimmed;
  }
  // The trimmed front is erased once it is as large as the retained part: amortized constant time,
  // and the arena stays below twice the cap.
  std::size_t dead = head_offset() + head * sizeof(ends[0]);
  if (extras_ != nullptr) dead += aux_offset() + extras_->aux_head * sizeof(AuxEnd);
  if (dead >= std::max(retained(), kWorthCompacting)) erase_front();
}

namespace {

template <typename Values>
void erase_first(Values& values, std::size_t count) {
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

void EventLog::Arena::erase_front() {
  const auto dead_text = static_cast<std::uint32_t>(head_offset());
  if (extras_ != nullptr) {
    extras_->erase_front(static_cast<std::uint32_t>(head),
                         static_cast<std::uint32_t>(aux_offset()));
  }
  text.erase(0, dead_text);
  erase_first(ends, head);
  for (std::uint32_t& end : ends) end -= dead_text;
  head = 0;
}

// The entry with this index is trimmed.
void EventLog::Extras::pass(std::uint32_t entry) {
  if (aux_head < aux_ends.size() && aux_ends[aux_head].index == entry) ++aux_head;
  if (calls_head < calls.size() && calls[calls_head] == entry) ++calls_head;
}

void EventLog::Extras::erase_front(std::uint32_t dead_entries, std::uint32_t dead_aux) {
  aux.erase(0, dead_aux);
  if (!marks.empty()) erase_first(marks, dead_entries);
  erase_first(aux_ends, aux_head);
  erase_first(calls, calls_head);
  for (AuxEnd& end : aux_ends) end = {end.index - dead_entries, end.offset - dead_aux};
  for (std::uint32_t& call : calls) call -= dead_entries;
  calls_before += static_cast<std::uint32_t>(calls_head);
  aux_head = calls_head = 0;
}

// Makes room for `bytes` more. Containers double, and most logs are short: a quarter is spare here.
void EventLog::Arena::reserve_text(std::size_t bytes) {
  if (text.capacity() - text.size() >= bytes) return;
  constexpr std::size_t kSpareMin = 48;
  std::string grown;  // `text.reserve` would double
  grown.reserve(text.size() + bytes + std::max(text.size() / 4, kSpareMin));
  grown.append(text);
  text.swap(grown);
}

void EventLog::Arena::shrink_extras() {
  if (extras_ == nullptr) return;
  extras_->marks.shrink_to_fit();
  extras_->aux.shrink_to_fit();
  extras_->aux_ends.shrink_to_fit();
  extras_->calls.shrink_to_fit();
}

}  // namespace sluice
