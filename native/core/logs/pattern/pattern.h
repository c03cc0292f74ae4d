// A regular expression that matches in time linear in the line, for patterns from users.
//
// std::regex and JavaScript's engine backtrack: a pattern that is fast on most lines may take
// minutes on another. Compiled once; used by one thread at a time.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// JavaScript's syntax, less the parts that need backtracking or a table of Unicode: literals, `.`,
/// classes (`[a-z]`, `\d \w \s` and their opposites), groups `(...)`, `(?:...)` and `(?<name>...)`,
/// `|`, `* + ? {n,m}` (lazy ones mean the same here), `^`, `$`, `\b`, escapes. No back-references,
/// no lookaround, no `\p{...}`. It works on bytes: a character beyond ASCII may be a literal, but
/// no member of a class; `.` and a negated class match one byte of it.
class LogPattern {
 public:
  /// @param problem set to a phrase that states the problem when nothing is returned
  static std::optional<LogPattern> compile(std::string_view source, bool ignore_case,
                                           std::string& problem);

  /// Whether the pattern occurs in the first 4096 bytes of `line`.
  [[nodiscard]] bool matches(std::string_view line);

 private:
  friend class LogPatternCompiler;
  static constexpr std::size_t kLineBytesMax = 4096;

  enum class Op : std::uint8_t {
    kByte,
    kSet,
    kSplit,
    kBegin,
    kEnd,
    kBoundary,
    kNoBoundary,
    kMatch
  };
  struct Step {
    Op op = Op::kMatch;
    std::uint8_t byte = 0;
    std::uint32_t next = 0;   // The next step.
    std::uint32_t other = 0;  // Of kSplit: the second branch. Of kSet: the set.
  };

  LogPattern() = default;
  bool follow(std::uint32_t step, std::string_view line, std::size_t at);

  std::vector<Step> steps_;
  std::vector<std::bitset<256>> sets_;
  std::uint32_t start_ = 0;
  bool anchored_ = false;  // Every branch begins with ^.

  // The steps that may take the next byte, at this position and the one after it.
  std::vector<std::uint32_t> now_;
  std::vector<std::uint32_t> later_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::uint64_t> seen_;  // By step: the generation of its last visit.
  std::uint64_t generation_ = 0;
};

}  // namespace sluice
