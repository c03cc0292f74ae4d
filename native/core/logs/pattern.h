// A regular expression whose time is linear in the line, whatever the pattern and the line.
//
// For patterns that users give. Both std::regex and JavaScript's own engine backtrack: a pattern
// that suits every line of today's log may take minutes over one line of tomorrow's. Compiled once;
// one pattern is used by one thread at a time.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// JavaScript's syntax without what cannot be matched in linear time or needs a table of Unicode:
/// literals, `.`, classes (`[a-z]`, `\d \w \s` and their opposites), groups, `|`, `* + ? {n,m}`
/// (lazy ones are the same, since only whether a line matches is asked), `^`, `$`, `\b`, escapes.
/// No back-references, no lookaround, no `\p{...}`, no named groups. It works on bytes: a
/// character beyond ASCII may be a literal, not a member of a class; `.` and a negated class take
/// one byte of it.
class LogPattern {
 public:
  /// @param problem set to what is wrong, a phrase, when nothing is returned
  static std::optional<LogPattern> compile(std::string_view source, bool ignore_case,
                                           std::string& problem);

  /// Whether the pattern occurs in `line`, of which the first 4096 bytes are looked at.
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
    std::uint32_t next = 0;   // Where to go on; of kSet the set is `other`.
    std::uint32_t other = 0;  // Of kSplit: the second way.
  };

  LogPattern() = default;
  bool follow(std::uint32_t step, std::string_view line, std::size_t at);

  std::vector<Step> steps_;
  std::vector<std::bitset<256>> sets_;
  std::uint32_t start_ = 0;
  bool anchored_ = false;  // Every way begins with ^.

  // The steps to take a byte with, of this position and the next.
  std::vector<std::uint32_t> now_;
  std::vector<std::uint32_t> later_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::uint64_t> seen_;  // By step: the generation that it was last followed in.
  std::uint64_t generation_ = 0;
};

}  // namespace sluice
