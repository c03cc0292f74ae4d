// Doubly linked lists over slot numbers, without an allocation of their own per link.
//
// A fixed number of lists share one set of slots; a slot is in one of the lists or in none. Every
// operation but `grow` takes constant time. Not thread-safe: one owner. Plain state, ends with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

class SlotLists {
 public:
  using Slot = std::uint32_t;

  /// "No slot": what an empty list has at its ends.
  static constexpr Slot kNone = UINT32_MAX;

  explicit SlotLists(std::uint32_t lists) : lists_(lists) {
    for (std::uint32_t list = 0; list < lists_; ++list) links_.push_back({list, list});
  }

  /// Adds one slot, the next number from 0, which is in no list.
  void grow() {
    const auto node = static_cast<std::uint32_t>(links_.size());
    links_.push_back({node, node});
  }

  /// Puts a slot that is in no list at the front of one.
  void push_front(std::uint32_t list, Slot slot) {
    const std::uint32_t node = slot + lists_;
    const std::uint32_t next = links_[list].next;
    links_[node] = {list, next};
    links_[next].previous = node;
    links_[list].next = node;
  }

  /// Takes a slot out of its list; nothing if it is in none.
  void remove(Slot slot) {
    const std::uint32_t node = slot + lists_;
    const Link link = links_[node];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
    links_[node] = {node, node};
  }

  [[nodiscard]] Slot front(std::uint32_t list) const { return slot_at(links_[list].next); }
  [[nodiscard]] Slot back(std::uint32_t list) const { return slot_at(links_[list].previous); }

  /// The one behind `slot` in its list, or kNone.
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
