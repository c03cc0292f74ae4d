// Runs every fuzz target of test/fuzz on its seeds and on random changes of them, the same ones
// each time. A violated property aborts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#define SLUICE_FUZZ_TARGET(name) extern "C" int name(const std::uint8_t* data, std::size_t size);
#include SLUICE_FUZZ_TARGETS
#undef SLUICE_FUZZ_TARGET

namespace {

struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

// For the names of the tests.
void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

constexpr Target kTargets[] = {
#define SLUICE_FUZZ_TARGET(name) {#name, name},
#include SLUICE_FUZZ_TARGETS
#undef SLUICE_FUZZ_TARGET
};

constexpr int kChangesOfEachSeed = 200;

using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> seeds_of(const std::string& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(SLUICE_FUZZ_SEEDS) / target)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

class FuzzSeeds : public testing::TestWithParam<Target> {
 protected:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  void change(Bytes& bytes, const Bytes& other) {
    const auto at = static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
    const auto to = static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
    const auto from = std::min(at, to);
    const auto until = std::max(at, to);
    switch (below(5)) {
      case 0:
        bytes.insert(bytes.begin() + at, static_cast<std::uint8_t>(below(256)));
        break;
      case 1:
        bytes.erase(bytes.begin() + from, bytes.begin() + until);
        break;
      case 2: {
        const Bytes part(bytes.begin() + from, bytes.begin() + until);
        bytes.insert(bytes.begin() + until, part.begin(), part.end());
        break;
      }
      case 3:
        bytes.insert(bytes.begin() + at, other.begin(), other.end());
        break;
      default:
        if (!bytes.empty()) bytes[below(bytes.size())] = static_cast<std::uint8_t>(below(256));
        break;
    }
  }

  std::mt19937 random_{11};
};

TEST_P(FuzzSeeds, HoldOnSeedsAndOnChangesOfThem) {
  const Target& target = GetParam();
  const std::vector<Bytes> seeds = seeds_of(target.name);
  ASSERT_FALSE(seeds.empty());
  for (const Bytes& seed : seeds) {
    EXPECT_EQ(target.run(seed.data(), seed.size()), 0);
    for (int round = 0; round < kChangesOfEachSeed; ++round) {
      Bytes bytes = seed;
      for (std::size_t i = below(4) + 1; i > 0; --i) change(bytes, seeds[below(seeds.size())]);
      bytes.resize(std::min<std::size_t>(bytes.size(), 4096));
      EXPECT_EQ(target.run(bytes.data(), bytes.size()), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzSeeds, testing::ValuesIn(kTargets),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
