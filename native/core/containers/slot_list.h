// Doubly linked lists over slot numbers, without an allocation per link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

/// A fixed number of doubly linked lists over one set of slots; a slot is in one list or in none.
/// Every operation but `grow` takes constant time. Not thread-safe: one owner.
class SlotLists {
 public:
  using Slot = std::uint32_t;

  /// "No slot": the ends of an empty list.
  static constexpr Slot kNone = UINT32_MAX;

  explicit SlotLists(std::uint32_t lists) : lists_(lists) {
    for (std::uint32_t list = 0; list < lists_; ++list) links_.push_back({list, list});
  }

  /// Adds one slot, the next number from 0, which is in no list.
  void grow() {
    const auto node = static_cast<std::uint32_t>(links_.size());
    links_.push_back({node, node});
  }

  /// Inserts a slot that is in no list at the front of one.
  void push_front(std::uint32_t list, Slot slot) {
    const std::uint32_t node = slot + lists_;
    const std::uint32_t next = links_[list].next;
    links_[node] = {list, next};
    links_[next].previous = node;
    links_[list].next = node;
  }

  /// Removes a slot from its list; no effect if it is in none.
  void remove(Slot slot) {
    const std::uint32_t node = slot + lists_;
    const Link link = links_[node];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
    links_[node] = {node, node};
  }

  [[nodiscard]] Slot front(std::uint32_t list) const { return slot_at(links_[list].next); }
  [[nodiscard]] Slot back(std::uint32_t list) const { return slot_at(links_[list].previous); }

  /// The slot after `slot` in its list, or kNone.
  [[nodiscard]] Slot after(Slot slot) const { return slot_at(links_[slot + lists_].next); }

 private:
  // A list's own node closes its ring; a slot's node stands alone while it is in no list.
  struct Link {
    std::uint32_t previous;
    std::uint32_t next;
  };

  [[nodiscard]] Slot slot_at(std::uint32_t node) const {
    return node < lists_ ? kNone : node - lists_;
  }

  std::uint32_t lists_;
  std::vector<Link> links_;
};

}  // namespace sluice
