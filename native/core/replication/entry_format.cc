#include "core/replication/entry_format.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "core/base/json_writer.h"
#include "core/base/utf8.h"
#include "core/replication/field_checks.h"

namespace sluice {

namespace {

constexpr std::string_view kLetters = "trfcgxy";  // by EntryKind, and of TokenRun::kTyped
constexpr std::size_t kTyped = TokenRun::kTyped;
static_assert(kLetters.size() == kTyped + 1);

/// Fields of a message.
constexpr std::size_t kFieldsMax = 64;

constexpr std::string_view kLineEnd = "\r\n";

bool has_aux(const TokenRun& run, std::size_t index) {
  return !run.kinds.empty() && (run.kinds[index] & TokenRun::kHasAux) != 0;
}

// An EntryKind, or TokenRun::kTyped.
std::size_t kind_at(const TokenRun& run, std::size_t index) {
  return run.kinds.empty() ? 0 : static_cast<std::size_t>(run.kinds[index] & ~TokenRun::kHasAux);
}

bool is_of_call(EntryKind kind) {
  return kind == EntryKind::kToolCall || kind == EntryKind::kToolArguments;
}

bool is_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

/// Takes a decimal number from the front of `text`.
template <typename Number>
bool take_number(std::string_view& text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || after == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(after - text.data()));
  return true;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes `,` between the elements of a list; at its end nothing.
bool take_separator(std::string_view& text) {
  return text.empty() || (take(text, ',') && !text.empty());
}

/// Takes `size` bytes of UTF-8 from the front of `text`.
bool take_bytes(std::string_view& text, std::size_t size, std::string_view& out) {
  if (size > text.size()) return false;
  out = text.substr(0, size);
  text.remove_prefix(size);
  return is_utf8(out);
}

/// The raw data of an event, as its kind requires it.
bool is_valid(const ReplicaEvent& event) {
  if (!event.type.empty()) return is_event_type(event.type) && is_object_line(event.text);
  if (!event.kind) return true;
  switch (*event.kind) {
    case EntryKind::kText:
      return event.aux.empty() || is_json_line(event.aux);
    case EntryKind::kExtra:
      return is_object_line(event.text) && event.aux.empty();
    case EntryKind::kToolCall:
      return true;
    case EntryKind::kReasoning:
    case EntryKind::kRefusal:
    case EntryKind::kToolArguments:
      return event.aux.empty();
  }
  return false;
}

}  // namespace

// --- writing

std::size_t EntryWriter::end_of_entry() const {
  const std::size_t count = run_.ends.size();
  const std::size_t from = at_ == 0 ? 0 : run_.ends[at_ - 1];
  std::size_t end = at_ + 1;
  while (end < count && end - at_ < kEventsMax && run_.ends[end] - from <= kBytesMax) ++end;
  return end;
}

std::uint64_t EntryWriter::next(EntryFields& fields) {
  if (at_ >= run_.ends.size()) return 0;
  const std::size_t from = at_;
  const std::size_t to = end_of_entry();
  const std::size_t text_from = from == 0 ? 0 : run_.ends[from - 1];
  fields.emplace_back("t");
  fields.emplace_back(run_.text, text_from, run_.ends[to - 1] - text_from);
  if (to - from > 1) {
    fields.emplace_back("e");
    std::string& lengths = fields.emplace_back();
    std::size_t begin = text_from;
    for (std::size_t i = from; i < to; ++i) {
      if (i > from) lengths.push_back(',');
      append_json_number(lengths, run_.ends[i] - begin);
      begin = run_.ends[i];
    }
  }
  const auto begin = run_.kinds.begin() + static_cast<std::ptrdiff_t>(from);
  const auto is_marked = [](char kind) { return kind != 0; };
  if (!run_.kinds.empty() &&
      std::any_of(begin, begin + static_cast<std::ptrdiff_t>(to - from), is_marked)) {
    const std::size_t aux_from = aux_at_ == 0 ? 0 : run_.aux_ends[aux_at_ - 1];
    std::string kinds;
    append_kinds(kinds, from, to);
    fields.emplace_back("k");
    fields.push_back(std::move(kinds));
    const std::size_t aux_to = aux_at_ == 0 ? 0 : run_.aux_ends[aux_at_ - 1];
    if (aux_to > aux_from) {
      fields.emplace_back("a");
      fields.emplace_back(run_.aux, aux_from, aux_to - aux_from);
    }
  }
  at_ = to;
  return run_.first_seq + to - 1;
}

void EntryWriter::append_kinds(std::string& kinds, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    const std::size_t number = kind_at(run_, i);
    const auto kind = static_cast<EntryKind>(number);
    if (i > from) kinds.push_back(',');
    kinds.push_back(kLetters[number]);
    if (kind == EntryKind::kToolCall) ++calls_;
    if (is_of_call(kind)) append_json_number(kinds, calls_ == 0 ? 0 : calls_ - 1);
    if (!has_aux(run_, i)) continue;
    const std::size_t aux_from = aux_at_ == 0 ? 0 : run_.aux_ends[aux_at_ - 1];
    kinds.push_back(':');
    append_json_number(kinds, run_.aux_ends[aux_at_++] - aux_from);
  }
}

// --- reading

void LogEntry::reset() {
  kind = Kind::kUnknown;
  events.clear();
  members = type = data = {};
  head = {};
  spans.reset();
  ending.reset();
}

