// A constant table from names to values, for the members of JSON objects. Any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

template <typename Value>
struct NamedValue {
  std::string_view name;
  Value value;
};

/// Finds the value of a name. Built at compile time from distinct names of up to `kLengthMax`
/// bytes, and sorted by length, so that a lookup compares a name with those of its length only.
template <typename Value, std::size_t N>
class NameTable {
 public:
  static constexpr std::size_t kLengthMax = 31;
  static_assert(N <= 255, "places are bytes");

  consteval explicit NameTable(const std::array<NamedValue<Value>, N>& names) : names_(names) {
    std::ranges::sort(names_, {}, [](const NamedValue<Value>& each) { return each.name.size(); });
    if (names_[N - 1].name.size() > kLengthMax) throw "a name exceeds kLengthMax";
    std::size_t at = 0;
    for (std::size_t length = 0; length < first_of_length_.size(); ++length) {
      while (at < N && names_[at].name.size() < length) ++at;
      first_of_length_[length] = static_cast<std::uint8_t>(at);
    }
  }

  /// The value of `name`, or `fallback` if the table does not have it.
  [[nodiscard]] constexpr Value find(std::string_view name, Value fallback) const {
    if (name.empty() || name.size() > kLengthMax) return fallback;
    const std::size_t end = first_of_length_[name.size() + 1];
    for (std::size_t i = first_of_length_[name.size()]; i < end; ++i) {
      if (names_[i].name.front() == name.front() && names_[i].name == name) return names_[i].value;
    }
    return fallback;
  }

 private:
  std::array<NamedValue<Value>, N> names_;
  std::array<std::uint8_t, kLengthMax + 2> first_of_length_{};
};

}  // namespace sluice
