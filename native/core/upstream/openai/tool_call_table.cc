#include "core/upstream/openai/tool_call_table.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace sluice {
namespace {

constexpr std::size_t kIdCharacters = 24;

bool is_blank(std::string_view text) {
  return std::ranges::all_of(text, is_space);
}

}  // namespace

ToolCallTable::Status ToolCallTable::take(const ToolCallPiece& piece, const RandomBits& random,
                                          const Emit& emit) {
  Call* call = find(piece);
  if (call == nullptr) {
    const bool is_empty = piece.id.empty() && piece.name.empty() && piece.arguments.empty();
    if (is_empty && !piece.index) return Status::kOk;
    if (calls_.size() == kCallsMax) return Status::kTooManyCalls;
    call = &calls_.emplace_back();
    call->index = piece.index;
  }
  call->delta = delta_;
  set_names(*call, piece);
  take_arguments(*call, piece, emit);
  advance(random, emit);
  return status();
}

ToolCallTable::Status ToolCallTable::pass(const Entry& entry, const Emit& emit) {
  Call* const open = first_ < calls_.size() && calls_[first_].is_open ? &calls_[first_] : nullptr;
  if (open != nullptr && !open->json.is_whole()) {
    waiting_.push_back({entry.kind, std::string(entry.text), std::string(entry.aux)});
    held_bytes_ += bytes_of(waiting_.back());
    return status();
  }
  if (open != nullptr) {
    close(*open, emit);
    ++first_;
  }
  emit(entry);
  return Status::kOk;
}

void ToolCallTable::finish(const RandomBits& random, const Emit& emit) {
  while (first_ < calls_.size()) {
    Call& call = calls_[first_];
    const bool is_empty = !call.has_sent_id && call.name.empty() && !call.json.has_begun();
    if (is_empty) {
      calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(first_));
      continue;
    }
    open(call, random, emit);
    close(call, emit);
    ++first_;
  }
}

// --- which call

ToolCallTable::Call* ToolCallTable::find(const ToolCallPiece& piece) {
  if (piece.is_whole || calls_.empty()) return nullptr;
  if (piece.index) return find_by_index(piece);
  if (!piece.id.empty()) {
    for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
      if (call->has_sent_id && call->id == piece.id) return &*call;
    }
  }
  Call& last = calls_.back();
  const bool is_other = !piece.id.empty() && last.has_sent_id;
  return is_other || begins_call(last, piece) ? nullptr : &last;
}

ToolCallTable::Call* ToolCallTable::find_by_index(const ToolCallPiece& piece) {
  bool is_latest = true;
  for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
    const bool has_same_id = call->has_sent_id && call->id == piece.id;
    if (has_same_id && (call->index == piece.index || !call->index)) return &*call;
    if (call->index != piece.index) continue;
    const bool is_other = !piece.id.empty() && call->has_sent_id;
    if (is_latest && !is_other && !begins_call(*call, piece)) return &*call;
    is_latest = false;
  }
  return nullptr;
}

/// Whether the piece, whose id says nothing, is the first of a call that follows `last`.
bool ToolCallTable::begins_call(const Call& last, const ToolCallPiece& piece) const {
  if (piece.name.empty() || last.name.empty()) return false;
  if (last.delta == delta_) return true;  // one delta has a call once
  if (last.json.is_whole()) return piece.name != last.name || !is_blank(piece.arguments);
  return piece.name != last.name && !last.json.has_begun();
}

void ToolCallTable::set_names(Call& call, const ToolCallPiece& piece) {
  const bool waits = !call.is_open && !call.is_closed;
  if (!piece.id.empty() && !call.has_sent_id) {
    call.id = piece.id;  // Of an open call it serves only to recognize further pieces.
    call.has_sent_id = true;
    if (waits) held_bytes_ += call.id.size();
  }
  if (!piece.name.empty() && call.name.empty()) {
    call.name = piece.name;
    if (waits) held_bytes_ += call.name.size();
  }
}

// --- in which order

void ToolCallTable::take_arguments(Call& call, const ToolCallPiece& piece, const Emit& emit) {
  if (call.is_closed) return;
  const std::string_view text = call.text.decode(piece.arguments, scratch_, piece.surrogates);
  if (text.empty()) return;
  call.json.take(text);
  if (call.is_open) {
    emit({.kind = EntryKind::kToolArguments, .text = text});
  } else {
    call.held.append(text);
    held_bytes_ += text.size();
  }
}

void ToolCallTable::advance(const RandomBits& random, const Emit& emit) {
  while (first_ < calls_.size()) {
    Call& call = calls_[first_];
    if (call.name.empty()) return;
    open(call, random, emit);
    const bool is_last = first_ + 1 == calls_.size() && waiting_.empty();
    if (is_last || !call.json.is_whole()) return;
    close(call, emit);
    ++first_;
  }
}

void ToolCallTable::open(Call& call, const RandomBits& random, const Emit& emit) {
  if (call.is_open) return;
  call.is_open = true;
  held_bytes_ -= call.name.size() + call.held.size() + (call.has_sent_id ? call.id.size() : 0);
  std::string id = call.id;
  if (id.empty() || is_id_taken(call)) id = "call_" + random_text(kIdCharacters, random);
  if (!call.has_sent_id) call.id = id;
  emit({.kind = EntryKind::kToolCall, .text = id, .aux = call.name});
  if (!call.held.empty()) emit({.kind = EntryKind::kToolArguments, .text = call.held});
  std::string().swap(call.held);
}

void ToolCallTable::close(Call& call, const Emit& emit) {
  const std::string_view rest = call.text.finish();
  if (!rest.empty()) {
    call.json.take(rest);
    emit({.kind = EntryKind::kToolArguments, .text = rest});
  }
  if (!call.json.has_begun()) emit({.kind = EntryKind::kToolArguments, .text = "{}"});
  call.is_closed = true;
  release(emit);
}

void ToolCallTable::release(const Emit& emit) {
  for (const Waiting& entry : waiting_) {
    held_bytes_ -= bytes_of(entry);
    emit({.kind = entry.kind, .text = entry.text, .aux = entry.aux});
  }
  waiting_.clear();
}

std::size_t ToolCallTable::bytes_of(const Waiting& entry) {
  return sizeof(Waiting) + entry.text.size() + entry.aux.size();
}

ToolCallTable::Status ToolCallTable::status() const {
  return held_bytes_ > kHeldBytesMax ? Status::kTooManyHeldBytes : Status::kOk;
}

bool ToolCallTable::is_id_taken(const Call& call) const {
  return std::any_of(calls_.begin(), calls_.begin() + (&call - calls_.data()),
                     [&call](const Call& earlier) { return earlier.id == call.id; });
}

}  // namespace sluice
