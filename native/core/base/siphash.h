// A keyed hash for keys that untrusted clients choose. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// The key of the hash, 128 bits.
struct HashSecret {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

/// The random secret of this process. Without it an attacker cannot choose keys that collide and
/// slow down a table.
const HashSecret& process_hash_secret();

/// SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), the variant of the
/// hash tables of Rust and Python.
std::uint64_t keyed_hash(std::string_view key, const HashSecret& secret);

}  // namespace sluice
