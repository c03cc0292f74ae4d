#include "core/base/random_text.h"

#include <random>
#include <string_view>

namespace sluice {

std::uint64_t system_random_bits() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

std::string random_text(std::size_t length, const RandomBits& random) {
  constexpr std::string_view kCharacters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr unsigned kBitsPerCharacter = 6;
  std::string text;
  while (text.size() < length) {
    std::uint64_t bits = random();
    for (unsigned used = kBitsPerCharacter; used <= 64 && text.size() < length;
         used += kBitsPerCharacter) {
      // Two of the 64 values are skipped, so that none is more probable.
      const std::size_t value = bits & ((1U << kBitsPerCharacter) - 1);
      if (value < kCharacters.size()) text.push_back(kCharacters[value]);
      bits >>= kBitsPerCharacter;
    }
  }
  return text;
}

}  // namespace sluice
