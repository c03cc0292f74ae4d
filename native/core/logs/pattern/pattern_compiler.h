// Compiles the source of a regular expression into the steps of a LogPattern. Private to
// pattern.cc.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/logs/pattern/pattern.h"

namespace sluice {

/// Recursive descent into fragments of Thompson's construction (CACM 1968). A counted repetition is
/// compiled once per count. Depth and size are bounded.
class LogPatternCompiler {
 public:
  LogPatternCompiler(std::string_view source, bool ignore_case, LogPattern& pattern)
      : source_(source), ignore_case_(ignore_case), pattern_(pattern) {}

  /// @returns the problem, or an empty string
  std::string run();

 private:
  using Op = LogPattern::Op;
  static constexpr std::size_t kStepsMax = 10'000;
  static constexpr std::size_t kDepthMax = 64;
  static constexpr std::uint32_t kRepeatMax = 1000;

  /// A part of the pattern: its first step, and its ends that still lead nowhere (twice the step's
  /// index, plus one for its second branch).
  struct Fragment {
    std::uint32_t start = 0;
    std::vector<std::uint32_t> ends;
  };
  struct Repeat {
    std::uint32_t least = 1;
    std::uint32_t most = 1;
    bool unbounded = false;
  };

  Fragment alternatives(std::size_t depth);
  Fragment sequence(std::size_t depth);
  Fragment repeated(std::size_t depth);
  Fragment atom(std::size_t depth);
  Fragment group(std::size_t depth);
  bool group_name();
  Fragment escape();
  Fragment character_class();
  bool class_escape(char c, std::bitset<256>& set) const;
  std::uint8_t class_member(std::bitset<256>& set, bool& is_set);
  bool simple_escape(char c, std::uint8_t& byte);
  bool quantifier(Repeat& repeat);
  bool braces(Repeat& repeat);
  Fragment repeat_fragment(std::size_t from, const Repeat& repeat, Fragment first,
                           std::size_t depth);

  std::uint32_t add(LogPattern::Step step);
  Fragment single(LogPattern::Step step);
  Fragment byte_fragment(std::uint8_t byte);
  Fragment set_fragment(std::bitset<256> set);
  Fragment empty_fragment();
  void join(const std::vector<std::uint32_t>& ends, std::uint32_t target);
  Fragment fail(std::string_view problem);

  [[nodiscard]] bool more() const { return at_ < source_.size() && problem_.empty(); }
  [[nodiscard]] char peek() const { return source_[at_]; }
  [[nodiscard]] bool peek_is(std::string_view wanted) const {
    return source_.substr(at_).starts_with(wanted);
  }
  bool take(std::string_view wanted);

  std::string_view source_;
  bool ignore_case_;
  LogPattern& pattern_;
  std::size_t at_ = 0;
  std::string problem_;
};

}  // namespace sluice
