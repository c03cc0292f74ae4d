// The hash of keys that strangers choose.
//
// SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012; the 1-3 variant is
// what Rust's and Python's tables use) under a secret of the process: without it nobody can pick
// keys that collide and so make a table slow. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// The secret, 128 bits.
struct HashSecret {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

/// The secret of this process, random.
const HashSecret& process_hash_secret();

std::uint64_t keyed_hash(std::string_view key, const HashSecret& secret);

}  // namespace sluice
