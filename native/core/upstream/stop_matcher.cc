#include "core/upstream/stop_matcher.h"

#include <algorithm>

namespace sluice {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    if (!stop.empty()) prefixes_.push_back({.stop = stop});
  }
}

std::size_t StopMatcher::push(std::string_view piece) {
  for (std::size_t at = 0; at < piece.size(); ++at) {
    bool met = false;
    for (Prefix& prefix : prefixes_) {
      prefix.push(piece[at]);
      met = met || prefix.length == prefix.stop.size();
    }
    if (!met) continue;
    // Of the stop strings that end here, the longest one begins first.
    for (Prefix& prefix : prefixes_) {
      if (prefix.length < prefix.stop.size()) prefix.length = 0;
    }
    return at + 1;
  }
  return std::string_view::npos;
}

std::size_t StopMatcher::pending() const {
  std::size_t longest = 0;
  for (const Prefix& prefix : prefixes_) longest = std::max(longest, prefix.length);
  return longest;
}

void StopMatcher::reset() {
  for (Prefix& prefix : prefixes_) prefix.length = 0;
}

void StopMatcher::Prefix::push(char next) {
  length = extend(length, next);
  if (length > borders.size()) {
    borders.push_back(static_cast<std::uint32_t>(extend(borders[length - 2], stop[length - 1])));
  }
}

// The length of the longest prefix of `stop` that is a suffix of its first `from` bytes and `next`.
std::size_t StopMatcher::Prefix::extend(std::size_t from, char next) const {
  while (from > 0 && stop[from] != next) from = borders[from - 1];
  return stop[from] == next ? from + 1 : from;
}

}  // namespace sluice
