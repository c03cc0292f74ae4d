// Random text for identifiers. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

/// Gives 64 random bits per call.
using RandomBits = std::function<std::uint64_t()>;

/// The system's generator.
std::uint64_t system_random_bits();

/// `length` letters and digits, each of the 62 equally probable.
std::string random_text(std::size_t length, const RandomBits& random);

}  // namespace sluice
