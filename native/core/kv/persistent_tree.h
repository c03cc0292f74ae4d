// An ordered map of entries whose copies are free: the base of snapshots.
//
// A balanced (AVL) tree of nodes that copies share. A copy is one more owner of the root. A
// write copies the shared nodes on its path, so other copies do not see it; without copies it
// changes the nodes in place. What that costs: with a copy alive, the
// first write to a place copies up to 1.44 log2(n) nodes of 56 bytes, entries never; a node keeps
// two references where a B-tree would pack many keys. Version chains per key would be smaller while
// there are snapshots, but need a sweep of all keys when the oldest one ends; here what only a
// snapshot saw goes with it, at once.
//
// One thread at a time changes, copies or destroys a tree; different copies are independent, on any
// thread. Ends with its owner.
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

class KvTree {
 public:
  /// Puts an entry in the place of its key. The former one, if there was any.
  KvEntryRef put(const KvEntryRef& entry);

  /// Takes an entry out. Nothing when there is none.
  KvEntryRef take(std::string_view key);

  /// The entry of a key, valid while it is in the tree; nullptr when there is none.
  [[nodiscard]] const KvEntry* find(std::string_view key) const;

  /// Of all entries, and of those before a key: kept with each node, so a look costs a way down.
  [[nodiscard]] KvUsage usage() const { return usage_of(root_); }
  [[nodiscard]] KvUsage usage_before(std::string_view key) const;

  /// Calls `visit(const KvEntryRef&)` for the entries from the first key that is not before `from`,
  /// in the order of the keys' bytes, until it answers false.
  template <typename Visit>
  void walk(std::string_view from, Visit&& visit) const {
    walk_in(root_.get(), from, visit);
  }

  /// As `walk`, from the last key that is before `before` (nullptr: from the last of all)
  /// downwards.
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
    KvUsage usage;  ///< of the node and of all below it
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
