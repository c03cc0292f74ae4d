// A fixed number of slots, each held under a name and freed once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>

namespace sluice {

/// A fixed number of slots, each held under a name and freed once. Not thread-safe: one machine
/// owns it.
class SlotLimiter {
 public:
  explicit SlotLimiter(std::size_t slots) : slots_(slots) {}

  /// Takes a slot for `holder`, which holds none yet. False when none is free.
  bool acquire(std::uint64_t holder) { return available() && holders_.insert(holder).second; }

  /// Frees the holder's slot. False, without effect, when it holds none.
  bool release(std::uint64_t holder) { return holders_.erase(holder) > 0; }

  [[nodiscard]] bool available() const { return holders_.size() < slots_; }
  [[nodiscard]] std::size_t in_use() const { return holders_.size(); }

 private:
  std::size_t slots_;
  std::unordered_set<std::uint64_t> holders_;
};

}  // namespace sluice
