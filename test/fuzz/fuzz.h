// Parts of the fuzz targets: checks that abort, and readers of the input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace sluice {

/// Aborts unless `holds`, so that the fuzzer keeps the input.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", property);
  std::abort();
}

/// Reads an input from its front. At its end numbers are 0 and texts empty.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }

  /// Below `bound`.
  std::size_t below(std::size_t bound) { return byte() % bound; }

  /// A text, with its length in front of it: at most 255 bytes.
  std::string_view text() { return take(byte()); }

  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, std::min(size, rest_.size()));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
};

/// Calls `take` with the pieces of an input that is cut after every `size` bytes.
template <typename Take>
void in_pieces(std::string_view input, std::size_t size, Take take) {
  for (; !input.empty(); input.remove_prefix(std::min(size, input.size()))) {
    take(input.substr(0, size));
  }
}

}  // namespace sluice
