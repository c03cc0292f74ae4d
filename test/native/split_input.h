// Ways to cut an input into pieces, for tests whose result must not depend on the cuts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace sluice {

using Pieces = std::vector<std::string_view>;

/// Every way to cut `input` into one, two and three pieces, and the cut into single bytes.
/// Quadratic: for inputs of some hundred bytes.
inline std::vector<Pieces> every_split(std::string_view input) {
  std::vector<Pieces> splits;
  splits.push_back({input});
  Pieces bytes;
  for (std::size_t i = 0; i < input.size(); ++i) bytes.push_back(input.substr(i, 1));
  splits.push_back(bytes);
  for (std::size_t first = 0; first <= input.size(); ++first) {
    for (std::size_t second = first; second <= input.size(); ++second) {
      splits.push_back(
          {input.substr(0, first), input.substr(first, second - first), input.substr(second)});
    }
  }
  return splits;
}

/// A random cut into pieces of one to `piece_bytes_max` bytes.
inline Pieces random_split(std::string_view input, std::size_t piece_bytes_max,
                           std::mt19937& random) {
  std::uniform_int_distribution<std::size_t> length(1, piece_bytes_max);
  Pieces pieces;
  while (!input.empty()) {
    const std::size_t bytes = std::min(length(random), input.size());
    pieces.push_back(input.substr(0, bytes));
    input.remove_prefix(bytes);
  }
  return pieces;
}

}  // namespace sluice
