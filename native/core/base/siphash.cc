#include "core/base/siphash.h"

#include <bit>
#include <cstddef>
#include <random>

namespace sluice {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

// Little-endian, whatever the machine; compilers make one load of it.
std::uint64_t word_at(const char* bytes, std::size_t count) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) {
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return word;
}

}  // namespace

const HashSecret& process_hash_secret() {
  static const HashSecret secret = [] {
    std::random_device random;
    const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
    return HashSecret{word(), word()};
  }();
  return secret;
}

std::uint64_t keyed_hash(std::string_view key, const HashSecret& secret) {
  SipState state{secret.first ^ 0x736f6d6570736575, secret.second ^ 0x646f72616e646f6d,
                 secret.first ^ 0x6c7967656e657261, secret.second ^ 0x7465646279746573};
  std::size_t at = 0;
  for (; at + 8 <= key.size(); at += 8) state.absorb(word_at(key.data() + at, 8));
  state.absorb(word_at(key.data() + at, key.size() - at) | std::uint64_t{key.size()} << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace sluice
