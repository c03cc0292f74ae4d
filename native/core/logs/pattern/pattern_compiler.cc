#include "core/logs/pattern/pattern_compiler.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace sluice {
namespace {

using Set = std::bitset<256>;

void add_range(Set& set, std::uint8_t from, std::uint8_t to) {
  for (unsigned byte = from; byte <= to; ++byte) set.set(byte);
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void fold_case(Set& set) {
  for (unsigned lower = 'a'; lower <= 'z'; ++lower) {
    const unsigned upper = lower - ('a' - 'A');
    if (set.test(lower) || set.test(upper)) set.set(lower).set(upper);
  }
}

}  // namespace

std::string LogPatternCompiler::run() {
  Fragment all = alternatives(0);
  if (problem_.empty() && at_ < source_.size()) fail("a ) closes nothing");
  if (!problem_.empty()) return problem_;
  join(all.ends, add({Op::kMatch, 0, 0, 0}));
  pattern_.start_ = all.start;
  pattern_.anchored_ = pattern_.steps_[all.start].op == Op::kBegin;
  return problem_;
}

bool LogPatternCompiler::take(std::string_view wanted) {
  if (!source_.substr(at_).starts_with(wanted)) return false;
  at_ += wanted.size();
  return true;
}

LogPatternCompiler::Fragment LogPatternCompiler::fail(std::string_view problem) {
  if (problem_.empty()) problem_ = problem;
  return {};
}

std::uint32_t LogPatternCompiler::add(LogPattern::Step step) {
  if (pattern_.steps_.size() >= kStepsMax) {
    fail("it is too large");
    return 0;
  }
  pattern_.steps_.push_back(step);
  return static_cast<std::uint32_t>(pattern_.steps_.size() - 1);
}

void LogPatternCompiler::join(const std::vector<std::uint32_t>& ends, std::uint32_t target) {
  if (!problem_.empty()) return;
  for (const std::uint32_t end : ends) {
    LogPattern::Step& step = pattern_.steps_[end / 2];
    (end % 2 == 0 ? step.next : step.other) = target;
  }
}

LogPatternCompiler::Fragment LogPatternCompiler::single(LogPattern::Step step) {
  const std::uint32_t index = add(step);
  return {index, {index * 2}};
}

LogPatternCompiler::Fragment LogPatternCompiler::byte_fragment(std::uint8_t byte) {
  if (ignore_case_ && is_letter(static_cast<char>(byte))) {
    Set set;
    set.set(byte);
    return set_fragment(set);
  }
  return single({Op::kByte, byte, 0, 0});
}

LogPatternCompiler::Fragment LogPatternCompiler::set_fragment(Set set) {
  if (ignore_case_) fold_case(set);
  pattern_.sets_.push_back(set);
  return single({Op::kSet, 0, 0, static_cast<std::uint32_t>(pattern_.sets_.size() - 1)});
}

/// Takes nothing: a split whose two ways are one.
LogPatternCompiler::Fragment LogPatternCompiler::empty_fragment() {
  const std::uint32_t index = add({Op::kSplit, 0, 0, 0});
  return {index, {index * 2, index * 2 + 1}};
}

LogPatternCompiler::Fragment LogPatternCompiler::alternatives(std::size_t depth) {
  if (depth > kDepthMax) return fail("its groups are nested too deeply");
  Fragment all = sequence(depth);
  while (more() && take("|")) {
    Fragment next = sequence(depth);
    const std::uint32_t split = add({Op::kSplit, 0, all.start, next.start});
    all.start = split;
    all.ends.insert(all.ends.end(), next.ends.begin(), next.ends.end());
  }
  return all;
}

LogPatternCompiler::Fragment LogPatternCompiler::sequence(std::size_t depth) {
  bool any = false;
  Fragment all;
  while (more() && peek() != '|' && peek() != ')') {
    Fragment next = repeated(depth);
    if (any) {
      join(all.ends, next.start);
      all.ends = std::move(next.ends);
    } else {
      all = std::move(next);
      any = true;
    }
  }
  return any ? all : empty_fragment();
}

LogPatternCompiler::Fragment LogPatternCompiler::repeated(std::size_t depth) {
  const std::size_t from = at_;
  Fragment first = atom(depth);
  Repeat repeat;
  if (!more() || !quantifier(repeat)) return first;
  static_cast<void>(take("?"));  // a lazy one
  if (more() && (peek() == '*' || peek() == '+' || peek() == '?')) {
    return fail("a quantifier follows a quantifier");
  }
  return repeat_fragment(from, repeat, std::move(first), depth);
}

/// Reads `* + ?` or braces; false if what follows is none of them.
bool LogPatternCompiler::quantifier(Repeat& repeat) {
  if (take("*"))
    repeat = {0, 0, true};
  else if (take("+"))
    repeat = {1, 1, true};
  else if (take("?"))
    repeat = {0, 1, false};
  else
    return braces(repeat);
  return true;
}

bool LogPatternCompiler::braces(Repeat& repeat) {
  if (peek() != '{' || at_ + 1 >= source_.size() || !is_digit(source_[at_ + 1])) return false;
  std::size_t at = at_ + 1;
  const auto number = [this, &at](std::uint32_t& value) {
    value = 0;
    for (; at < source_.size() && is_digit(source_[at]); ++at) {
      value = std::min(value * 10 + static_cast<std::uint32_t>(source_[at] - '0'), kRepeatMax + 1);
    }
  };
  number(repeat.least);
  repeat.most = repeat.least;
  repeat.unbounded = false;
  if (at < source_.size() && source_[at] == ',') {
    ++at;
    repeat.unbounded = at < source_.size() && source_[at] == '}';
    if (!repeat.unbounded) number(repeat.most);
  }
  if (at >= source_.size() || source_[at] != '}') return false;
  at_ = at + 1;
  if (repeat.least > kRepeatMax || repeat.most > kRepeatMax) fail("it repeats over 1000 times");
  if (!repeat.unbounded && repeat.most < repeat.least) fail("its {n,m} is out of order");
  return true;
}

/// @param from where the part begins in the source: it is compiled again for each repetition
LogPatternCompiler::Fragment LogPatternCompiler::repeat_fragment(std::size_t from,
                                                                 const Repeat& repeat,
                                                                 Fragment first,
                                                                 std::size_t depth) {
  const std::size_t behind = at_;
  bool used = false;
  const auto again = [&] {
    if (!std::exchange(used, true)) return first;
    at_ = from;
    return atom(depth);
  };
  Fragment all = empty_fragment();
  for (std::uint32_t i = 0; i < repeat.least && problem_.empty(); ++i) {
    Fragment copy = again();
    join(all.ends, copy.start);
    all.ends = std::move(copy.ends);
  }
  if (repeat.unbounded) {
    Fragment copy = again();
    const std::uint32_t loop = add({Op::kSplit, 0, copy.start, 0});
    join(copy.ends, loop);
    join(all.ends, loop);
    all.ends = {loop * 2 + 1};
  }
  std::vector<std::uint32_t> skips;
  for (std::uint32_t i = repeat.least; !repeat.unbounded && i < repeat.most && problem_.empty();
       ++i) {
    Fragment copy = again();
    const std::uint32_t split = add({Op::kSplit, 0, copy.start, 0});
    join(all.ends, split);
    all.ends = std::move(copy.ends);
    skips.push_back(split * 2 + 1);
  }
  all.ends.insert(all.ends.end(), skips.begin(), skips.end());
  at_ = behind;
  return all;
}

LogPatternCompiler::Fragment LogPatternCompiler::atom(std::size_t depth) {
  if (!more()) return fail("it ends too early");
  const char c = source_[at_++];
  switch (c) {
    case '^':
      return single({Op::kBegin, 0, 0, 0});
    case '$':
      return single({Op::kEnd, 0, 0, 0});
    case '.': {
      Set set;
      set.set();
      return set_fragment(set.reset('\n').reset('\r'));
    }
    case '(':
      return group(depth);
    case '[':
      return character_class();
    case '\\':
      return escape();
    case '*':
    case '+':
    case '?':
      return fail("a quantifier has nothing to repeat");
    default:
      break;
  }
  Fragment all = byte_fragment(static_cast<std::uint8_t>(c));
  // The bytes of one character are one atom.
  while (more() && (static_cast<std::uint8_t>(c) & 0x80) != 0 &&
         (static_cast<std::uint8_t>(peek()) & 0xC0) == 0x80) {
    Fragment next = byte_fragment(static_cast<std::uint8_t>(source_[at_++]));
    join(all.ends, next.start);
    all.ends = std::move(next.ends);
  }
  return all;
}

LogPatternCompiler::Fragment LogPatternCompiler::group(std::size_t depth) {
  if (take("?") && !take(":")) {
    if (!take("<") || peek_is("=") || peek_is("!")) return fail("lookaround is not supported");
    if (!group_name()) return fail("a group has no valid name");
  }
  Fragment inside = alternatives(depth + 1);
  if (problem_.empty() && !take(")")) return fail("a ( is not closed");
  return inside;
}

/// Reads the rest of `(?<name>`. Names are only skipped: whether a line matches does not need them.
bool LogPatternCompiler::group_name() {
  const std::size_t begin = at_;
  while (more() && (is_letter(peek()) || is_digit(peek()) || peek() == '_' || peek() == '$' ||
                    (static_cast<std::uint8_t>(peek()) & 0x80) != 0)) {
    ++at_;
  }
  return at_ > begin && !is_digit(source_[begin]) && take(">");
}

bool LogPatternCompiler::class_escape(char c, Set& set) const {
  Set members;
  switch (c) {
    case 'd':
    case 'D':
      add_range(members, '0', '9');
      break;
    case 'w':
    case 'W':
      add_range(members, '0', '9');
      add_range(members, 'a', 'z');
      add_range(members, 'A', 'Z');
      members.set('_');
      break;
    case 's':
    case 'S':
      for (const char space : std::string_view(" \t\n\v\f\r")) {
        members.set(static_cast<std::uint8_t>(space));
      }
      break;
    default:
      return false;
  }
  set |= c >= 'a' ? members : ~members;
  return true;
}

/// The byte of an escape that stands for one; `at_` is after its letter.
bool LogPatternCompiler::simple_escape(char c, std::uint8_t& byte) {
  constexpr std::string_view kLetters = "tnrvf0";
  constexpr std::string_view kBytes("\t\n\r\v\f\0", 6);
  if (const std::size_t found = kLetters.find(c); found != std::string_view::npos) {
    byte = static_cast<std::uint8_t>(kBytes[found]);
    return true;
  }
  if (c == 'x' && source_.size() - at_ >= 2) {
    const int high = hex_digit(source_[at_]);
    const int low = hex_digit(source_[at_ + 1]);
    if (high < 0 || low < 0 || high > 7) return false;
    at_ += 2;
    byte = static_cast<std::uint8_t>(high * 16 + low);
    return true;
  }
  byte = static_cast<std::uint8_t>(c);
  return !is_letter(c) && !is_digit(c);
}

LogPatternCompiler::Fragment LogPatternCompiler::escape() {
  if (!more()) return fail("it ends in a \\");
  const char c = source_[at_++];
  if (c == 'b') return single({Op::kBoundary, 0, 0, 0});
  if (c == 'B') return single({Op::kNoBoundary, 0, 0, 0});
  if (c == 'k') return fail("back-references are not supported");
  Set set;
  if (class_escape(c, set)) return set_fragment(set);
  std::uint8_t byte = 0;
  if (!simple_escape(c, byte)) {
    return fail(std::string("the escape \\") + c + " is not supported");
  }
  return byte_fragment(byte);
}

/// One member of a class; `is_set` when it is an escape like `\d`, which `set` has taken in.
std::uint8_t LogPatternCompiler::class_member(Set& set, bool& is_set) {
  is_set = false;
  auto byte = static_cast<std::uint8_t>(source_[at_++]);
  if (byte >= 0x80) fail("a class holds a character beyond ASCII");
  if (byte != '\\') return byte;
  if (!more()) {
    fail("it ends in a \\");
    return 0;
  }
  const char c = source_[at_++];
  if (c == 'b') return '\b';
  is_set = class_escape(c, set);
  if (!is_set && !simple_escape(c, byte)) {
    fail(std::string("the escape \\") + c + " is not supported");
  }
  return byte;
}

LogPatternCompiler::Fragment LogPatternCompiler::character_class() {
  const bool negated = take("^");
  Set set;
  while (more() && peek() != ']') {
    bool is_set = false;
    const std::uint8_t from = class_member(set, is_set);
    if (is_set) continue;
    std::uint8_t to = from;
    if (source_.size() - at_ >= 2 && peek() == '-' && source_[at_ + 1] != ']') {
      ++at_;
      bool to_is_set = false;
      to = class_member(set, to_is_set);
      if (to_is_set || to < from) return fail("a class has a range that is out of order");
    }
    add_range(set, from, to);
  }
  if (!take("]")) return fail("a [ is not closed");
  if (ignore_case_) fold_case(set);
  return set_fragment(negated ? ~set : set);
}

}  // namespace sluice
