// Finds stop strings in a text that arrives in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Finds the first stop string that becomes complete in a text, however the text is cut into pieces
/// (Knuth-Morris-Pratt, for each string): linear in the text. The tables grow with the longest
/// match, so a long stop string costs nothing until the text follows it. Not thread-safe.
class StopMatcher {
 public:
  StopMatcher() = default;
  /// Empty strings are ignored.
  explicit StopMatcher(const std::vector<std::string>& stops);

  /// Whether there is any stop string.
  [[nodiscard]] bool active() const { return !prefixes_.empty(); }

  /// Takes the next piece. Returns the offset in it after the byte that completes a stop string,
  /// and ignores the rest; npos when there is none.
  std::size_t push(std::string_view piece);

  /// Bytes at the end of the text so far that are the longest beginning of a stop string; after a
  /// match, its length.
  [[nodiscard]] std::size_t pending() const;

  /// Begins a new text.
  void reset();

 private:
  struct Prefix {
    std::string stop;
    std::size_t length = 0;  // bytes of it that have come
    /// [n - 1]: length of the longest proper prefix of stop[0, n) that is its suffix, too.
    std::vector<std::uint32_t> borders = {0};

    void push(char next);
    [[nodiscard]] std::size_t extend(std::size_t from, char next) const;
  };

  std::vector<Prefix> prefixes_;
};

}  // namespace sluice
