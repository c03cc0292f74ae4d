// An ordered map of entries with constant-time copies, the base of snapshots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/kv/entry.h"

namespace sluice {

/// Entries, and the bytes of their keys and values.
struct KvUsage {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const KvUsage&, const KvUsage&) = default;
};

/// A balanced (AVL) tree whose copies share nodes.
///
/// A copy takes a reference to the root. A write copies the shared nodes on its path, so that other
/// copies do not see it; without copies it changes the nodes in place. While a copy exists, the
/// first write to a place copies up to 1.44 log2(n) nodes of 56 bytes, and no entries. A node keeps
/// two references where a B-tree would pack many keys. Version chains per key would need less
/// memory while snapshots exist, but a sweep of all keys when the oldest one ends; here the nodes
/// that only a snapshot references are freed with it.
///
/// One thread at a time may change, copy or destroy a tree. Different copies are independent, on
/// any thread.
class KvTree {
 public:
  /// Inserts or replaces the entry of its key. Returns the replaced entry, if any.
  KvEntryRef put(const KvEntryRef& entry);

  /// Removes and returns an entry; nothing when there is none.
  KvEntryRef take(std::string_view key);

  /// The entry of a key, valid while it is in the tree; nullptr when there is none.
  [[nodiscard]] const KvEntry* find(std::string_view key) const;

  /// The usage of all entries, and of those before a key, in O(log n): each node keeps its sum.
  [[nodiscard]] KvUsage usage() const { return usage_of(root_); }
  [[nodiscard]] KvUsage usage_before(std::string_view key) const;

  /// Calls `visit(const KvEntryRef&)` for the entries from the first key not less than `from`, in
  /// the order of the keys' bytes, until it returns false.
  template <typename Visit>
  void walk(std::string_view from, Visit&& visit) const {
    walk_in(root_.get(), from, visit);
  }

  /// Like `walk`, in descending order from the last key less than `before` (nullptr: the last key).
  template <typename Visit>
  void walk_back(const std::string* before, Visit&& visit) const {
    walk_back_in(root_.get(), before, visit);
  }

 private:
  struct Node : Counted {
    explicit Node(const KvEntryRef& first) : entry(first), usage{1, first->size()} {}

    KvEntryRef entry;
    Ref<Node> left;
    Ref<Node> right;
    KvUsage usage;  ///< of the whole subtree
    std::int32_t height = 1;
  };

  static std::int32_t height_of(const Ref<Node>& node) { return node ? node->height : 0; }
  static KvUsage usage_of(const Ref<Node>& node) { return node ? node->usage : KvUsage{}; }
  static void measure(Node& node);
  static Node& own(Ref<Node>& at);
  static void rotate_left(Ref<Node>& at);
  static void rotate_right(Ref<Node>& at);
  static void balance(Ref<Node>& at);
  static KvEntryRef put_in(Ref<Node>& at, const KvEntryRef& entry);
  static KvEntryRef take_from(Ref<Node>& at, std::string_view key);
  static KvEntryRef take_first(Ref<Node>& at);
  static void replace_by_child(Ref<Node>& at);

  template <typename Visit>
  static bool walk_in(const Node* node, std::string_view from, Visit& visit) {
    if (node == nullptr) return true;
    // compare(), since clang 14 does not compile `>=` here.
    if (node->entry->key.compare(from) >= 0) {
      if (!walk_in(node->left.get(), from, visit) || !visit(node->entry)) return false;
    }
    return walk_in(node->right.get(), from, visit);
  }

  template <typename Visit>
  static bool walk_back_in(const Node* node, const std::string* before, Visit& visit) {
    if (node == nullptr) return true;
    if (before == nullptr || node->entry->key < *before) {
      if (!walk_back_in(node->right.get(), before, visit) || !visit(node->entry)) return false;
    }
    return walk_back_in(node->left.get(), before, visit);
  }

  Ref<Node> root_;
};

}  // namespace sluice
