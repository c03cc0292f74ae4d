#include "core/logs/pattern/pattern.h"

#include <algorithm>
#include <utility>

#include "core/logs/pattern/pattern_compiler.h"

namespace sluice {
namespace {

bool is_word_byte(std::string_view line, std::size_t at) {
  if (at >= line.size()) return false;
  const char c = line[at];
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool at_boundary(std::string_view line, std::size_t at) {
  const bool before = at > 0 && is_word_byte(line, at - 1);
  return before != is_word_byte(line, at);
}

}  // namespace

std::optional<LogPattern> LogPattern::compile(std::string_view source, bool ignore_case,
                                              std::string& problem) {
  LogPattern pattern;
  LogPatternCompiler compiler(source, ignore_case, pattern);
  problem = compiler.run();
  if (!problem.empty()) return std::nullopt;
  pattern.seen_.assign(pattern.steps_.size(), 0);
  return pattern;
}

bool LogPattern::matches(std::string_view line) {
  line = line.substr(0, kLineBytesMax);
  now_.clear();
  for (std::size_t at = 0;; ++at) {
    // `now_` holds the steps that the bytes so far lead to; a match may also begin here.
    if (at == 0) ++generation_;
    if ((at == 0 || !anchored_) && follow(start_, line, at)) return true;
    if (at == line.size() || (now_.empty() && anchored_)) return false;
    ++generation_;
    later_.clear();
    std::swap(now_, later_);
    const auto byte = static_cast<std::uint8_t>(line[at]);
    for (const std::uint32_t index : later_) {
      const Step& step = steps_[index];
      const bool takes = step.op == Op::kByte ? step.byte == byte : sets_[step.other].test(byte);
      if (takes && follow(step.next, line, at + 1)) return true;
    }
  }
}

/// Adds to `now_` every step that takes a byte and is reachable from `step` without one. Returns
/// whether the end of the pattern is reachable.
bool LogPattern::follow(std::uint32_t step, std::string_view line, std::size_t at) {
  stack_.assign(1, step);
  while (!stack_.empty()) {
    const std::uint32_t index = stack_.back();
    stack_.pop_back();
    if (seen_[index] == generation_) continue;
    seen_[index] = generation_;
    const Step& here = steps_[index];
    bool passes = false;
    switch (here.op) {
      case Op::kMatch:
        return true;
      case Op::kByte:
      case Op::kSet:
        now_.push_back(index);
        break;
      case Op::kSplit:
        stack_.push_back(here.other);
        passes = true;
        break;
      case Op::kBegin:
        passes = at == 0;
        break;
      case Op::kEnd:
        passes = at == line.size();
        break;
      case Op::kBoundary:
        passes = at_boundary(line, at);
        break;
      case Op::kNoBoundary:
        passes = !at_boundary(line, at);
        break;
    }
    if (passes) stack_.push_back(here.next);
  }
  return false;
}

}  // namespace sluice