bool LogEntry::read(std::string_view id_text, const EntryViews& fields) {
  reset();
  const std::optional<EventId> parsed = parse_event_id(id_text);
  if (!parsed || fields.size() % 2 != 0) return false;
  id = *parsed;
  std::optional<std::string_view> t, e, k, r, y, d, x, f, h, s;
  std::string_view a;
  for (std::size_t i = 0; i < fields.size(); i += 2) {
    if (fields[i].size() != 1) continue;
    const std::string_view value = fields[i + 1];
    switch (fields[i].front()) {
      case 't':
        t = value;
        break;
      case 'e':
        e = value;
        break;
      case 'k':
        k = value;
        break;
      case 'a':
        a = value;
        break;
      case 'r':
        r = value;
        break;
      case 'y':
        y = value;
        break;
      case 'd':
        d = value;
        break;
      case 'x':
        x = value;
        break;
      case 'f':
        f = value;
        break;
      case 'h':
        h = value;
        break;
      case 's':
        s = value;
        break;
      default:
        break;
    }
  }
  if (h) {
    std::optional<AnswerHead> read_head = parse_head(*h);
    if (!read_head) return false;
    head = std::move(*read_head);
  }
  if (s && !(spans = parse_spans(*s))) return false;
  if (r) {
    kind = Kind::kBegin;
    members = *r == "{}" ? std::string_view() : *r;
    return id.seq == 0 && is_object_line(*r);
  }
  if (id.seq == 0) return !t && !y && !x;
  if (x) {
    kind = Kind::kEnding;
    ending = f ? parse_ending(*x, *f) : std::nullopt;
    return ending.has_value();
  }
  if (y) {
    kind = Kind::kTyped;
    type = *y;
    data = d.value_or(std::string_view());
    return is_event_type(type) && is_object_line(data);
  }
  if (!t) return true;
  kind = Kind::kEvents;
  return read_events(*t, e, k, a);
}

bool LogEntry::read_events(std::string_view text, std::optional<std::string_view> lengths,
                           std::optional<std::string_view> kinds, std::string_view aux) {
  if (!lengths) {
    if (!is_utf8(text)) return false;
    events.push_back({.text = text});
  } else {
    // Each event takes a byte of the list at least: foreign bytes set no size of their own.
    while (!lengths->empty()) {
      std::size_t size = 0;
      std::string_view part;
      if (!take_number(*lengths, size) || !take_bytes(text, size, part)) return false;
      if (!take_separator(*lengths)) return false;
      events.push_back({.text = part});
    }
    if (!text.empty() || events.empty()) return false;
  }
  if (events.size() > id.seq) return false;
  if (!kinds) return aux.empty();
  for (ReplicaEvent& event : events) {
    if (kinds->empty()) return false;
    const std::size_t letter = kLetters.find(kinds->front());
    kinds->remove_prefix(1);
    event.kind = static_cast<EntryKind>(letter);
    if (letter == std::string_view::npos || letter == kTyped) event.kind.reset();
    const bool digit = !kinds->empty() && kinds->front() >= '0' && kinds->front() <= '9';
    if (digit && !take_number(*kinds, event.call)) return false;
    if (event.kind && is_of_call(*event.kind) != digit) return false;
    if (take(*kinds, ':')) {
      std::size_t size = 0;
      if (!take_number(*kinds, size) || !take_bytes(aux, size, event.aux)) return false;
    }
    if (letter == kTyped) {
      event.type = std::exchange(event.aux, {});
      if (digit || event.type.empty()) return false;
    }
    if (!take_separator(*kinds) || !is_valid(event)) return false;
  }
  return kinds->empty() && aux.empty();
}

// --- messages

std::string pack_message(std::string_view id, const EntryFields& fields) {
  constexpr std::size_t kOverhead = 16;  // of a part at most, unless it is huge
  std::size_t size = id.size() + 2 * kOverhead;
  for (const std::string& field : fields) size += field.size() + kOverhead;
  std::string message;
  message.reserve(size);
  message.push_back('*');
  append_json_number(message, fields.size() + 1);
  message.append(kLineEnd);
  const auto add = [&message](std::string_view part) {
    message.push_back('$');
    append_json_number(message, part.size());
    message.append(kLineEnd).append(part).append(kLineEnd);
  };
  add(id);
  for (const std::string& field : fields) add(field);
  return message;
}

bool unpack_message(std::string_view message, std::string_view& id, EntryViews& fields) {
  fields.clear();
  const auto take_line_end = [&message] {
    if (!message.starts_with(kLineEnd)) return false;
    message.remove_prefix(kLineEnd.size());
    return true;
  };
  std::size_t parts = 0;
  if (!take(message, '*') || !take_number(message, parts) || !take_line_end()) return false;
  if (parts == 0 || parts > 2 * kFieldsMax + 1 || parts % 2 == 0) return false;
  for (std::size_t i = 0; i < parts; ++i) {
    std::size_t size = 0;
    if (!take(message, '$') || !take_number(message, size) || !take_line_end()) return false;
    if (size > message.size()) return false;
    const std::string_view part = message.substr(0, size);
    message.remove_prefix(size);
    if (!take_line_end()) return false;
    if (i == 0) {
      id = part;
    } else {
      fields.push_back(part);
    }
  }
  return message.empty();
}

}  // namespace sluice
